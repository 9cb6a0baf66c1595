package plugin

import (
	"io"
	"os"
	"time"
)

// parentEvery is how often a plugin looks whether its parent is still the one
// that started it.
const parentEvery = 250 * time.Millisecond

// watch calls gone once, with the reason, when the host is gone: stdin, if it is
// a pipe, is one that the host holds open and never writes to, and parent is the
// host's process. It returns after that, or when stop is closed.
func watch(stdin *os.File, parent int, stop <-chan struct{}, gone func(reason string)) {
	ended := make(chan struct{})
	if isPipe(stdin) {
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, stdin)
		}()
	}
	tick := time.NewTicker(parentEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ended:
			gone("stdin ended")
			return
		case <-tick.C:
			// Where the system does not tell, the number stays as it is.
			if os.Getppid() != parent {
				gone("the parent process ended")
				return
			}
		}
	}
}

// isPipe keeps a plugin alive whose stdin is /dev/null or a terminal.
func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

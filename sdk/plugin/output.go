package plugin

import (
	"bufio"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// longestLine is where a printed line is cut.
const longestLine = 64 << 10

// output turns what a plugin prints into lines of its log. go-plugin sends
// os.Stdout and os.Stderr over a stream of its own once it serves, so output takes
// them after that: when the first call comes in, before the plugin's code runs.
type output struct {
	log      hclog.Logger
	redirect func() // at the first call only
}

func newOutput(log hclog.Logger) *output {
	o := &output{log: log}
	o.redirect = sync.OnceFunc(o.take)
	return o
}

func (o *output) take() {
	for name, file := range map[string]**os.File{"stdout": &os.Stdout, "stderr": &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			o.log.Warn("printed lines do not reach the log", "of", name, "error", err)
			continue
		}
		*file = w
		go lines(r, func(line string) { o.log.Info(line, "printed", name) })
	}
}

// lines calls f with each line of r until it ends. A line that is too long comes
// in pieces.
func lines(r io.Reader, f func(string)) {
	br := bufio.NewReaderSize(r, longestLine)
	for {
		line, err := br.ReadSlice('\n')
		for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
			line = line[:len(line)-1]
		}
		if len(line) > 0 {
			f(string(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

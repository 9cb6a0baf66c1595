package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// RawLine is a line that a process wrote, before anything is taken out of it.
type RawLine struct {
	Stdout    bool // stderr otherwise
	Handshake bool // it has the form of one
	Text      string
	Cut       int // bytes of it that are left out
}

// Specimen is a process that is looked at, as a Supervisor starts it. Nothing starts
// it again.
type Specimen struct {
	*plugin.Client
	process *process
	end     context.CancelFunc
	running sync.WaitGroup
	dir     string
	runErr  error // set when running is over
}

// Examine starts a binary in a run directory of its own and returns it when it has
// said what it is. lines is told of all that it writes, from several goroutines. The
// caller ends it with Close.
func Examine(ctx context.Context, opts Options, b Binary, lines func(RawLine)) (_ *Specimen, err error) {
	opts.RunDir, err = os.MkdirTemp("", "jackfield-test-")
	if err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	opts.raw = lines
	s, err := New(opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(opts.RunDir))
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	x := &Specimen{end: end, dir: opts.RunDir}
	x.running.Go(func() { x.runErr = s.Run(life) })
	select {
	case <-s.ready:
	case <-s.ended:
		return nil, x.Close()
	}
	if x.process, err = s.start(ctx, b, newLogbook()); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	x.Client = x.process.client
	return x, nil
}

// Kill ends the process and all of its group at once, and returns when it is gone.
func (x *Specimen) Kill() {
	x.process.x.kill()
	x.await(killTimeout + cleanupTimeout)
}

// Orphan breaks the pipe by which the process knows that its host lives, and reports
// whether it ended within d.
func (x *Specimen) Orphan(d time.Duration) bool {
	closeFile(x.process.x.lifeline)
	return x.process.x.await(d)
}

func (x *Specimen) await(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.process.gone:
	case <-timer.C:
	}
}

// Close kills the process, if it lives, and leaves nothing behind.
func (x *Specimen) Close() error {
	if x.process != nil {
		x.Kill()
	}
	x.end()
	x.running.Wait()
	return errors.Join(x.runErr, os.RemoveAll(x.dir))
}

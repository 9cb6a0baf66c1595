package supervisor

import (
	"context"
	"runtime"
)

// spawner starts every process from one thread that lives as long as they do.
// The kernel kills a child whose death signal is set when the thread that
// started it ends, not when the host does, so no other thread will do.
type spawner struct {
	jobs chan spawnJob
}

type spawnJob struct {
	start func() error
	done  chan<- error
}

func newSpawner() *spawner { return &spawner{jobs: make(chan spawnJob)} }

// run serves until done is closed: when the last process has ended.
func (s *spawner) run(done <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case <-done:
			return
		case job := <-s.jobs:
			job.done <- job.start()
		}
	}
}

// do calls start on the spawner's thread.
func (s *spawner) do(ctx context.Context, start func() error) error {
	done := make(chan error, 1)
	select {
	case s.jobs <- spawnJob{start, done}:
		return <-done
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

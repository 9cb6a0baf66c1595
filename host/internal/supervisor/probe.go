package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/jackfield/jackfield/sdk"
)

// Probe starts a binary once, in a run directory of its own, returns what it
// says of itself, and ends it. It needs no Supervisor. A binary without a name
// may have any.
func Probe(ctx context.Context, opts Options, b Binary) (m sdk.Manifest, err error) {
	opts.RunDir, err = os.MkdirTemp("", "jackfield-probe-")
	if err != nil {
		return sdk.Manifest{}, fmt.Errorf("make run directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(opts.RunDir)) }()
	s, err := New(opts)
	if err != nil {
		return sdk.Manifest{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		running sync.WaitGroup
		runErr  error
	)
	running.Go(func() { runErr = s.Run(ctx) })
	m, err = s.probe(ctx, b)
	cancel()
	running.Wait()
	return m, errors.Join(err, runErr)
}

func (s *Supervisor) probe(ctx context.Context, b Binary) (sdk.Manifest, error) {
	select {
	case <-s.ready:
	case <-s.ended:
		return sdk.Manifest{}, nil // Run says why
	}
	p, err := s.start(ctx, b, newLogbook())
	if err != nil {
		return sdk.Manifest{}, fmt.Errorf("%s: %w", strings.TrimSpace("start plugin "+b.Name), err)
	}
	defer p.stop(ctx, 0)
	return p.manifest, nil
}

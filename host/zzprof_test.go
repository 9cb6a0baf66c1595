package main

import (
	"context"
	"os"
	"io"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZZProf(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	num := func(k string, d int) int { if v, err := strconv.Atoi(os.Getenv(k)); err == nil { return v }; return d }
	shape := loadShape{streams: num("STREAMS", 1), pages: num("PAGES", 10), records: num("RECORDS", 20000), segment: num("SEG", 1000)}
	for range num("N", 5) {
	s := newSite(t, shape.settings())
	ctx, cancel := context.WithCancel(context.Background())
	c := newCLI(os.Stdin, io.Discard, io.Discard, os.Getenv)
	c.config = filepath.Join(s.dir, "host.yaml")
	h, err := c.openHost(ctx, false)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	r := s.awaitRun(1)
	t.Logf("%.0f krec/s", rate(shape.total(), r.duration()))
	if num("AGAIN", 0) > 0 {
		s.cli("integration", "sync", "acme/load", "--force", "--wait")
		r := s.awaitRun(2)
		t.Logf("again %.0f krec/s", rate(shape.total(), r.duration()))
	}
	_ = pprof.Lookup
	_ = time.Second
	cancel()
	<-done
	}
}

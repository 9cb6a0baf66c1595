package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/upkeep"
	"github.com/jackfield/jackfield/store"
)

const (
	// snapshotLook is how often it is asked whether a snapshot is due.
	snapshotLook = time.Minute
	// snapshotRest is how long a start belongs to the work alone.
	snapshotRest = time.Minute
	// snapshotRetry is how long a failed one rests, if the next one is not due sooner.
	snapshotRetry = 15 * time.Minute
	// snapshotRoom is what a snapshot leaves free: it must not fill the disk.
	snapshotRoom = 128 << 20
)

// A snapshot's file is named after its time, in UTC.
const (
	snapshotPrefix = "snapshot-"
	snapshotTime   = "20060102T150405Z"
	snapshotSuffix = ".db"
)

// snapshots keeps checked copies of the store, made on a schedule.
type snapshots struct {
	backup func(ctx context.Context, path string) (store.Backup, error)
	size   func(ctx context.Context) (int64, error) // of the store
	free   func(dir string) (int64, bool)
	now    func() time.Time
	log    hclog.Logger
	since  time.Time // of the daemon's start

	mu      sync.Mutex // guards what follows
	config  config.Snapshots
	state   api.Snapshots
	retryAt time.Time
}

// configure takes over what host.yaml says now.
func (s *snapshots) configure(c config.Snapshots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config != c {
		s.config, s.retryAt = c, time.Time{}
		s.state = api.Snapshots{Enabled: c.Every > 0, Dir: c.Dir}
	}
}

// status tells of the newest one.
func (s *snapshots) status() api.Snapshots {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// task makes the snapshots, one when it is due.
func (s *snapshots) task() upkeep.Task {
	return upkeep.Task{Name: "snapshot", Every: snapshotLook, Do: func(ctx context.Context) (bool, error) {
		return false, s.keep(ctx)
	}}
}

// keep makes a snapshot if one is due, and drops what is more than is to be kept.
func (s *snapshots) keep(ctx context.Context) error {
	s.mu.Lock()
	c, retryAt := s.config, s.retryAt
	s.mu.Unlock()
	if c.Every <= 0 {
		return nil
	}
	now := s.now()
	kept, err := listSnapshots(c.Dir, now)
	if err == nil && due(c, kept, now) {
		if now.Before(retryAt) || now.Sub(s.since) < snapshotRest {
			return nil
		}
		if err = s.make(ctx, c, now); err == nil {
			kept, err = listSnapshots(c.Dir, now)
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the daemon stops; the next one makes it
	}
	if err == nil { // only then are there enough to drop one
		kept, err = dropSnapshots(c, kept)
	}
	s.settle(c, kept, now, err)
	return err
}

// due reports whether the newest one is old enough.
func due(c config.Snapshots, kept []time.Time, now time.Time) bool {
	return len(kept) == 0 || now.Sub(kept[len(kept)-1]) >= c.Every || fromFuture(kept[len(kept)-1], now)
}

// fromFuture reports whether the clock was wrong when a snapshot was named.
func fromFuture(at, now time.Time) bool { return at.Sub(now) > time.Hour }

// settle remembers how it went.
func (s *snapshots) settle(c config.Snapshots, kept []time.Time, now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config != c {
		return // it says nothing of what is wanted now
	}
	s.state.Kept, s.state.Err = len(kept), err
	if len(kept) > 0 {
		s.state.NewestAt = kept[len(kept)-1]
		s.state.Newest = snapshotPath(c.Dir, s.state.NewestAt)
	}
	if err != nil {
		s.retryAt = now.Add(min(snapshotRetry, c.Every))
	}
}

// make makes one, unless it would fill the disk.
func (s *snapshots) make(ctx context.Context, c config.Snapshots, now time.Time) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := dropPartial(c.Dir); err != nil {
		return err
	}
	size, err := s.size(ctx)
	if err != nil {
		return err
	}
	if free, ok := s.free(c.Dir); ok && free < size+snapshotRoom {
		return store.Hint(fmt.Errorf("%s has %s left, a snapshot needs %s: %w", c.Dir, bytesText(free), bytesText(size+snapshotRoom), store.ErrFull),
			"make room, keep fewer, or name another disk: snapshots: {dir: ...}")
	}
	b, err := s.backup(ctx, snapshotPath(c.Dir, now))
	if err != nil {
		return err
	}
	s.log.Info("snapshot made", "path", b.Path, "bytes", b.Bytes, "took", b.Took)
	return nil
}

func snapshotPath(dir string, at time.Time) string {
	return filepath.Join(dir, snapshotPrefix+at.UTC().Format(snapshotTime)+snapshotSuffix)
}

// listSnapshots returns the times of those in dir, the oldest first; before them
// those from the future, whose age nobody knows. Other files are none of its
// business.
func listSnapshots(dir string, now time.Time) ([]time.Time, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var times []time.Time
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), snapshotPrefix)
		if !ok {
			continue
		}
		if at, err := time.Parse(snapshotTime+snapshotSuffix, name); err == nil {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int {
		switch fa, fb := fromFuture(a, now), fromFuture(b, now); {
		case fa && !fb:
			return -1
		case fb && !fa:
			return 1
		default:
			return a.Compare(b)
		}
	})
	return times, err
}

// dropSnapshots removes the oldest ones and returns those that stay.
func dropSnapshots(c config.Snapshots, kept []time.Time) ([]time.Time, error) {
	for len(kept) > c.Keep {
		path := snapshotPath(c.Dir, kept[0])
		if err := os.Remove(path + "-inbox"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, fmt.Errorf("drop the oldest one: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return kept, fmt.Errorf("drop the oldest one: %w", err)
		}
		kept = kept[1:]
	}
	return kept, nil
}

// dropPartial removes what a killed daemon left.
func dropPartial(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, snapshotPrefix+"*"+snapshotSuffix+"*.partial"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

//go:build unix

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadShape is what a measured sync is made of.
type loadShape struct {
	streams, pages, records, segment int
	size                             int // bytes of a record's data; 300 if zero
}

func (l loadShape) total() int { return l.streams * l.pages * l.records }

func (l loadShape) settings() map[string]any {
	return map[string]any{"streams": l.streams, "pages": l.pages, "records": l.records, "segment": l.segment, "size": cmp.Or(l.size, 300)}
}

// The syncs that are measured: one stream in large and in small segments, and four
// at once; of as many records each.
func bigSegments() loadShape {
	return loadShape{streams: 1, pages: 10, records: 20_000, segment: 1000}
}

func smallSegments() loadShape {
	return loadShape{streams: 1, pages: 10, records: 20_000, segment: 100}
}

func bigRecords() loadShape {
	return loadShape{streams: 1, pages: 10, records: 16_000, segment: 1000, size: 1024}
}

func fourStreams() loadShape {
	return loadShape{streams: 4, pages: 5, records: 10_000, segment: 1000}
}

// measureSyncs compares a sync of a real daemon and a real plugin with the raw
// upsert of what the sync stored.
func measureSyncs(t *testing.T, f *figures) {
	t.Helper()
	var raws, bigs, smalls, fours, sames, streams, ratios, smallRatios, fourRatios, sameRatios, kilos, kiloRaws, kiloRatios []float64
	for range figuresRounds {
		big := importOnce(t, bigSegments(), true)
		raw := rawUpsert(t, big.records)
		small := importOnce(t, smallSegments(), false)
		four := importOnce(t, fourStreams(), false)
		raws, bigs, smalls, fours = append(raws, raw), append(bigs, big.first), append(smalls, small.first), append(fours, four.first)
		sames = append(sames, big.again)
		ratios, smallRatios = append(ratios, big.first/raw), append(smallRatios, small.first/raw)
		fourRatios, sameRatios = append(fourRatios, four.first/raw), append(sameRatios, big.again/big.first)
		kilo := importOnce(t, bigRecords(), true)
		kiloRaw := rawUpsert(t, kilo.records)
		kilos, kiloRaws, kiloRatios = append(kilos, kilo.first), append(kiloRaws, kiloRaw), append(kiloRatios, kilo.first/kiloRaw)
		streams = append(streams, streamAlone(t, bigSegments()))
	}
	f.ratio("sync, segments of 1,000, against raw upsert", median(ratios), 0.80)
	f.ratio("sync, segments of 100, against raw upsert", median(smallRatios), 0.75)
	f.ratio("sync of records of 1 KB, against raw upsert", median(kiloRatios), 0.85)
	f.ratio("sync, four streams at once, against raw upsert", median(fourRatios), 0.80)
	f.ratio("sync in which nothing changed, against the import", median(sameRatios), 1.4)
	f.plain("  sync, segments of 1,000", krecs(median(bigs)))
	f.plain("  sync, segments of 100", krecs(median(smalls)))
	f.plain("  sync, four streams at once", krecs(median(fours)))
	f.plain("  sync in which nothing changed", krecs(median(sames)))
	f.plain("  sync of records of 1 KB", krecs(median(kilos)))
	f.plain("  ceiling: raw multi-row upsert, synchronous=FULL", krecs(median(raws)))
	f.plain("  ceiling: the same of records of 1 KB", krecs(median(kiloRaws)))
	f.plain("  ceiling: the same calls of the plugin, nothing stored", krecs(median(streams)))
}

// imported is what a site measured, in thousands of records per second.
type imported struct {
	first, again float64
	records      []rawRecord
}

// importOnce starts a daemon whose store is empty and syncs: once, and if again
// is set a second time, in which nothing has changed.
func importOnce(t *testing.T, shape loadShape, again bool) imported {
	t.Helper()
	s := newSite(t, shape.settings())
	d := s.start()
	first := s.awaitRun(1)
	require.Equal(t, shape.total(), first.Stats.Added)
	out := imported{first: rate(shape.total(), first.duration())}
	if again {
		s.cli("integration", "sync", "acme/load", "--force", "--wait")
		second := s.awaitRun(2)
		require.Equal(t, shape.total(), second.Stats.Unchanged)
		out.again = rate(shape.total(), second.duration())
	}
	d.stop(t)
	if again {
		out.records = s.rawRecords()
		require.Len(t, out.records, shape.total())
	}
	return out
}

// measuredRun is a run as the command line prints it.
type measuredRun struct {
	State      string `json:"state"`
	DurationMS int    `json:"duration_ms"`
	Stats      struct {
		Added     int `json:"added"`
		Unchanged int `json:"unchanged"`
	} `json:"stats"`
}

func (r measuredRun) duration() time.Duration { return time.Duration(r.DurationMS) * time.Millisecond }

// awaitRun waits for the end of the nth run. It asks rarely: what it asks costs
// the daemon time.
func (s *site) awaitRun(n int) measuredRun {
	s.t.Helper()
	var runs struct {
		Runs []measuredRun `json:"runs"`
	}
	require.Eventually(s.t, func() bool {
		out, err := s.try("run", "list", "-o", "json")
		if err != nil || json.Unmarshal([]byte(out), &runs) != nil {
			return false
		}
		return len(runs.Runs) >= n && runs.Runs[0].State == "processed"
	}, 2*time.Minute, 250*time.Millisecond)
	return runs.Runs[0]
}

// untimed is for what is measured: watching a context that can end doubles the
// cost of a statement.
func untimed(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}

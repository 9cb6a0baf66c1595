package runner_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// emission is a page: one segment.
type emission struct {
	records  []sdk.Record
	warnings int
	fails    error // before its end, the first time
}

// tally is what becomes of the records of one stream, told without a database.
type tally struct {
	stored  map[string]sdk.Record
	updates map[string]string
	store.RunStats
}

// random returns a page of records with few ids, so that all sorts of things become
// of them.
func random(r *rand.Rand, stream string, errs []error) (e emission) {
	for range r.IntN(14) {
		rec := sdk.Record{Kind: "thing", ID: fmt.Sprintf("%s-%d", stream, r.IntN(7)), Data: fmt.Appendf(nil, `{"n":%d}`, r.IntN(3))}
		if r.IntN(3) > 0 {
			rec.Version = strconv.Itoa(r.IntN(5))
		}
		switch r.IntN(12) {
		case 0, 1:
			rec.Delete, rec.Data = true, nil
		case 2, 3:
			rec.Update, rec.Version = true, ""
			rec.Data = fmt.Appendf(nil, `{"u":%d}`, r.IntN(2))
		case 4:
			e.warnings++
		}
		e.records = append(e.records, rec)
	}
	if r.IntN(3) == 0 {
		e.fails = errs[r.IntN(len(errs))]
	}
	return e
}

// page counts what becomes of a page.
func (y *tally) page(e emission) {
	y.Warnings += int64(e.warnings)
	last := map[string]sdk.Record{}
	for _, r := range e.records {
		y.Read++
		if r.Update {
			continue
		}
		before, again := last[r.ID]
		if again {
			y.Stale++ // one of the two
		}
		if !again || !outdates(before, r) {
			last[r.ID] = r
		}
	}
	for id, r := range last {
		before, known := y.stored[id]
		switch {
		case known && before.Version == r.Version && before.Delete == r.Delete && string(before.Data) == string(r.Data):
			y.Unchanged++
			continue
		case known && outdates(before, r):
			y.Stale++
			continue
		case r.Delete:
			y.Deleted++
		case known:
			y.Updated++
		default:
			y.Added++
		}
		y.stored[id] = r
	}
	for _, r := range e.records {
		switch {
		case !r.Update:
		case y.updates[r.ID] == string(r.Data):
			y.Unchanged++
		default:
			y.Updated++
			y.updates[r.ID] = string(r.Data)
		}
	}
}

// outdates reports whether r is older than what is there.
func outdates(there, r sdk.Record) bool {
	return there.Version != "" && r.Version != "" && r.Version < there.Version
}

func sum(to *store.RunStats, n store.RunStats) {
	to.Read += n.Read
	to.Added += n.Added
	to.Updated += n.Updated
	to.Deleted += n.Deleted
	to.Unchanged += n.Unchanged
	to.Stale += n.Stale
	to.Warnings += n.Warnings
}

// rows: O25
//
// Whatever is emitted in whatever order, however often its pages are tried: the
// figures of each stream, each connector and each run are those of what was
// emitted, once.
func TestStatsAreSumsOfWhatWasEmitted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			testStats(t, rand.New(rand.NewPCG(seed, 25)))
		})
	}
}

func testStats(t *testing.T, r *rand.Rand) {
	t.Helper()
	connectors := map[string]string{"a": "things", "b": "things", "c": "people", "d": "people", "e": "people"}
	errs := []error{&sdk.Error{Class: sdk.ClassRemote, Message: "503"}, &sdk.Error{Class: sdk.ClassRemote, Message: "504"}, errDied}
	var (
		mu     sync.Mutex
		pages  map[string][]emission
		failed map[string]bool
	)
	s := &script{manifest: sdk.Manifest{Connectors: []sdk.Connector{{Name: "things"}, {Name: "people"}}}}
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for id, connector := range connectors {
			if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: connector, Partition: id}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		n, _ := strconv.Atoi(string(call.Page))
		mu.Lock()
		e, fails := pages[call.Stream.ID][n], false
		if at := call.Stream.ID + string(call.Page); e.fails != nil && !failed[at] {
			failed[at], fails = true, true
		}
		last := n == len(pages[call.Stream.ID])-1
		mu.Unlock()
		for i, rec := range e.records {
			if fails && i == len(e.records)/2 {
				return sdk.Outcome{}, e.fails
			}
			if err := out.Record(ctx, rec); err != nil {
				return sdk.Outcome{}, err
			}
		}
		for i := range e.warnings {
			large := sdk.Record{Kind: "thing", ID: "large", Data: []byte(`"` + strings.Repeat("x", sdk.MaxRecord) + `"`)}
			if i > 0 {
				if err := out.Warn(ctx, "x", "skipped"); err != nil {
					return sdk.Outcome{}, err
				}
			} else if err := out.Record(ctx, large); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if fails {
			return sdk.Outcome{}, e.fails
		}
		outcome := sdk.Outcome{Cursor: []byte(strconv.Itoa(n))}
		if !last {
			outcome.NextPage = []byte(strconv.Itoa(n + 1))
		}
		return outcome, nil
	}
	tallies := map[string]*tally{}
	for id := range connectors {
		tallies[id] = &tally{stored: map[string]sdk.Record{}, updates: map[string]string{}}
	}
	prepare := func() {
		mu.Lock()
		defer mu.Unlock()
		pages, failed = map[string][]emission{}, map[string]bool{}
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			y := tallies[id]
			y.RunStats = store.RunStats{}
			died := false
			for range 1 + r.IntN(6) {
				e := random(r, id, errs)
				if e.fails == errDied { //nolint:errorlint // it is that very one
					if died {
						e.fails = nil // the second time it would be suspected
					}
					died = true
				}
				pages[id] = append(pages[id], e)
				y.page(e)
			}
		}
	}
	prepare()
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"things", "people"}
		w.up()
		w.until(store.RunProcessed)
		var seen store.RunStats
		for n := range int64(4) {
			if n > 0 {
				prepare()
				_, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: 1, Class: store.ClassPull, Kind: store.RunManual})
				require.NoError(t, err)
			}
			w.processed(n + 1)
			run := w.run()
			var all store.RunStats
			byConnector := map[string]store.RunStats{}
			for id, st := range w.streams() {
				y, ok := tallies[id]
				if !ok {
					continue
				}
				require.Equal(t, y.RunStats, st.Stats, "stream %s of run %d", id, n)
				sum(&all, st.Stats)
				part := byConnector[connectors[id]]
				sum(&part, st.Stats)
				byConnector[connectors[id]] = part
			}
			require.Equal(t, all, run.Stats, "run %d", n)
			sum(&seen, all)
			require.Equal(t, all.Read, all.Added+all.Updated+all.Deleted+all.Unchanged+all.Stale)
			statuses, err := w.db.ConnectorStatuses(t.Context(), store.ConnectorFilter{RunID: run.ID})
			require.NoError(t, err)
			require.Len(t, statuses, 2)
			for _, c := range statuses {
				require.Equal(t, byConnector[c.Connector], c.Stats, "connector %s of run %d", c.Connector, n)
			}
		}
		for _, n := range []int64{seen.Added, seen.Updated, seen.Deleted, seen.Unchanged, seen.Stale, seen.Warnings} {
			require.Positive(t, n, "there was some of everything: %+v", seen)
		}
	})
}

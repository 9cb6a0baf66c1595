package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// history returns the runs as far as they depend on nothing but the seed.
func (w *simWorld) history() string {
	w.t.Helper()
	var b strings.Builder
	for n := range w.plan.tenants {
		in, err := w.db.IntegrationByUID(context.Background(), simUID(n))
		require.NoError(w.t, err)
		runs, err := w.db.Runs(context.Background(), store.RunFilter{IntegrationID: in.ID, Limit: 1000})
		require.NoError(w.t, err)
		for _, r := range slices.Backward(runs) {
			fmt.Fprintf(&b, "%s %s %s %v %v %t %s %s %+v %+v\n", in.Tenant, r.CreatedAt, r.Kind, r.Connectors, r.Params, r.Force, r.State, r.EndedAt, r.Stats, r.Streams)
		}
	}
	return b.String()
}

// complete compares the store with the truth, record by record: nothing was lost,
// doubled or brought back, and nothing deleted that is there. A book that vanished
// may be there until a full listing has begun after that; listed says that one has,
// everywhere.
func (w *simWorld) complete(listed bool) {
	w.t.Helper()
	for n := range w.plan.tenants {
		have := w.stored(n)
		truth := w.remote.truth(simTenant(n))
		for id, data := range truth {
			if data == "" && have[id] == "" { // gone, with or without a trace
				delete(truth, id)
				delete(have, id)
			}
		}
		for id, at := range w.remote.vanished(simTenant(n)) {
			if have[id] == "" || !listed && !at.Add(10*time.Minute).Before(w.people.listed[n]) {
				delete(have, id)
			}
		}
		require.Equal(w.t, truth, have, "records of %s (seed %d)", simTenant(n), w.plan.seed)
	}
}

// stored returns the data of each record of a tenant by its kind and id, empty for
// one that is deleted.
func (w *simWorld) stored(n int) map[string]string {
	w.t.Helper()
	have := map[string]string{}
	for after := int64(0); ; {
		some, err := w.db.Records(context.Background(), store.RecordFilter{IntegrationID: w.ids[n], After: after, Deleted: true, Limit: 1000})
		require.NoError(w.t, err)
		if len(some) == 0 {
			return have
		}
		for _, r := range some {
			id := r.Kind + " " + r.ExternalID
			require.NotContains(w.t, have, id)
			have[id] = string(r.Data)
			after = r.Position
		}
	}
}

// punctual compares the checks with the schedules: none is left out, none comes
// twice but for the clock, and nobody waits.
func (w *simWorld) punctual() {
	w.t.Helper()
	begin, end := simBegin(), w.now()
	for n, rule := range w.rules {
		if n%50 == 0 && w.plan.days > 10 {
			busy := 24 * 60 / 5
			require.Greater(w.t, len(w.checks[n]), busy-10, "checks of %s, which has a busy day", simTenant(n))
			continue
		}
		due, longest := 0, time.Duration(0)
		for at := begin; ; due++ {
			next, err := rule.Next(at)
			require.NoError(w.t, err)
			if next.After(end) {
				break
			}
			longest = max(longest, next.Sub(at))
			at = next
			if w.people.away(n, at, at) {
				due--
			}
		}
		asked := w.people.asked[n] // each may have come in the place of a check
		// The onboarding comes at once. A clock that is set wrong, and right again,
		// lets checks come once more each time.
		got := len(w.checks[n])
		require.GreaterOrEqual(w.t, got, due-1-asked, "checks of %s (%s, seed %d): %v", simTenant(n), rule, w.plan.seed, w.checks[n])
		require.LessOrEqual(w.t, got, due+2+2*w.jumps+asked+len(w.people.holds[n]), "checks of %s (%s, seed %d): %v", simTenant(n), rule, w.plan.seed, w.checks[n])
		longest = max(longest, time.Duration(rule.Every)*90*time.Second)
		slices.SortFunc(w.checks[n], time.Time.Compare)
		last := begin
		for _, at := range w.checks[n] {
			if at.Before(begin) || at.After(end) { // the clock was wrong by years
				continue
			}
			if w.people.away(n, last, at) {
				last = at
				continue
			}
			require.LessOrEqual(w.t, at.Sub(last), longest+2*time.Hour, "%s (%s, seed %d) waited until %s: %v", simTenant(n), rule, w.plan.seed, at, w.checks[n])
			last = at
		}
		require.LessOrEqual(w.t, end.Sub(last), longest+2*time.Hour, "%s (%s, seed %d) waits since %s", simTenant(n), rule, w.plan.seed, last)
	}
}

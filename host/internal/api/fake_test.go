package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

// fakeStore keeps what a test puts into it and selects as a driver does.
type fakeStore struct {
	mu           sync.Mutex // guards all below
	err          error      // of every method, if set
	status       store.Status
	violations   []store.Violation
	tenants      []store.Tenant
	integrations []store.Integration
	runs         []store.Run
	streams      []store.Stream
	records      []store.StoredRecord
	forgotten    int64 // position of the newest deletion that is
	warnings     []store.Warning
	circuits     map[int64][]store.Circuit // by integration
	uses         map[int64]store.LimitUse  // of limits, by integration
	members      []store.Member
	merges       []store.MemberMerge
	rebuilt      []int64 // tenants whose members are made anew
	parts        []store.ConnectorStatus
	events       []store.Event
	failed       []int64
	failedOf     []string  // plugins whose failed streams were asked for
	due          time.Time // of the next stream
	tokens       []store.Token
	sums         map[string]int64 // of tokens, by sum
	changed      chan struct{}
}

var _ Store = (*fakeStore)(nil)

func newFakeStore() *fakeStore { return &fakeStore{changed: make(chan struct{})} }

// edit changes the store and wakes those who watch it.
func (f *fakeStore) edit(change func(*fakeStore)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeStore) hint() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func locked[T any](f *fakeStore, read func() (T, error)) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		var none T
		return none, f.err
	}
	return read()
}

// pick returns the first limit elements that match.
func pick[T any](list []T, limit int, match func(T) bool) []T {
	var out []T
	for _, v := range list {
		if match(v) && (limit == 0 || len(out) < limit) {
			out = append(out, v)
		}
	}
	return out
}

func one[T any](list []T, match func(T) bool) (T, error) {
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i], nil
	}
	var none T
	return none, store.ErrNotFound
}

func (f *fakeStore) Status(context.Context) (store.Status, error) {
	return locked(f, func() (store.Status, error) { return f.status, nil })
}

func (f *fakeStore) Verify(context.Context) ([]store.Violation, error) {
	return locked(f, func() ([]store.Violation, error) { return f.violations, nil })
}

func (f *fakeStore) Tenants(context.Context) ([]store.Tenant, error) {
	return locked(f, func() ([]store.Tenant, error) { return f.tenants, nil })
}

func (f *fakeStore) Integrations(_ context.Context, q store.IntegrationFilter) ([]store.Integration, error) {
	return locked(f, func() ([]store.Integration, error) {
		return pick(f.integrations, q.Limit, func(i store.Integration) bool {
			return i.ID > q.After && (q.Tenant == "" || i.Tenant == q.Tenant) && (q.Plugin == "" || i.Plugin == q.Plugin) && (q.Template == "" || i.Template == q.Template) &&
				(q.Beyond == nil || slices.ContainsFunc(i.Connectors, func(c string) bool { return !slices.Contains(q.Beyond, c) }))
		}), nil
	})
}

func (f *fakeStore) IntegrationByUID(_ context.Context, uid string) (store.Integration, error) {
	return locked(f, func() (store.Integration, error) {
		return one(f.integrations, func(i store.Integration) bool { return i.UID == uid })
	})
}

func (f *fakeStore) IntegrationByName(_ context.Context, tenant, name string) (store.Integration, error) {
	return locked(f, func() (store.Integration, error) {
		return one(f.integrations, func(i store.Integration) bool { return i.Tenant == tenant && i.Name == name })
	})
}

func (f *fakeStore) Run(_ context.Context, id int64) (store.Run, error) {
	return locked(f, func() (store.Run, error) {
		return one(f.runs, func(r store.Run) bool { return r.ID == id })
	})
}

func (f *fakeStore) Runs(_ context.Context, q store.RunFilter) ([]store.Run, error) {
	return locked(f, func() ([]store.Run, error) {
		newest := slices.Clone(f.runs)
		slices.Reverse(newest)
		return pick(newest, q.Limit, func(r store.Run) bool {
			return (q.Before == 0 || r.ID < q.Before) && (q.Tenant == "" || r.Tenant == q.Tenant) &&
				(q.State == "" || r.State == q.State) && (!q.Stuck || !r.StuckSince.IsZero()) && (q.IntegrationID == 0 || r.IntegrationID == q.IntegrationID)
		}), nil
	})
}

func (f *fakeStore) setRun(id int64, state store.RunState, from ...store.RunState) (store.Run, error) {
	return locked(f, func() (store.Run, error) {
		for i, r := range f.runs {
			if r.ID != id {
				continue
			}
			if !slices.Contains(from, r.State) {
				return r, store.ErrConflict
			}
			f.runs[i].State = state
			return f.runs[i], nil
		}
		return store.Run{}, store.ErrNotFound
	})
}

func (f *fakeStore) CancelRun(_ context.Context, id int64, _ string) (store.Run, error) {
	return f.setRun(id, store.RunCancelled, store.RunPending, store.RunProcessing, store.RunDelayed)
}

func (f *fakeStore) ContinueRun(_ context.Context, id int64) (store.Run, error) {
	return f.setRun(id, store.RunPending, store.RunPartial, store.RunError, store.RunDelayed)
}

func (f *fakeStore) Warnings(context.Context, int64, int) ([]store.Warning, error) {
	return locked(f, func() ([]store.Warning, error) { return f.warnings, nil })
}

func (f *fakeStore) Stream(_ context.Context, id int64) (store.Stream, error) {
	return locked(f, func() (store.Stream, error) {
		return one(f.streams, func(s store.Stream) bool { return s.ID == id })
	})
}

func (f *fakeStore) Streams(_ context.Context, q store.StreamFilter) ([]store.Stream, error) {
	return locked(f, func() ([]store.Stream, error) {
		return pick(f.streams, q.Limit, func(s store.Stream) bool {
			return s.ID > q.After && (q.RunID == 0 || s.RunID == q.RunID) && (q.State == "" || s.State == q.State) &&
				(q.System || !s.Type.System()) && (q.Connector == "" || s.Connector == q.Connector)
		}), nil
	})
}

func (f *fakeStore) setStream(id int64, state store.StreamState, from ...store.StreamState) (store.Stream, error) {
	return locked(f, func() (store.Stream, error) {
		for i, s := range f.streams {
			if s.ID != id {
				continue
			}
			if !slices.Contains(from, s.State) {
				return s, store.ErrConflict
			}
			f.streams[i].State = state
			return f.streams[i], nil
		}
		return store.Stream{}, store.ErrNotFound
	})
}

func (f *fakeStore) RetryStream(_ context.Context, id int64) (store.Stream, error) {
	return f.setStream(id, store.StreamPending, store.StreamError)
}

func (f *fakeStore) ProcessStream(_ context.Context, id int64, force bool) (store.Stream, error) {
	from := []store.StreamState{store.StreamError, store.StreamPending, store.StreamDelayed}
	if force {
		from = append(from, store.StreamProcessed, store.StreamCancelled)
	}
	return f.setStream(id, store.StreamPending, from...)
}

func (f *fakeStore) FailedStreams(_ context.Context, q store.FailedFilter) ([]int64, error) {
	return locked(f, func() ([]int64, error) {
		f.failedOf = append(f.failedOf, q.Plugin)
		return pick(f.failed, q.Limit, func(id int64) bool { return id > q.After }), nil
	})
}

func (f *fakeStore) OpenStreams(context.Context, string, int64) (int64, error) {
	return locked(f, func() (int64, error) {
		return int64(len(pick(f.streams, 0, func(s store.Stream) bool { return !s.State.Terminal() }))), nil
	})
}

func (f *fakeStore) ConnectorStatuses(_ context.Context, q store.ConnectorFilter) ([]store.ConnectorStatus, error) {
	return locked(f, func() ([]store.ConnectorStatus, error) {
		newest := slices.Clone(f.parts)
		slices.Reverse(newest)
		return pick(newest, q.Limit, func(c store.ConnectorStatus) bool {
			return (q.Before == 0 || c.ID < q.Before) && (q.RunID == 0 || c.RunID == q.RunID) && (q.Code == "" || c.Code == q.Code) &&
				(q.Connector == "" || c.Connector == q.Connector) && (q.IntegrationID == 0 || c.IntegrationID == q.IntegrationID) &&
				!c.EndedAt.Before(q.Since) && (q.Until.IsZero() || c.EndedAt.Before(q.Until))
		}), nil
	})
}

func (f *fakeStore) NextStreamDue(context.Context, int64) (time.Time, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.due, !f.due.IsZero(), f.err
}

func (f *fakeStore) RecentEvents(_ context.Context, q store.EventFilter) ([]store.Event, error) {
	return locked(f, func() ([]store.Event, error) {
		newest := slices.Clone(f.events)
		slices.Reverse(newest)
		return pick(newest, q.Limit, func(e store.Event) bool {
			return (q.Before == 0 || e.ID < q.Before) && (q.Kind == "" || e.Kind == q.Kind) && (q.IntegrationID == 0 || e.IntegrationID == q.IntegrationID)
		}), nil
	})
}

func (f *fakeStore) IntegrationByID(_ context.Context, id int64) (store.Integration, error) {
	return locked(f, func() (store.Integration, error) {
		return one(f.integrations, func(i store.Integration) bool { return i.ID == id })
	})
}

func (f *fakeStore) SkipStream(_ context.Context, id int64, _ string) (store.Stream, error) {
	return f.setStream(id, store.StreamCancelled, store.StreamError, store.StreamPending, store.StreamDelayed)
}

func (f *fakeStore) Feed(_ context.Context, q store.RecordFilter) (store.FeedPage, error) {
	return locked(f, func() (store.FeedPage, error) {
		if q.After > 0 && q.After < f.forgotten && q.Since < f.forgotten {
			return store.FeedPage{}, store.Hint(store.ErrPositionExpired, "read anew")
		}
		p := store.FeedPage{Through: max(q.After, f.newest()), Since: q.Since}
		if q.After == 0 {
			p.Since = f.newest()
		}
		p.Records = pick(f.records, q.Limit, func(r store.StoredRecord) bool {
			return r.Position > q.After && (q.Kind == "" || r.Kind == q.Kind) && (q.Tenant == "" || r.Tenant == q.Tenant) &&
				(q.ExternalID == "" || r.ExternalID == q.ExternalID) && (q.Deleted || !r.Deleted)
		})
		if n := len(p.Records); n == q.Limit {
			p.Through = p.Records[n-1].Position
		}
		return p, nil
	})
}

// newest returns the newest position. The caller holds the lock.
func (f *fakeStore) newest() int64 {
	if n := len(f.records); n > 0 {
		return f.records[n-1].Position
	}
	return 0
}

func (f *fakeStore) Circuits(_ context.Context, id int64) ([]store.Circuit, error) {
	return locked(f, func() ([]store.Circuit, error) { return f.circuits[id], nil })
}

func (f *fakeStore) LimitUse(_ context.Context, id int64) (store.LimitUse, bool, error) {
	use, err := locked(f, func() (store.LimitUse, error) { return f.uses[id], nil })
	return use, use.Limit > 0, err
}

func (f *fakeStore) DeleteIntegration(_ context.Context, id int64) error {
	_, err := locked(f, func() (int, error) {
		for n, i := range f.integrations {
			if i.ID == id && !i.RemovedAt.IsZero() {
				f.integrations = append(f.integrations[:n:n], f.integrations[n+1:]...)
				return 0, nil
			}
		}
		return 0, store.Hint(store.ErrConflict, "remove it from the file first")
	})
	return err
}

func (f *fakeStore) DeleteTenant(_ context.Context, name string) error {
	_, err := locked(f, func() (int, error) {
		for _, i := range f.integrations {
			if i.Tenant == name && i.RemovedAt.IsZero() {
				return 0, store.Hint(store.ErrConflict, "remove it from the file first")
			}
		}
		f.tenants = slices.DeleteFunc(f.tenants, func(t store.Tenant) bool { return t.Name == name })
		return 0, nil
	})
	return err
}

func (f *fakeStore) HoldIntegration(_ context.Context, id int64, by string, finish bool) (store.Integration, error) {
	return f.setIntegration(id, func(i *store.Integration) {
		i.State, i.Hold, i.Finishing = store.IntegrationDisabled, &store.Hold{By: by, At: time.Unix(1, 0), State: i.State}, finish
	})
}

func (f *fakeStore) ReleaseIntegration(_ context.Context, id int64, _ string) (store.Integration, error) {
	return f.setIntegration(id, func(i *store.Integration) { i.State, i.Hold, i.Finishing = store.IntegrationActive, nil, false })
}

func (f *fakeStore) setIntegration(id int64, change func(*store.Integration)) (store.Integration, error) {
	return locked(f, func() (store.Integration, error) {
		for n := range f.integrations {
			if f.integrations[n].ID == id {
				change(&f.integrations[n])
				return f.integrations[n], nil
			}
		}
		return store.Integration{}, store.ErrNotFound
	})
}

func (f *fakeStore) RecordCounts(context.Context, int64) (map[string]int64, error) {
	return locked(f, func() (map[string]int64, error) {
		counts := map[string]int64{}
		for _, r := range f.records {
			counts[r.Kind]++
		}
		return counts, nil
	})
}

func (f *fakeStore) Position(context.Context) (int64, error) {
	return locked(f, func() (int64, error) { return f.newest(), nil })
}

func (f *fakeStore) Parents(_ context.Context, records []store.StoredRecord) (map[store.RecordKey]bool, error) {
	return locked(f, func() (map[store.RecordKey]bool, error) {
		there := map[store.RecordKey]bool{}
		for _, r := range records {
			for _, p := range f.records {
				if key := r.ParentKey(); key == (store.RecordKey{IntegrationID: p.IntegrationID, Kind: p.Kind, ExternalID: p.ExternalID}) {
					there[key] = true
				}
			}
		}
		return there, nil
	})
}

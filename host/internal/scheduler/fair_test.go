package scheduler_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// site is a real store with lanes that always have something to do, and a scheduler
// that works them a second at a time, in the test's bubble.
type site struct {
	t   *testing.T
	db  *sqlite.DB
	n   int // integrations
	ctx context.Context

	mu     sync.Mutex // guards what follows
	prios  [3]int     // at work, by class
	at     map[string]int
	most   map[string]int // of at, since it was last looked
	worked map[string]int // by tenant and class
}

// fairly runs test with a site on a store of its own.
func fairly(t *testing.T, slots int, test func(t *testing.T, s *site)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(context.Background(), sqlite.Options{Path: dir, NoSync: true})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		s := &site{t: t, db: db, ctx: ctx, at: map[string]int{}, most: map[string]int{}, worked: map[string]int{}}
		sched := scheduler.New(db, s.work, scheduler.Options{Slots: slots, Plugins: func() []string { return []string{"p"} }, Wake: db.Wakes()})
		ended := make(chan error, 1)
		go func() { ended <- sched.Run(ctx) }()
		defer func() {
			stop()
			require.NoError(t, <-ended)
			broken, err := db.Verify(context.Background())
			require.NoError(t, err)
			require.Empty(t, broken)
			require.NoError(t, db.Close())
		}()
		test(t, s)
	})
}

// tenant gives a tenant n lanes of a class, each with a run that is never done.
func (s *site) tenant(name string, n int, kind store.RunKind) {
	s.t.Helper()
	for range n {
		s.n++
		require.NoError(s.t, s.db.ApplyChanges(s.ctx, []store.Change{{
			Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", s.n), Spec: store.IntegrationSpec{
				Tenant: name, Name: fmt.Sprintf("i%d", s.n), Plugin: "p", Connectors: []string{"things"}, Every: -1, Enabled: true,
				Settings: []byte(`{}`), SettingsSum: []byte("s"),
			},
		}}))
		i, err := s.db.IntegrationByUID(s.ctx, fmt.Sprintf("%016x", s.n))
		require.NoError(s.t, err)
		_, _, err = s.db.RequestRun(s.ctx, store.RunRequest{IntegrationID: i.ID, Kind: kind})
		require.NoError(s.t, err)
	}
}

// work is the work of a lane.
func (s *site) work(ctx context.Context, l store.Lane, _ *scheduler.Hold) error {
	i, err := s.db.IntegrationByID(context.WithoutCancel(ctx), l.IntegrationID)
	if err != nil {
		return err
	}
	s.count(i.Tenant, l.Prio, 1)
	time.Sleep(time.Second) // the bubble's clock
	s.count(i.Tenant, l.Prio, -1)
	return nil
}

func (s *site) count(tenant string, prio, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prios[prio] += n
	s.at[tenant] += n
	s.most[tenant] = max(s.most[tenant], s.at[tenant])
	if n > 0 {
		s.worked[fmt.Sprintf("%s %d", tenant, prio)]++
	}
}

// after lets time go by and returns how many lanes of each tenant were at work at
// once meanwhile, and how many of each class are.
func (s *site) after(d time.Duration) (most map[string]int, prios [3]int) {
	s.mu.Lock()
	clear(s.most)
	s.mu.Unlock()
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.most), s.prios
}

// rows: K13, C53
func TestATenantHoldsAQuarterOfTheSlotsWhileOthersWait(t *testing.T) {
	t.Parallel()
	fairly(t, 8, func(t *testing.T, s *site) {
		s.tenant("loud", 60, store.RunCheck)
		most, _ := s.after(10 * time.Second)
		require.Equal(t, map[string]int{"loud": 6}, most, "alone it has all that checks may have")

		for _, name := range []string{"a", "b", "c"} {
			s.tenant(name, 3, store.RunCheck)
		}
		s.after(3 * time.Second) // what was at work is done, and its turn is over
		before := s.worked["loud 1"]
		most, _ = s.after(20 * time.Second)
		for tenant, n := range most {
			require.LessOrEqual(t, n, 2, tenant)
		}
		for _, name := range []string{"a", "b", "c"} {
			require.GreaterOrEqual(t, s.worked[name+" 1"], 20, "each has a slot or more all the time")
		}
		require.GreaterOrEqual(t, s.worked["loud 1"]-before, 20, "and so has the loud one")
	})
}

// rows: K13, C53
func TestOneAmongManyOfAnotherStartsAtOnce(t *testing.T) {
	t.Parallel()
	fairly(t, 8, func(t *testing.T, s *site) {
		s.tenant("loud", 150, store.RunOnboarding)
		s.after(10 * time.Second)
		s.tenant("check", 1, store.RunCheck)
		s.after(100 * time.Millisecond)
		require.Equal(t, 1, s.worked["check 1"], "a place is kept for what is no onboarding")
		s.tenant("quiet", 1, store.RunOnboarding)
		s.after(1500 * time.Millisecond)
		require.Equal(t, 1, s.worked["quiet 2"], "the next place is its, whoever has waited for longer")
	})
}

// rows: K13, C53
func TestSharesOfTheClasses(t *testing.T) {
	t.Parallel()
	fairly(t, 22, func(t *testing.T, s *site) {
		for i := range 6 {
			name := fmt.Sprintf("t%d", i)
			s.tenant(name, 10, store.RunOnboarding)
			s.tenant(name, 10, store.RunCheck)
			s.tenant(name, 10, store.RunManual)
		}
		s.after(5500 * time.Millisecond) // onboardings came first
		for range 12 {                   // two of the sixty onboardings a second, those that wait longest
			most, prios := s.after(3 * time.Second)
			require.Equal(t, [3]int{16, 4, 2}, prios, "8 : 2 : 1")
			for tenant, n := range most {
				require.LessOrEqual(t, n, 5, tenant)
			}
		}
		for i := range 6 {
			for prio := range 3 {
				require.Positive(t, s.worked[fmt.Sprintf("t%d %d", i, prio)], "tenant %d, class %d", i, prio)
			}
		}
	})
}

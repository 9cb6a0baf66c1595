package runner_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// What the hosts of a fleet do, and how they suffer.
const (
	fleetHosts        = 3
	fleetLease        = 3 * time.Second
	fleetIntegrations = 2
	fleetStreams      = 4
	fleetPages        = 4
	fleetRuns         = 2
)

// guards are what the fleet's store is told the truth about. To forge a claim is to
// remove the guard that would refuse it, from the outside.
type guards struct {
	fence bool // the lane's owner and fence, the integration's generation
	state bool // the stream's claim and seq
}

// rows: I05, I01, I02, I03, K10, K03, C32
//
// Several hosts work on one store, are frozen for longer than their leases and are
// killed, at random. With the guards nothing that a host which lost its lane did is
// written. With the fence alone removed, or with the stream's guard as well, the
// same machine finds damage: it would find it if they were ever forgotten.
func TestFence(t *testing.T) {
	t.Parallel()
	seeds, tries := 4, 12
	switch {
	case os.Getenv("JACKFIELD_SOAK") != "":
		seeds = 150
	case testing.Short():
		seeds = 1
	}
	first := uint64(time.Now().UnixNano())
	if text := os.Getenv("JACKFIELD_SEED"); text != "" {
		var err error
		first, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "JACKFIELD_SEED")
		seeds = 1
	}
	t.Run("Holds", func(t *testing.T) {
		t.Parallel()
		var sum suffering
		for n := range seeds {
			seed := first + uint64(n)
			f := sail(t, seed, guards{fence: true, state: true})
			require.Empty(t, f.damage, "again: JACKFIELD_SEED=%d", seed)
			sum.freezes += f.freezes
			sum.kills += f.kills
			sum.refused += f.refused
		}
		t.Logf("proof: fence: %d hosts on one store, %d seeds from %d: frozen %d times, killed %d times, %d results and claims of hosts that had lost their lane refused, 0 written",
			fleetHosts, seeds, first, sum.freezes, sum.kills, sum.refused)
		require.Positive(t, sum.refused, "no host ever tried: the machine proves nothing")
		require.Positive(t, sum.freezes)
		require.True(t, sum.kills > 0 || seeds < 4, "no host was killed")
	})
	for name, g := range map[string]guards{
		"WithoutTheFenceThereIsDamage":     {state: true},
		"WithoutBothGuardsThereIsMoreOfIt": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := []string{"page", "counters", "cursor", "limits", "settings"}
			if !g.state {
				want = append(want, "counted")
			}
			found := map[string]string{}
			for n := range tries {
				for _, d := range sail(t, first+uint64(n), g).damage {
					found[d.what] = d.text
				}
				if !slices.ContainsFunc(want, func(what string) bool { return found[what] == "" }) {
					t.Logf("proof: fence: it bites: %v", slices.Sorted(maps.Keys(found)))
					return
				}
			}
			require.Failf(t, "the machine does not find what it should", "wanted %v, found %v", want, found)
		})
	}
}

// damage is what a host that lost its lane has done.
type damage struct{ what, text string }

// suffering counts what was done to the hosts.
type suffering struct{ freezes, kills, refused int }

// fleet is several hosts on one store.
type fleet struct {
	t      *testing.T
	guards guards
	plugin *script
	db     *sqlite.DB
	raw    *sql.DB

	mu sync.Mutex // guards what follows
	suffering
	random *rand.Rand
	damage []damage
	hosts  []*fleetHost
	calls  map[string]int
}

// sail has a fleet do its work and returns it with what went wrong.
func sail(t *testing.T, seed uint64, g guards) *fleet {
	t.Helper()
	f := &fleet{t: t, guards: g, random: rand.New(rand.NewPCG(seed, 7)), calls: map[string]int{}}
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(*testing.T) {
		var err error
		f.db, err = sqlite.Open(context.Background(), sqlite.Options{Path: dir, NoSync: true})
		require.NoError(t, err)
		f.raw, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "jackfield.db")+"?mode=ro")
		require.NoError(t, err)
		f.work()
		for _, h := range f.hosts {
			h.stop()
			<-h.ended
		}
		require.NoError(t, f.raw.Close())
		require.NoError(t, f.db.Close())
	})
	return f
}

// work has every integration run some times, and compares.
func (f *fleet) work() {
	ids := make([]string, fleetStreams)
	for n := range ids {
		ids[n] = fmt.Sprintf("s%d", n)
	}
	f.plugin = &script{plan: planOf(ids...), process: f.call}
	f.plugin.manifest.Name, f.plugin.manifest.Version = "script", "1.0.0"
	f.plugin.manifest.Limits.PerRun = 2
	for n := range fleetIntegrations {
		require.NoError(f.t, f.db.ApplyChanges(context.Background(), []store.Change{{
			Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", n), Sync: true,
			Spec: store.IntegrationSpec{
				Tenant: "acme", Name: fmt.Sprintf("i%d", n), Plugin: "script", Connectors: []string{"things"},
				Every: -1, Enabled: true, Settings: []byte(`{}`), SettingsSum: []byte("s"),
			},
		}}))
	}
	for range fleetHosts {
		f.launch()
	}
	for number := range fleetRuns {
		for n := range int64(fleetIntegrations) {
			_, _, err := f.db.RequestRun(context.Background(), store.RunRequest{IntegrationID: n + 1, Class: store.ClassPull, Kind: store.RunManual})
			require.NoError(f.t, err)
		}
		f.await(number + 1)
	}
	f.compare()
}

// await lets time pass until every integration's newest run is over, and kills a
// host from time to time.
func (f *fleet) await(number int) {
	deadline := time.Now().Add(2 * time.Hour)
	for time.Now().Before(deadline) {
		time.Sleep(time.Second) // the bubble's clock
		f.mu.Lock()
		kill := f.random.IntN(25) == 0
		victim := f.random.IntN(len(f.hosts))
		f.mu.Unlock()
		if kill {
			f.kill(victim)
		}
		runs, err := f.db.Runs(context.Background(), store.RunFilter{Limit: 100})
		require.NoError(f.t, err)
		open := slices.ContainsFunc(runs, func(r store.Run) bool { return !r.State.Terminal() })
		if !open && len(runs) >= number*fleetIntegrations {
			return
		}
	}
	require.Fail(f.t, "the runs do not end")
}

// call is what the plugin does in each call: it takes its time, and emits two
// records, a setting, a cursor, and now and then a rate limit.
func (f *fleet) call(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	page := 0
	if call.Page != nil {
		page, _ = strconv.Atoi(string(call.Page))
	}
	key := fmt.Sprintf("r%s_%s_%d", call.Run.ID, call.Stream.ID, page)
	f.mu.Lock()
	f.calls[key]++
	nth := f.calls[key]
	slow := time.Duration(100+f.random.IntN(700)) * time.Millisecond
	f.mu.Unlock()
	for n := range 2 {
		if err := thing(ctx, out, fmt.Sprintf("%s_%d", key, n)); err != nil {
			return sdk.Outcome{}, err
		}
		if n == 0 && call.Checkpoint == nil {
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("half")}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		time.Sleep(slow) // the bubble's clock; a frozen host's plugins go on
	}
	if err := out.Setting(ctx, key, nth); err != nil {
		return sdk.Outcome{}, err
	}
	o := sdk.Outcome{Cursor: fmt.Appendf(nil, "%s/%d", call.Run.ID, page+1)}
	if page+1 < fleetPages {
		o.NextPage = []byte(strconv.Itoa(page + 1))
	}
	if page == 1 {
		o.RateLimit = &sdk.RateLimit{After: time.Second, Key: key}
	}
	return o, nil
}

// compare looks for what a host that lost its lane has done to the store.
func (f *fleet) compare() {
	ctx := context.Background()
	broken, err := f.db.Verify(ctx)
	require.NoError(f.t, err)
	for _, v := range broken {
		f.hurt("invariant", "%s", v)
	}
	runs, err := f.db.Runs(ctx, store.RunFilter{Limit: 100})
	require.NoError(f.t, err)
	for _, r := range runs {
		// A call that was cut off at its checkpoint goes on with both records.
		least := int64(fleetStreams * fleetPages * 2)
		records, err := f.db.Records(ctx, store.RecordFilter{Limit: 1000})
		require.NoError(f.t, err)
		mine := 0
		for _, rec := range records {
			if strings.HasPrefix(rec.ExternalID, fmt.Sprintf("r%d_", r.ID)) {
				mine++
			}
		}
		if mine != int(least) || r.Stats.Added != least || r.State != store.RunProcessed || r.Streams.Processed != fleetStreams {
			f.hurt("counted", "run %d is %s with %d records, counted %d added, of %d; %d streams", r.ID, r.State, mine, r.Stats.Added, least, r.Streams.Processed)
		}
		in, err := f.db.IntegrationByID(ctx, r.IntegrationID)
		require.NoError(f.t, err)
		var patch map[string]int
		require.NoError(f.t, json.Unmarshal(in.Patch, &patch))
		for s := range fleetStreams {
			for page := range fleetPages {
				if key := fmt.Sprintf("r%d_s%d_%d", r.ID, s, page); patch[key] == 0 {
					f.hurt("settings", "%s was kept and is gone", key)
				}
			}
		}
	}
}

func (f *fleet) hurt(what, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.damage = append(f.damage, damage{what, fmt.Sprintf(format, args...)})
}

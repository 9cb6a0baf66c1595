// Crash is a host in small: the store, a scheduler, a runner, and a plugin in
// process whose work is always the same. A test kills it at each place where it
// writes, starts it again until it says that it is done, and compares what is
// stored. Everything that it begins it finds again in the store.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// run has the first sync, a change of the settings, and a forced sync.
func run(dir string) (err error) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: dir})
	if err != nil {
		return err
	}
	r := runner.New(db, plugin{}, vault{}, runner.Options{RetryBase: time.Millisecond, DeathDelay: time.Millisecond})
	s := scheduler.New(db, func(ctx context.Context, l store.Lane, h *scheduler.Hold) error {
		return r.Work(ctx, l, h)
	}, scheduler.Options{Plugins: func() []string { return []string{"script"} }, Wake: db.Wakes()})
	working, rest := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(working) }()
	err = script(ctx, db)
	rest()
	return errors.Join(err, <-ended, db.Close())
}

func script(ctx context.Context, db *sqlite.DB) error {
	const uid = "0123456789abcdef"
	spec := store.IntegrationSpec{
		Tenant: "acme", Name: "one", Plugin: "script", Connectors: []string{"things"},
		Every: -1, Enabled: true, Settings: []byte(`{"mark":"old"}`), SettingsSum: []byte("old"),
	}
	in, err := db.IntegrationByUID(ctx, uid)
	if errors.Is(err, store.ErrNotFound) {
		if err := db.ApplyChanges(ctx, []store.Change{{Op: store.ChangeCreate, UID: uid, Sync: true, Spec: spec}}); err != nil {
			return err
		}
		in, err = db.IntegrationByUID(ctx, uid)
	}
	if err != nil {
		return err
	}
	if err := await(ctx, db, 1); err != nil {
		return err
	}
	if string(in.Settings) != `{"mark":"new"}` {
		spec.Settings, spec.SettingsSum = []byte(`{"mark":"new"}`), []byte("new")
		if err := db.ApplyChanges(ctx, []store.Change{{Op: store.ChangeUpdate, UID: uid, Spec: spec}}); err != nil {
			return err
		}
	}
	if runs, err := db.Runs(ctx, store.RunFilter{}); err != nil {
		return err
	} else if len(runs) == 1 {
		if _, _, err := db.RequestRun(ctx, store.RunRequest{IntegrationID: in.ID, Class: store.ClassPull, Kind: store.RunManual, Force: true, ParamsSum: "force"}); err != nil {
			return err
		}
	}
	return await(ctx, db, 2)
}

// await waits until there are n runs and all are over.
func await(ctx context.Context, db *sqlite.DB, n int) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		runs, err := db.Runs(ctx, store.RunFilter{})
		if err != nil {
			return err
		}
		open := 0
		for _, r := range runs {
			if !r.State.Terminal() {
				open++
			}
		}
		if len(runs) >= n && open == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("run %d does not end: %w", n, context.Cause(ctx))
		}
	}
}

// plugin is the plugin and what the runner sees of it.
type plugin struct{}

var _ runner.Plugins = plugin{}

func (plugin) Manifest(string) (sdk.Manifest, bool) {
	return sdk.Manifest{
		Name: "script", Version: "1.0.0", Limits: sdk.Limits{PerRun: 2},
		Capabilities: []sdk.Capability{sdk.CanPreprocess, sdk.CanPostprocess},
	}, true
}

func (p plugin) Acquire(_ context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	var s struct{ Mark string }
	if err := in.Settings.Decode(&s); err != nil {
		return runner.Plugin{}, err
	}
	m, _ := p.Manifest(name)
	return runner.Plugin{Instance: instance{s.Mark}, Manifest: m, Release: func(bool) {}}, nil
}

func (p plugin) AcquireAlone(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	return p.Acquire(ctx, name, in)
}

func (plugin) Lost(error) bool   { return false }
func (plugin) Reopen(error) bool { return false }
func (plugin) Away(error) bool   { return false }

// instance makes three streams of two pages, of which each has a checkpoint in the
// middle; one has a child, one fails the first time, one changes settings.
type instance struct{ mark string }

func (instance) Preprocess(context.Context, sdk.Run) ([]byte, error) { return []byte("prepared"), nil }

func (instance) Postprocess(_ context.Context, run sdk.Run) (map[string][]byte, error) {
	return map[string][]byte{"last": []byte(strconv.Quote(run.ID))}, nil
}

func (i instance) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	for _, id := range []string{"parent", "flaky", "settings"} {
		if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: "things", Partition: id}); err != nil {
			return err
		}
		if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(id)}); err != nil {
			return err
		}
	}
	return nil
}

func (i instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	page := 0
	if call.Page != nil {
		page, _ = strconv.Atoi(string(call.Page))
	}
	id := call.Stream.ID
	if id == "flaky" && page == 1 && call.Checkpoint == nil && call.Attempt == 0 {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassTransient, Code: "once", Message: "it fails the first time"}
	}
	for n := range 2 {
		if n == 0 && call.Checkpoint != nil {
			continue
		}
		number := strconv.Itoa(2*page + n)
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: id + "-" + number, Data: []byte(`{"mark":` + strconv.Quote(i.mark) + `,"n":` + number + `}`)}); err != nil {
			return sdk.Outcome{}, err
		}
		if n == 0 {
			if id == "parent" && page == 0 {
				if err := out.Stream(ctx, sdk.Stream{ID: "child", Connector: "things", Partition: "child"}); err != nil {
					return sdk.Outcome{}, err
				}
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("half"), Cursor: []byte("half of " + strconv.Itoa(page))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
	}
	if id == "settings" {
		if err := out.Setting(ctx, "page"+strconv.Itoa(page), i.mark); err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Warn(ctx, "w", "page "+strconv.Itoa(page)); err != nil {
			return sdk.Outcome{}, err
		}
	}
	o := sdk.Outcome{Cursor: []byte(i.mark + " " + strconv.Itoa(page+1)), LastRecord: strconv.Itoa(page)}
	if page == 0 {
		o.NextPage = []byte("1")
	}
	return o, nil
}

// vault keeps settings in clear.
type vault struct{}

func (vault) Settings(in store.Integration) ([]byte, error) { return in.Settings, nil }

func (vault) MergePatch(in store.Integration, changes map[string][]byte) ([]byte, error) {
	patch := map[string]json.RawMessage{}
	if len(in.Patch) > 0 {
		if err := json.Unmarshal(in.Patch, &patch); err != nil {
			return nil, err
		}
	}
	for key, value := range changes {
		patch[key] = value
	}
	return json.Marshal(patch)
}
func (vault) Seal(p []byte, _ ...string) ([]byte, error) { return p, nil }
func (vault) Open(s []byte, _ ...string) ([]byte, error) { return s, nil }

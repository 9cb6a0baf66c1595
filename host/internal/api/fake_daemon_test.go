package api

import (
	"context"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// fakePlugins answers with what a test put into it.
type fakePlugins struct {
	restarted []string
	failing   error // of Restart
	list      []Plugin
	unread    error // why the directory is not read
	manifests map[string]sdk.Manifest
	logs      []LogLine
	follow    chan LogLine
}

var _ Plugins = (*fakePlugins)(nil)

func (*fakePlugins) Rescan(context.Context) error { return nil }

func (f *fakePlugins) Restart(_ context.Context, name string) error {
	f.restarted = append(f.restarted, name)
	return f.failing
}

func (f *fakePlugins) Plugins(context.Context) ([]Plugin, error) { return f.list, f.unread }

func (f *fakePlugins) Manifest(_ context.Context, name string) (sdk.Manifest, bool) {
	m, ok := f.manifests[name]
	return m, ok
}

func (f *fakePlugins) Logs(_ context.Context, _ string, lines int) ([]LogLine, error) {
	return f.logs[max(0, len(f.logs)-lines):], nil
}

func (f *fakePlugins) Follow(context.Context, string) (<-chan LogLine, error) { return f.follow, nil }

// fakeEngine answers with what a test put into it.
type fakeEngine struct {
	mu      sync.Mutex // guards asked
	asked   []store.RunRequest
	run     store.Run
	created bool
	err     error
	check   func(ctx context.Context, settings []byte) error
}

var _ Engine = (*fakeEngine)(nil)

func (f *fakeEngine) Sync(_ context.Context, _ store.Integration, req store.RunRequest) (store.Run, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, req)
	return f.run, f.created, f.err
}

func (f *fakeEngine) Check(ctx context.Context, _ store.Integration, settings []byte) error {
	return f.check(ctx, settings)
}

// fakeConfig answers with what a test put into it.
type fakeConfig struct {
	origins          map[string]string
	report           Report
	status           ConfigStatus
	settings, schema []byte
	confirmed        bool
}

var _ Config = (*fakeConfig)(nil)

func (f *fakeConfig) Reload(_ context.Context, confirm bool) (Report, error) {
	f.confirmed = confirm
	return f.report, nil
}

func (f *fakeConfig) Diff(context.Context) (Report, error) { return f.report, nil }

func (f *fakeConfig) Status(context.Context) ConfigStatus { return f.status }

func (f *fakeConfig) Origins(store.Integration) map[string]string { return f.origins }

func (f *fakeConfig) Settings(context.Context, store.Integration) (settings, schema []byte, err error) {
	return f.settings, f.schema, nil
}

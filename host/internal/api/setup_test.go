package api

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server that serves, with all that it depends on.
type rig struct {
	t        *testing.T
	dir      string
	server   *Server
	store    *fakeStore
	plugins  *fakePlugins
	engine   *fakeEngine
	config   *fakeConfig
	database *fakeDatabase
	screens  *fakeScreens
	types    *fakeEndpoints
	log      *buffer
	stop     func() error // ends Run and returns its error
}

// socketDir returns a private directory whose path is short enough for a socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // that of the test has its name in the path
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// serve starts a server. change may alter the options.
func serve(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{
		t:        t,
		dir:      socketDir(t),
		store:    newFakeStore(),
		plugins:  &fakePlugins{manifests: map[string]sdk.Manifest{}, follow: make(chan LogLine)},
		engine:   &fakeEngine{created: true},
		config:   &fakeConfig{},
		database: &fakeDatabase{},
		types:    &fakeEndpoints{},
		screens:  &fakeScreens{},
		log:      &buffer{},
	}
	opts := Options{
		Socket: filepath.Join(r.dir, SocketName), Version: "1.2.3", Changed: r.store.hint, Grace: 5 * time.Second,
		Log: hclog.New(&hclog.LoggerOptions{Output: r.log, Level: hclog.Debug}),
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	r.server, err = New(opts, Deps{Store: r.store, Plugins: r.plugins, Engine: r.engine, Config: r.config, Database: r.database, Endpoints: r.types, Connects: r.types, Calls: &fakeCalls{}, Screens: r.screens})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { require.NoError(t, r.stop()) })
	select {
	case <-r.server.Ready():
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	return r
}

// dial returns a connection without a token.
func (r *rig) dial() *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient("unix:"+r.server.opts.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r *rig) token() string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, TokenName))
	require.NoError(r.t, err)
	return strings.TrimSpace(string(text))
}

// ctx returns a context with the token.
func (r *rig) ctx() context.Context {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	r.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+r.token())
}

// info returns what an error carries.
func info(t *testing.T, err error) *hostv1.ErrorInfo {
	t.Helper()
	require.Error(t, err)
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*hostv1.ErrorInfo); ok {
			return i
		}
	}
	require.Fail(t, "no ErrorInfo", "%v", err)
	return nil
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// acme returns an integration that can run.
func acme(id int64, name string) store.Integration {
	return store.Integration{
		ID: id, UID: "00000000000000" + string('a'+rune(id%26)) + "0", State: store.IntegrationActive,
		IntegrationSpec: store.IntegrationSpec{
			Tenant: "acme", Name: name, Plugin: "git", Connectors: []string{"commits", "members"}, Enabled: true,
			File: "tenants/acme.yaml", Line: 3, Settings: []byte("sealed"),
		},
	}
}

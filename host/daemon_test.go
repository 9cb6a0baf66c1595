package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/jackfield/jackfield/host/internal/api"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

const testToken = "0123456789abcdef"

// fakeDaemon answers as the API does, with what the tests know by heart.
type fakeDaemon struct {
	hostv1.UnimplementedStatusServiceServer
	hostv1.UnimplementedConfigServiceServer
	hostv1.UnimplementedPluginServiceServer
	hostv1.UnimplementedTenantServiceServer
	hostv1.UnimplementedIntegrationServiceServer
	hostv1.UnimplementedRunServiceServer
	hostv1.UnimplementedStreamServiceServer
	hostv1.UnimplementedRecordServiceServer

	token  atomic.Pointer[string] // testToken if nil
	synced atomic.Int64           // runs asked for
	asked  atomic.Pointer[hostv1.SyncIntegrationRequest]
	broken []*hostv1.Violation
	lost   func() // called once a watch has begun, which then breaks; nil: it does not
	retry  func(*hostv1.RetryStreamsRequest) *hostv1.RetryStreamsResponse
	others []*hostv1.Integration // besides acme/history
}

// startDaemon serves d in a data directory of its own and returns a shell that
// finds it.
func startDaemon(t *testing.T, d *fakeDaemon) *shell {
	t.Helper()
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	data := filepath.Join(dir, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host.yaml"), []byte("version: 1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(data, api.TokenName), []byte(testToken+"\n"), 0o600))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(data, api.SocketName), Net: "unix"})
	require.NoError(t, err)
	srv := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := d.check(ctx); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := d.check(stream.Context()); err != nil {
				return err
			}
			return handle(srv, stream)
		}),
	)
	hostv1.RegisterStatusServiceServer(srv, d)
	hostv1.RegisterConfigServiceServer(srv, d)
	hostv1.RegisterPluginServiceServer(srv, d)
	hostv1.RegisterTenantServiceServer(srv, d)
	hostv1.RegisterIntegrationServiceServer(srv, d)
	hostv1.RegisterRunServiceServer(srv, d)
	hostv1.RegisterStreamServiceServer(srv, d)
	hostv1.RegisterRecordServiceServer(srv, d)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; !errors.Is(err, grpc.ErrServerStopped) {
			require.NoError(t, err)
		}
	})
	s := newShell(t)
	s.env["JACKFIELD_CONFIG"] = filepath.Join(dir, "host.yaml")
	return s
}

// check compares the token with the newest.
func (d *fakeDaemon) check(ctx context.Context) error {
	want := testToken
	if newest := d.token.Load(); newest != nil {
		want = *newest
	}
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("authorization")) != 1 || md.Get("authorization")[0] != "Bearer "+want {
		return explained(codes.Unauthenticated, "the token is missing or wrong", "look at it")
	}
	return nil
}

func explained(code codes.Code, message, hint string) error {
	st, err := status.New(code, message).WithDetails(&hostv1.ErrorInfo{Hint: hint})
	if err != nil {
		return err
	}
	return st.Err()
}

func at(second int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC))
}

func theRun(state string) *hostv1.Run {
	r := &hostv1.Run{
		Id: "12", Integration: "acme/history", Plugin: "git", Kind: "manual", State: state, Connectors: []string{"commits"},
		Params: map[string]string{"branch": "main"}, CreatedAt: at(1), StartedAt: at(2), UpdatedAt: at(3), DurationMs: 1500,
		Stats:   &hostv1.RunStats{Read: 12040, Added: 12000, Unchanged: 40},
		Streams: &hostv1.StreamCounts{Total: 3, Processed: 3},
	}
	if state == "error" || state == "partial" {
		r.Streams = &hostv1.StreamCounts{Total: 3, Processed: 2, Error: 1}
		r.Failure = &hostv1.Failure{Point: "process_stream", Class: "remote", Code: "bad_pack", Message: "object is corrupt", Attempt: 3, Plugin: "1.0.0", At: at(3)}
	}
	if state != "pending" && state != "processing" {
		r.EndedAt = at(4)
	}
	return r
}

func theIntegration() *hostv1.Integration {
	return &hostv1.Integration{
		Uid: "00000000000000a1", Id: "acme/history", Tenant: "acme", Name: "history", Label: "History", Plugin: "git", State: "active",
		Connectors: []string{"commits"}, Every: 20, Schedule: "every 20 ticks (20m)", Revision: 1, CreatedAt: at(0), UpdatedAt: at(0), LastCheckAt: at(1), NextCheckAt: at(9),
		File: "tenants/acme.yaml", Line: 3,
	}
}

func thePlugin() *hostv1.Plugin {
	return &hostv1.Plugin{Name: "git", Version: "1.0.0", Digest: "9f2c", File: "git", Verdict: "approved", State: "serving", Pid: 42, StartedAt: at(0), Sandbox: "partial", SandboxReasons: []string{"the kernel is old"}}
}

func theRecord(position string) *hostv1.Record {
	return &hostv1.Record{
		Position: position, Change: "ADDED", Integration: "acme/history", Kind: "activity", ExternalId: "c" + position, ParentKind: "member", ParentId: "m1",
		OccurredAt: at(5), Data: []byte(`{"title":"fix <b>","n":12345678901234567890}`),
	}
}

func theStream() *hostv1.Stream {
	return &hostv1.Stream{
		Id: "7", RunId: "12", Type: "root", Identifier: "main", Connector: "commits", State: "error", Pages: 2, Attempts: 3, DueAt: at(6),
		CreatedAt: at(2), UpdatedAt: at(3), Stats: &hostv1.StreamStats{Read: 5, Added: 5}, Failure: theRun("error").GetFailure(),
	}
}

func (d *fakeDaemon) GetStatus(context.Context, *hostv1.GetStatusRequest) (*hostv1.GetStatusResponse, error) {
	return &hostv1.GetStatusResponse{
		State: "degraded", Reasons: []string{"plugin slack does not serve: exited 3"}, Version: "1.2.3", Pid: 4711, StartedAt: at(0), Epoch: 3,
		Config:  &hostv1.StatusConfig{File: "/etc/jackfield/host.yaml", AppliedAt: at(1)},
		Store:   &hostv1.StatusStore{Path: "/var/lib/jackfield", Records: 12040, DatabaseBytes: 1 << 20, WalBytes: 0, Position: "12040"},
		Plugins: []*hostv1.Plugin{thePlugin()}, Tenants: 1, Integrations: map[string]int64{"active": 1}, Runs: map[string]int64{"processed": 2},
		Isolation: "none", IsolationReasons: []string{"the kernel has no Landlock"}, Http: "127.0.0.1:7480",
	}, nil
}

func (d *fakeDaemon) VerifyStore(_ *hostv1.VerifyStoreRequest, out grpc.ServerStreamingServer[hostv1.VerifyStoreResponse]) error {
	for _, v := range d.broken {
		if err := out.Send(&hostv1.VerifyStoreResponse{Violation: v}); err != nil {
			return err
		}
	}
	return nil
}

func (d *fakeDaemon) Reload(context.Context, *hostv1.ReloadRequest) (*hostv1.ReloadResponse, error) {
	return &hostv1.ReloadResponse{Changes: []*hostv1.Change{{Op: "update", Integration: "acme/history", Plugin: "git", Fields: []string{"every"}, File: "tenants/acme.yaml", Line: 3}}}, nil
}

func (d *fakeDaemon) Diff(context.Context, *hostv1.DiffRequest) (*hostv1.DiffResponse, error) {
	return &hostv1.DiffResponse{Problems: []*hostv1.Problem{{
		Severity: "error", Code: "unknown-key", Message: `no key "evry"`, File: "tenants/acme.yaml", Line: 5, Column: 5, Source: "    evry: 20", Caret: 5, Help: `did you mean "every"?`,
	}}}, nil
}

func (d *fakeDaemon) ListPlugins(context.Context, *hostv1.ListPluginsRequest) (*hostv1.ListPluginsResponse, error) {
	return &hostv1.ListPluginsResponse{Plugins: []*hostv1.Plugin{thePlugin()}}, nil
}

func (d *fakeDaemon) StreamPluginLogs(_ *hostv1.StreamPluginLogsRequest, out grpc.ServerStreamingServer[hostv1.StreamPluginLogsResponse]) error {
	return out.Send(&hostv1.StreamPluginLogsResponse{At: at(1), Level: "info", Message: "opened", Fields: map[string]string{"run": "12"}})
}

func (d *fakeDaemon) ListTenants(context.Context, *hostv1.ListTenantsRequest) (*hostv1.ListTenantsResponse, error) {
	return &hostv1.ListTenantsResponse{Tenants: []*hostv1.Tenant{{Name: "acme", Integrations: 1, CreatedAt: at(0)}}}, nil
}

func (d *fakeDaemon) ListIntegrations(context.Context, *hostv1.ListIntegrationsRequest) (*hostv1.ListIntegrationsResponse, error) {
	return &hostv1.ListIntegrationsResponse{Integrations: append([]*hostv1.Integration{theIntegration()}, d.others...)}, nil
}

func (d *fakeDaemon) GetIntegration(_ context.Context, req *hostv1.GetIntegrationRequest) (*hostv1.GetIntegrationResponse, error) {
	if req.GetIntegration() != "acme/history" {
		return nil, explained(codes.NotFound, "there is no integration "+strconv.Quote(req.GetIntegration()), "jackfield integration list")
	}
	return &hostv1.GetIntegrationResponse{
		Integration: theIntegration(), Settings: []byte(`{"path":"/src","token":"***"}`), Records: map[string]int64{"activity": 12000, "member": 40},
		Manifest:   &hostv1.Manifest{Name: "git", Label: "Git", Version: "1.0.0", Kind: "data", Connectors: []*hostv1.Connector{{Name: "commits", Label: "Commits"}}},
		Runs:       []*hostv1.Run{theRun("processed")},
		Origins:    map[string]string{"every": "integration", "concurrency": "plugin"},
		Connectors: map[string]string{"commits": "enabled", "files": "parked"},
	}, nil
}

func (d *fakeDaemon) CheckIntegration(_ context.Context, req *hostv1.CheckIntegrationRequest) (*hostv1.CheckIntegrationResponse, error) {
	if len(req.GetSettings()) > 0 {
		return &hostv1.CheckIntegrationResponse{Integration: "acme/history", Class: "auth", Code: "invalid_auth", Message: "the token is revoked", DurationMs: 80}, nil
	}
	return &hostv1.CheckIntegrationResponse{Integration: "acme/history", Ok: true, DurationMs: 80}, nil
}

func (d *fakeDaemon) SyncIntegration(_ context.Context, req *hostv1.SyncIntegrationRequest) (*hostv1.SyncIntegrationResponse, error) {
	d.asked.Store(req)
	d.synced.Add(1)
	switch req.GetIntegration() {
	case "acme/history":
		return &hostv1.SyncIntegrationResponse{Integration: req.GetIntegration(), Run: theRun("pending"), Created: true}, nil
	case "acme/broken":
		run := theRun("pending")
		run.Id = "13"
		return &hostv1.SyncIntegrationResponse{Integration: req.GetIntegration(), Run: run}, nil
	case "acme/off":
		return nil, explained(codes.FailedPrecondition, "integration acme/off is disabled", "set enabled: true in tenants/acme.yaml")
	default:
		return nil, explained(codes.NotFound, "there is no integration "+strconv.Quote(req.GetIntegration()), "jackfield integration list")
	}
}

func (d *fakeDaemon) ListRuns(_ context.Context, req *hostv1.ListRunsRequest) (*hostv1.ListRunsResponse, error) {
	if req.GetTenant() == "hang" {
		return nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	}
	return &hostv1.ListRunsResponse{Runs: []*hostv1.Run{theRun("processed")}, Next: "12"}, nil
}

func (d *fakeDaemon) GetRun(context.Context, *hostv1.GetRunRequest) (*hostv1.GetRunResponse, error) {
	return &hostv1.GetRunResponse{
		Run: theRun("partial"), Why: "1 of 3 streams failed: object is corrupt", Troubled: []*hostv1.Stream{theStream()},
		Warnings: []*hostv1.Warning{{RecordId: "c9", Message: "no author", At: at(3)}},
	}, nil
}

func (d *fakeDaemon) WatchRun(req *hostv1.WatchRunRequest, out grpc.ServerStreamingServer[hostv1.WatchRunResponse]) error {
	end := map[string]string{"12": "processed", "13": "partial"}[req.GetId()]
	if end == "" {
		return explained(codes.NotFound, "there is no run "+strconv.Quote(req.GetId()), "jackfield run list")
	}
	for _, state := range []string{"processing", end} {
		if err := out.Send(&hostv1.WatchRunResponse{Run: theRun(state)}); err != nil {
			return err
		}
		if lose := d.lost; lose != nil {
			d.lost = nil
			lose()
			return status.Error(codes.Unavailable, "the daemon is stopping")
		}
	}
	return nil
}

func (d *fakeDaemon) ContinueRun(_ context.Context, req *hostv1.ContinueRunRequest) (*hostv1.ContinueRunResponse, error) {
	if req.GetId() == "12" {
		return nil, explained(codes.FailedPrecondition, "run 12 is processed and cannot be continued", "jackfield run show 12")
	}
	return &hostv1.ContinueRunResponse{Run: theRun("pending")}, nil
}

func (d *fakeDaemon) CancelRun(context.Context, *hostv1.CancelRunRequest) (*hostv1.CancelRunResponse, error) {
	return nil, explained(codes.Internal, "internal error 1a2b3c4d", "the daemon's log has it whole: look for 1a2b3c4d")
}

func (d *fakeDaemon) ListStreams(context.Context, *hostv1.ListStreamsRequest) (*hostv1.ListStreamsResponse, error) {
	return &hostv1.ListStreamsResponse{Streams: []*hostv1.Stream{theStream()}}, nil
}

func (d *fakeDaemon) ListRecords(context.Context, *hostv1.ListRecordsRequest) (*hostv1.ListRecordsResponse, error) {
	return &hostv1.ListRecordsResponse{Records: []*hostv1.Record{theRecord("1"), theRecord("2")}, Next: "2", Position: "2"}, nil
}

func (d *fakeDaemon) TailRecords(req *hostv1.TailRecordsRequest, out grpc.ServerStreamingServer[hostv1.TailRecordsResponse]) error {
	for _, position := range []string{"1", "2"} {
		if position > req.GetFrom() {
			if err := out.Send(&hostv1.TailRecordsResponse{Record: theRecord(position)}); err != nil {
				return err
			}
		}
	}
	return nil
}

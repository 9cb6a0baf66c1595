package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
)

// shutdownMethod ends a go-plugin server. Its messages are empty.
const shutdownMethod = "/plugin.GRPCController/Shutdown"

const (
	// cleanupTimeout is for go-plugin to let go of a process that has ended.
	cleanupTimeout = 3 * time.Second
	// dumpTimeout is for a process that is stuck to print its goroutines.
	dumpTimeout = time.Second
)

// process is a plugin's process that has said what it is.
type process struct {
	binary    Binary
	opts      Options
	manifest  sdk.Manifest
	startedAt time.Time
	x         *execution
	hc        *hcplugin.Client
	client    *plugin.Client
	conn      *grpc.ClientConn
	instances *instances
	egress    Egress

	writes   atomic.Int32  // the version of state that instances are told to write; 0: its own
	draining chan struct{} // closed when it takes no more work
	drain    sync.Once
	gone     chan struct{} // closed when it has ended and nothing of it is left

	mu       sync.Mutex // guards what follows
	cause    error      // why we killed it
	outcomes outcomes
	doubts   chan<- struct{} // of one: told when a call failed

	sup    *Supervisor
	told   atomic.Bool // that it lied about whose call it has
	moving sync.Mutex  // guards state, and keeps its moves in order
	state  store.PluginState
}

// errUnhealthy is why a process that does not answer is killed.
var errUnhealthy = errors.New("unhealthy")

// connection is what go-plugin makes of a process.
type connection struct {
	client *plugin.Client
	conn   *grpc.ClientConn
	err    error
}

// start starts b and returns when it has said what it is. What fails leaves
// nothing behind.
func (s *Supervisor) start(ctx context.Context, b Binary, book *logbook) (*process, error) {
	select { // so that many at once do not all miss their deadline
	case s.starting <- struct{}{}:
		defer func() { <-s.starting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := s.opts.Room(); err != nil {
		return nil, noRoom{err}
	}
	dir, err := s.dirs.process()
	if err != nil {
		return nil, err
	}
	startCtx, cancel := context.WithTimeout(ctx, s.opts.StartTimeout)
	defer cancel()
	p := &process{binary: b, opts: s.opts, sup: s, startedAt: s.opts.Now(), draining: make(chan struct{}), gone: make(chan struct{}), egress: noEgress{}}
	p.become(store.ProcessStarting, nil)
	if err := s.connect(startCtx, p, dir, book); err != nil {
		failure := because(p.startReason(err), s.startFailure(startCtx, b, p.x, err))
		s.finish(p, dir)
		p.become(store.ProcessExited, failure)
		if b.Tenant == "" { // else it runs for others
			s.tellArtifact(b, store.ArtifactRejected, failure)
		}
		return nil, failure
	}
	p.become(store.ProcessDescribe, nil)
	s.tellArtifact(b, store.ArtifactProbed, nil)
	s.begin(ctx, p, dir)
	return p, nil
}

// connect executes p's binary and asks what it is.
func (s *Supervisor) connect(ctx context.Context, p *process, dir string, book *logbook) error {
	if p.binary.Folder != "" {
		if err := s.opts.Folder(p.binary.Folder, p.binary.Digest); err != nil {
			return err //nolint:wrapcheck // explained by startFailure
		}
	}
	if err := p.makeEgress(ctx, dir); err != nil {
		return err
	}
	exe, err := openProgram(p.binary)
	if err != nil {
		return err
	}
	p.x = &execution{
		name: cmp.Or(p.binary.Name, filepath.Base(p.binary.Path)), binary: p.binary, cage: s.opts.Confine, dir: dir, exe: exe, base: p.environ(dir), spawn: s.spawner, pids: s.dirs,
		out: newOutput(p.binary, s.opts, book), speaks: slices.Sorted(maps.Keys(s.opts.Protocols)), stdout: newHandshakeReader(), raw: s.opts.raw,
		started: make(chan struct{}), exited: make(chan struct{}),
	}
	p.hc = hcplugin.NewClient(s.clientConfig(p.x))
	connected := make(chan connection, 1)
	go func() {
		defer exe.close()
		connected <- dial(p.hc)
	}()
	var c connection
	select {
	case c = <-connected:
	case <-ctx.Done():
		p.x.kill()
		return context.Cause(ctx)
	}
	if c.err != nil {
		if bad := exe.verified(); bad != nil {
			return bad // go-plugin would wrap it
		}
		if c.client == nil {
			p.x.await(drainOutput) // it may be about to say why
		}
		return c.err
	}
	p.client, p.conn = c.client, c.conn
	p.client.OnForged(p.lied)
	p.become(store.ProcessHandshake, nil)
	if p.manifest, err = p.client.Describe(ctx); err != nil {
		return fmt.Errorf("it does not say what it is: %w", err)
	}
	if err := p.sup.opts.Accept(p.manifest); err != nil {
		return err
	}
	p.egress.Describe(p.manifest)
	return because(reasonMismatch, p.binary.matches(p.manifest))
}

// startReason is why a start failed: how far it had come.
func (p *process) startReason(err error) string {
	p.moving.Lock()
	defer p.moving.Unlock()
	switch {
	case reasonOf(err) != "":
		return reasonOf(err)
	case p.state == store.ProcessHandshake:
		return reasonDescribe
	case p.x == nil || p.x.pid() == 0:
		return reasonStart
	default:
		return reasonHandshake
	}
}

// dial lets go-plugin start the process and connect to it.
func dial(hc *hcplugin.Client) connection {
	protocol, err := hc.Client()
	if err != nil {
		return connection{err: err}
	}
	raw, err := protocol.Dispense(plugin.Name)
	if err != nil {
		return connection{err: err}
	}
	client, ok := raw.(*plugin.Client)
	conn, ok2 := protocol.(*hcplugin.GRPCClient)
	if !ok || !ok2 {
		return connection{err: fmt.Errorf("it dispensed a %T", raw)}
	}
	return connection{client: client, conn: conn.Conn}
}

// clientConfig is new for each attempt: go-plugin cannot start a client twice.
func (s *Supervisor) clientConfig(x *execution) *hcplugin.ClientConfig {
	return &hcplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake(),
		VersionedPlugins: s.opts.Protocols,
		AllowedProtocols: []hcplugin.Protocol{hcplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		GRPCDialOptions:  s.dialOptions(x),
		StartTimeout:     s.opts.StartTimeout + cleanupTimeout, // ours ends first
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       &lineWriter{each: x.out.stdout},
		SyncStderr:       &lineWriter{each: x.out.stderr},
		UnixSocketConfig: &hcplugin.UnixSocketConfig{TempDir: x.dir},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
			x.env = pluginEnv(spec.Env)
			return x, nil
		},
	}
}

// begin sets up what a process needs while it lives.
func (s *Supervisor) begin(ctx context.Context, p *process, dir string) {
	p.instances = newInstances(p.client.Open, s.opts.OpenTimeout, s.opts.IdleInstances)
	p.x.attend(p.instances.busy)
	p.instances.enter, p.instances.free = p.egress.Open, s.freed(p.binary)
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { p.link(life) })
	watching.Go(func() { p.watchHealth(life) })
	s.wg.Go(func() {
		<-p.x.exited
		returned := p.instances.retire() // without draining: that says that the host ends it
		end()
		watching.Wait()
		s.finish(p, dir)
		p.become(store.ProcessExited, because(reasonEnded, p.ended()))
		<-returned // the calls are lost, so they end; no instance is closed after that
		p.instances.wg.Wait()
		close(p.gone)
	})
}

// finish removes what is left of a process that has ended or never ran.
func (s *Supervisor) finish(p *process, dir string) {
	if p.x != nil {
		p.x.kill()
		done := make(chan struct{})
		go func() {
			p.hc.Kill() // the process is gone, so this only lets go of it
			close(done)
		}()
		timer := time.NewTimer(cleanupTimeout)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			s.log.Warn("go-plugin does not let go of a process", "plugin", p.binary.Name, "pid", p.x.pid())
		}
	}
	p.egress.Close()
	if err := os.RemoveAll(dir); err != nil {
		s.log.Warn("remove process directory", "plugin", p.binary.Name, "error", err)
	}
}

// condemn kills the process for a reason. One that may only be stuck prints its
// goroutines first, also one that was stopped: it goes on for that.
func (p *process) condemn(cause error, dump bool) {
	p.mu.Lock()
	p.cause = cause
	p.mu.Unlock()
	if dump {
		p.x.signal(sigDump)
		p.x.signal(sigCont)
		p.x.await(dumpTimeout)
	}
	p.x.kill()
}

// acquire lends an instance; errRetired if the process takes no more work.
func (p *process) acquire(ctx context.Context, in sdk.Integration) (*Handle, error) {
	if p.opts.PerTenant(p.binary.Name) && in.Tenant != p.binary.Tenant {
		return nil, fmt.Errorf("plugin %s: a process of tenant %q is not given what is of %q", p.binary.Name, p.binary.Tenant, in.Tenant)
	}
	in.Connectors, in.WriteState = having(p.manifest, in.Connectors), int(p.writes.Load())
	e, err := p.instances.acquire(ctx, in)
	if err != nil {
		if class := sdk.AsError(err).Class; !in.DryRun && !errors.Is(err, errRetired) && ctx.Err() == nil && !errors.Is(err, plugin.ErrLost) {
			p.report(class == sdk.ClassConfig || class == sdk.ClassSystem)
		}
		return nil, err
	}
	return &Handle{Instance: e.sdk, Manifest: p.manifest, Version: p.manifest.Version, process: p, set: p.instances, entry: e, draining: p.draining}, nil
}

// having returns the connectors that the plugin has; one that names none has them all.
func having(m sdk.Manifest, connectors []string) []string {
	if len(m.Connectors) == 0 {
		return connectors
	}
	return slices.DeleteFunc(slices.Clone(connectors), func(name string) bool {
		return !slices.ContainsFunc(m.Connectors, func(c sdk.Connector) bool { return c.Name == name })
	})
}

// retire takes no more work. The channel is closed when nothing is in flight.
func (p *process) retire() <-chan struct{} {
	p.drain.Do(func() {
		p.become(store.ProcessDraining, nil)
		close(p.draining)
	})
	return p.instances.retire()
}

// stop lets calls end for patience, then ends the process: politely, then not.
// It returns when nothing of it is left, or after a bounded time.
func (p *process) stop(ctx context.Context, patience time.Duration) {
	idle := p.retire()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-p.x.exited:
	case <-timer.C:
	case <-ctx.Done():
	}
	p.become(store.ProcessStopping, nil)
	half := p.opts.StopTimeout / 2
	go p.shutdown(context.WithoutCancel(ctx), p.opts.StopTimeout)
	if !p.x.await(half) {
		closeFile(p.x.lifeline)
		p.x.signal(sigTerm)
		p.x.await(half)
	}
	p.x.kill()
	timer.Reset(killTimeout + cleanupTimeout)
	select {
	case <-p.gone:
	case <-timer.C:
	}
}

// shutdown asks the process to end.
func (p *process) shutdown(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_ = p.conn.Invoke(ctx, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{}) // whether it ends is what counts
}

// ended is why the process ended by itself, or was killed for; nil if it was asked
// to end.
func (p *process) ended() error {
	p.moving.Lock()
	defer p.moving.Unlock()
	if p.state == store.ProcessStopping {
		return nil
	}
	return p.x.report(p.verdict())
}

// verdict says why the process ended.
func (p *process) verdict() error {
	p.mu.Lock()
	cause := p.cause
	p.mu.Unlock()
	if cause != nil {
		return cause
	}
	return errors.New(p.x.ending())
}

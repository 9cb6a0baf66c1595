package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// checkConfig reads the files as the daemon would. The answer is false if there
// is nothing to go on with.
func (u *checkup) checkConfig() (config.Snapshot, bool) {
	host, problems := config.LoadHost(u.c.config, config.Options{LookupEnv: u.c.lookupEnv})
	for _, p := range problems {
		if p.Code == config.CodeMissingFile && p.File == host.File {
			u.fail("config.parse", "there is no "+u.c.config, p.Help)
			return config.Snapshot{}, false
		}
	}
	var manifests map[string]sdk.Manifest
	if lock, err := discovery.LoadLock(host.LockFile()); err == nil { // else the check of plugins says so
		manifests = discovery.ApprovedManifests(host.Data, lock)
	}
	snap := config.Load(u.c.config, templateOptions(endpoint.NewCompiler(), config.Options{LookupEnv: u.c.lookupEnv, Plugins: func(name string) (sdk.Manifest, bool) {
		m, ok := manifests[name]
		return m, ok
	}}))
	for _, p := range snap.Problems {
		text := fmt.Sprintf("%s: %s (%s)", place(p.File, uint32(max(p.Line, 0))), p.Message, p.Code) //nolint:gosec // a line of a file of at most 1 MiB
		if p.Severity == config.SeverityError {
			u.fail("config.parse", text, p.Help)
		} else {
			u.warn("config.parse", text, p.Help)
		}
	}
	if !snap.Problems.Failed() {
		tenants := map[string]bool{}
		for _, in := range snap.Integrations() {
			tenants[in.Spec.Tenant] = true
		}
		u.ok("config.parse", "%s and %s (%s with %s)", u.c.config, counted(len(snap.Files), "tenant file"),
			counted(len(tenants), "tenant"), counted(len(snap.Integrations()), "integration"))
	}
	return snap, true
}

// checkFiles looks at the modes of what must be the operator's alone.
func (u *checkup) checkFiles(host config.Host) {
	socket := filepath.Join(host.Data, api.SocketName)
	if n := len(socket); n > maxSocketPath {
		u.fail("data.socket", fmt.Sprintf("the path of %s has %d bytes; a socket can have %d", socket, n, maxSocketPath), "choose a shorter data: in host.yaml")
	} else {
		u.ok("data.socket", "%s", socket)
	}
	u.checkMode("data.mode", host.Data, "serve makes it")
	entries, err := os.ReadDir(host.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.failWith("data.read", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if info, err := e.Info(); err == nil && open(info) {
				u.fail("data.mode", filepath.Join(host.Data, e.Name())+" is open to others", "chmod 600 "+filepath.Join(host.Data, e.Name()))
			}
		}
	}
	switch keys, err := secret.ReadKeyring(host.Key); {
	case errors.Is(err, secret.ErrNoKey) && hasDatabase(host.Data):
		u.fail("key.file", "there is no "+host.Key+", and the store has settings that it sealed", "restore it from your copy")
	case errors.Is(err, secret.ErrNoKey):
		u.ok("key.file", "%s: the first start makes it", host.Key)
	case err != nil:
		u.failWith("key.file", err)
	default:
		u.ok("key.file", "%s, key %s", host.Key, keys.ID())
	}
}

// maxSocketPath is what every kernel takes, as package api has it.
const maxSocketPath = 103

func (u *checkup) checkMode(name, path, missing string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.ok(name, "%s: %s", path, missing)
	case err != nil:
		u.failWith(name, err)
	case !info.IsDir():
		u.fail(name, path+" is not a directory", "")
	case open(info):
		u.fail(name, path+" is open to others ("+info.Mode().Perm().String()+")", "chmod 700 "+path)
	default:
		u.ok(name, "%s is yours alone", path)
	}
}

func open(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}

// checkPlugins says what would run. Copies are made beside the daemon's own, not
// among them.
func (u *checkup) checkPlugins(ctx context.Context, host config.Host, deep bool) error {
	parent := ""
	if _, err := os.Stat(host.Data); err == nil {
		parent = host.Data // the system's temporary directory may forbid to execute
	}
	scratch, err := os.MkdirTemp(parent, ".doctor-*")
	if err != nil {
		u.failWith("plugins.scan", err)
		return nil
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	keys, err := discovery.ParseKeys(host.Plugins.Keys)
	if err != nil {
		u.failWith("plugins.scan", err)
		return nil
	}
	scanner, err := discovery.NewScanner(discovery.Options{
		Dir: host.Plugins.Dir, Lock: host.LockFile(), Data: scratch, Trust: discovery.Trust(host.Plugins.Trust), Keys: keys, Host: readBuild().release(),
	})
	if err != nil {
		u.failWith("plugins.scan", err)
		return nil
	}
	found, err := scanner.Scan(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		u.failWith("plugins.scan", err)
		return nil
	}
	cage := newCage(host, false)
	u.checkSandbox(cage)
	u.checkUsers(cage)
	u.checkIsolation(host.Plugins, found)
	for _, a := range found {
		u.checkPlugin(ctx, a, cage, deep)
	}
	if !slices.ContainsFunc(found, discovery.Artifact.Runnable) {
		consent := u.c.command("plugin approve NAME")
		if host.Plugins.Trust == config.TrustSigned {
			consent = "put one there that a key of plugins.keys has signed, and its .minisig beside it"
		}
		u.warn("plugins.scan", "no plugin in "+host.Plugins.Dir+" may run", consent)
	}
	return nil
}

// checkSandbox says how much of the sandbox plugins get here.
func (u *checkup) checkSandbox(cage *cage) {
	level, reasons := cage.isolation()
	text := strings.Join(append([]string{level}, reasons...), "; ")
	if err := cage.box.Allowed(); err != nil {
		u.failWith("plugins.sandbox", err)
	} else if level == string(sandbox.Full) {
		u.ok("plugins.sandbox", "%s", text)
	} else {
		u.warn("plugins.sandbox", text, "")
	}
}

// checkUsers says whether plugins have users of their own.
func (u *checkup) checkUsers(cage *cage) {
	if why := cage.box.Separate(); why != "" {
		if err := cage.demand(person{why: why}); err != nil {
			u.failWith("plugins.users", err)
		} else {
			u.ok("plugins.users", "plugins run as the daemon's user: %s", why)
		}
		return
	}
	first, last := cage.users.Range()
	u.ok("plugins.users", "each plugin has a user of its own, of %d to %d; plugin show says whose", first, last)
}

// checkIsolation says which plugins have a process for each tenant.
func (u *checkup) checkIsolation(dir config.PluginDir, found []discovery.Artifact) {
	for _, name := range slices.Sorted(maps.Keys(dir.Isolation)) {
		there := slices.ContainsFunc(found, func(a discovery.Artifact) bool { return a.Name == name })
		switch {
		case dir.IsolationOf(name) != config.IsolationTenant:
		case !there:
			u.warn("plugins.isolation", "host.yaml gives each tenant a process of plugin "+name+", which is not there", u.c.command("plugin list"))
		default:
			u.ok("plugins.isolation", "%s: a process for each tenant, %d at most", name, dir.MaxProcesses)
		}
	}
}

func (u *checkup) checkPlugin(ctx context.Context, a discovery.Artifact, cage *cage, deep bool) {
	name := "plugin." + orElse(a.Name, a.File)
	switch {
	case a.Verdict == discovery.VerdictIgnored:
	case !a.Runnable():
		u.warn(name, fmt.Sprintf("%s: %s: %s", a.File, a.Verdict, a.Reason), "")
	case !deep:
		u.ok(name, "%s %s", a.Version, a.Verdict)
	default:
		begin := time.Now()
		m, err := supervisor.Probe(ctx, supervisor.Options{Inspect: discovery.Inspect, Confine: cage.confine, Shared: cage.box.Separate() == ""}, binaryOf(a))
		if err != nil {
			u.failWith(name, err)
			return
		}
		u.ok(name, "%s, started in %s", m.Version, shortDuration(time.Since(begin)))
	}
}

// databaseName is the file of the store in the data directory.
const databaseName = "jackfield.db"

func hasDatabase(data string) bool {
	_, err := os.Stat(filepath.Join(data, databaseName))
	return err == nil
}

// checkStore looks at the database without opening it, and at the disk.
func (u *checkup) checkStore(host config.Host) {
	path := filepath.Join(host.Data, databaseName)
	known, schemaErr := sqlite.Schema()
	switch version, size, err := readDatabaseHead(path); {
	case errors.Is(err, fs.ErrNotExist):
		u.ok("store.file", "%s: the first start makes it", path)
	case err != nil || schemaErr != nil:
		u.failWith("store.file", errors.Join(err, schemaErr))
	case int(version) > known:
		u.failWith("store.file", store.Hint(fmt.Errorf("%s: schema %d, this program knows %d: %w", path, version, known, store.ErrNewerSchema),
			"start the newer version of jackfield again, or restore a backup made before the upgrade"))
	case version == 0: // of a daemon that runs: it stands in the log still
		u.ok("store.file", "%s, %s", path, bytesText(size))
	default:
		u.ok("store.file", "%s, schema %d, %s", path, version, bytesText(size))
	}
	dir := existing(host.Data)
	if free, ok := freeBytes(dir); ok {
		if free < minFree {
			u.warn("disk.free", bytesText(free)+" are free in "+dir, "make room: a full disk stops every write")
		} else {
			u.ok("disk.free", "%s in %s", bytesText(free), dir)
		}
	}
	median, worst, err := measureSync(dir)
	switch text := fmt.Sprintf("a write reaches the disk in %s, at worst in %s", shortDuration(median), shortDuration(worst)); {
	case err != nil:
		u.failWith("disk.sync", fmt.Errorf("write in %s: %w", dir, err))
	case median > slowSync:
		u.warn("disk.sync", text, "each group of writes waits that long: keep data: on a faster disk")
	default:
		u.ok("disk.sync", "%s", text)
	}
}

const (
	minFree  = 512 << 20
	slowSync = 20 * time.Millisecond
)

// readDatabaseHead returns the schema's number, which SQLite keeps at byte 60.
func readDatabaseHead(path string) (version uint32, size int64, err error) {
	f, err := os.Open(path) //nolint:gosec // in the operator's own data directory
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, err
	}
	if n == 0 { // made, and nothing written yet
		return 0, 0, nil
	}
	if n < len(head) || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return 0, 0, errors.New(path + " is no database (hint: restore it from a backup)")
	}
	return binary.BigEndian.Uint32(head[60:64]), info.Size(), nil
}

// existing returns path, or the nearest directory above it that there is.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

// syncs is how often the disk is asked.
const syncs = 15

// measureSync tells how long a small write takes to be safe. Every commit of the
// store waits for one.
func measureSync(dir string) (median, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	took := make([]time.Duration, 0, syncs)
	for range syncs {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], nil
}

// checkDaemon asks the daemon, if there is one, how it is, and reports whether it
// answered.
func (u *checkup) checkDaemon(ctx context.Context) (running bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := u.c.withDaemon(ctx, func(ctx context.Context, d *daemon) error {
		resp, err := hostv1.NewStatusServiceClient(d).GetStatus(ctx, &hostv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		for _, reason := range resp.GetReasons() {
			u.warn("daemon.status", reason, "")
		}
		u.ok("daemon.running", "version %s, pid %d, up since %s", resp.GetVersion(), resp.GetPid(), cellText(resp.GetStartedAt()))
		return nil
	})
	e, known := errors.AsType[*exitError](err)
	switch {
	case err == nil:
	case known && e.code == exitDenied:
		u.fail("daemon.running", e.Error(), e.hint)
	default:
		u.ok("daemon.running", "not running")
	}
	return err == nil
}

// verifyTime is how long the daemon may look through its store.
const verifyTime = 30 * time.Minute

// verifyStore has the daemon look for what must never be in its store.
func (u *checkup) verifyStore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	err := u.c.withDaemon(ctx, func(ctx context.Context, d *daemon) error {
		found, err := hostv1.NewStatusServiceClient(d).VerifyStore(ctx, &hostv1.VerifyStoreRequest{})
		for err == nil {
			var resp *hostv1.VerifyStoreResponse
			if resp, err = found.Recv(); err == nil {
				v := resp.GetViolation()
				u.unsound = true
				u.fail("store."+v.GetName(), fmt.Sprintf("%s (%s): not so for %s", v.GetRule(), v.GetRow(), v.GetFound()),
					"this is a defect: keep a copy of the data directory, and report it")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		u.failWith("store.verify", err)
	case !u.unsound:
		u.ok("store.verify", "nothing is stored that must never be")
	}
}

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// isTrusted is why a plugin has no sandbox.
const isTrusted = "host.yaml trusts it: plugins.sandbox.trusted names it"

// cage starts the processes of plugins in the sandbox that this system has.
type cage struct {
	box     *sandbox.Sandbox
	memory  uint64   // of each process
	alone   bool     // only a process that has a user of its own is started
	trusted []string // plugins that run without it
	network func(plugin string) config.Network
	hidden  []string // the host's own files
	tenants string   // a folder of files that are the host's, perhaps among others
	users   *sandbox.Users

	mu    sync.Mutex        // guards whose
	whose map[served]person // of the processes that were started last
}

// newCage asks the system what it can hold. Files of the host are out of reach of
// every plugin, whatever it is granted. Only the daemon divides its control group.
func newCage(cfg config.Host, daemon bool) *cage {
	var users *sandbox.Users
	if u := cfg.Plugins.Users; !u.Off() {
		users = sandbox.NewUsers(filepath.Join(cfg.Data, "plugin-users"), u.First, u.Last)
	}
	return &cage{
		users: users, whose: map[served]person{},
		memory: cfg.Plugins.Memory, alone: cfg.Plugins.Sandbox.RequireUser, trusted: cfg.Plugins.Sandbox.Trusted, network: cfg.Plugins.NetworkOf, tenants: cfg.Tenants,
		hidden: []string{cfg.File, cfg.Data, cfg.Key, cfg.LockFile(), cfg.Snapshots.Dir},
		box:    sandbox.New(sandbox.Options{Require: sandbox.Level(cfg.Plugins.Sandbox.Require), Groups: daemon, Users: users}),
	}
}

// confine implements supervisor.Options.Confine.
func (c *cage) confine(cmd *exec.Cmd, l supervisor.Launch) (supervisor.Confinement, error) {
	if slices.Contains(c.trusted, l.Binary.Name) {
		c.note(l.Binary, person{why: isTrusted})
		return nil, nil
	}
	who, leave, err := c.person(l)
	if err != nil {
		return nil, err
	}
	if err := c.demand(who); err != nil {
		return nil, err
	}
	p := sandbox.Policy{
		Name: cmd.Args[0], Dir: l.Dir, Own: l.Binary.Folder, Memory: c.memory, User: who.id,
		Network: sandbox.NetworkProxy, Hidden: c.own(),
	}
	if c.network(l.Binary.Name) == config.NetworkDirect {
		p.Network = sandbox.NetworkDirect
	}
	if reads := l.Binary.Access.Reads; reads != "" {
		p.Reads = strings.Split(reads, "\n")
	}
	cell, err := c.box.Confine(cmd, l.Program, p)
	if err != nil {
		leave()
		return nil, err
	}
	c.note(l.Binary, who)
	return &caged{cell, leave}, nil
}

// own lists the host's files. The tenants' are those that there are: what else lies
// beside them may be named by settings, one by one.
func (c *cage) own() []string {
	out := append(slices.Clip(c.hidden), filepath.Join(c.tenants, "*"))
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		files, err := filepath.Glob(filepath.Join(c.tenants, pattern))
		if err == nil { // else the path itself is no pattern, and holds none
			out = append(out, files...)
		}
	}
	return out
}

// level returns how much of the sandbox there is, and why it is not all.
func (c *cage) level() (string, []string) {
	v := c.box.Verdict()
	return string(v.Level), v.Reasons
}

// levelOf is level for one plugin.
func (c *cage) levelOf(name string) (string, []string) {
	if slices.Contains(c.trusted, name) {
		return string(sandbox.None), []string{isTrusted}
	}
	return c.level()
}

// limitOf returns how much memory each process of a plugin may have, and what holds it;
// 0 if nothing does.
func (c *cage) limitOf(name string) (uint64, string) {
	by := c.box.MemoryBy()
	if by == "" || slices.Contains(c.trusted, name) {
		return 0, ""
	}
	return c.memory, by
}

// isolation is level for all plugins together: it is not full if one of them runs
// without the sandbox.
func (c *cage) isolation() (string, []string) {
	level, reasons := c.level()
	for _, name := range c.trusted {
		reasons = append(slices.Clip(reasons), "plugin "+name+" runs without the sandbox, with the rights of the daemon's user: host.yaml trusts it")
	}
	if level == string(sandbox.Full) && len(c.trusted) > 0 {
		level = string(sandbox.Partial)
	}
	return level, reasons
}

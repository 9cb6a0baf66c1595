package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// cage starts the processes of plugins in the sandbox that this system has.
type cage struct {
	box     *sandbox.Sandbox
	memory  uint64   // of each process
	trusted []string // plugins that run without it
	network func(plugin string) config.Network
	hidden  []string // the host's own files
	tenants string   // a folder of files that are the host's, perhaps among others
}

// newCage asks the system what it can hold. Files of the host are out of reach of
// every plugin, whatever it is granted. Only the daemon divides its control group.
func newCage(cfg config.Host, daemon bool) *cage {
	return &cage{
		memory: cfg.Plugins.Memory, trusted: cfg.Plugins.Sandbox.Trusted, network: cfg.Plugins.NetworkOf, tenants: cfg.Tenants,
		hidden: []string{cfg.File, cfg.Data, cfg.Key, cfg.LockFile(), cfg.Snapshots.Dir},
		box:    sandbox.New(sandbox.Options{Require: sandbox.Level(cfg.Plugins.Sandbox.Require), Groups: daemon}),
	}
}

// confine implements supervisor.Options.Confine.
func (c *cage) confine(cmd *exec.Cmd, l supervisor.Launch) (supervisor.Confinement, error) {
	if slices.Contains(c.trusted, l.Binary.Name) {
		return nil, nil
	}
	p := sandbox.Policy{
		Name: cmd.Args[0], Dir: l.Dir, Own: l.Binary.Folder, Memory: c.memory,
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
		return nil, err
	}
	return cell, nil
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
		return string(sandbox.None), []string{"host.yaml trusts it: plugins.sandbox.trusted names it"}
	}
	return c.level()
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

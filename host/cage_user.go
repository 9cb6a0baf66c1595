package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
)

// errNoUser is of a plugin that is not started, since host.yaml demands what it cannot have.
var errNoUser = errors.New("it cannot have a user of its own, which plugins.sandbox.require_user demands")

// person is the user whose rights a process has.
type person struct {
	id  int    // 0: the daemon's
	why string // it is the daemon's
}

// String returns the user as people are shown it.
func (p person) String() string {
	if p.id == 0 {
		return "daemon"
	}
	return "uid " + strconv.Itoa(p.id)
}

// caged is a process in its sandbox, which lets go of its user when it has ended.
type caged struct {
	*sandbox.Cell
	leave func()
}

// Close implements supervisor.Confinement.
func (c *caged) Close() {
	c.Cell.Close()
	c.leave()
}

// person returns whose rights a process is to have: those of a user of its own, unless
// that one could not serve. leave is called when the process has ended.
func (c *cage) person(l supervisor.Launch) (_ person, leave func(), err error) {
	nobody := func() {}
	if why := c.box.Separate(); why != "" {
		return person{why: why}, nobody, nil
	}
	if l.Binary.Folder != "" {
		return person{why: "it is a folder, which stands in the daemon's directory"}, nobody, nil
	}
	if why := sandbox.Unfit(l.Program); why != "" {
		return person{why: why}, nobody, nil
	}
	if !sandbox.Passable(l.Dir) {
		return person{why: "other users cannot pass through " + filepath.Dir(l.Dir)}, nobody, nil
	}
	id, leave, err := c.users.Take(userKey(l.Binary))
	if err != nil {
		return person{}, nil, err
	}
	if path := sandbox.Unreadable(needed(l.Binary.Access)); path != "" {
		leave()
		return person{why: fmt.Sprintf("uid %d cannot read %s, which it is to (hint: let others read that, or all it stands in)", id, path)}, nobody, nil
	}
	return person{id: id}, leave, nil
}

// demand says why a process that is to have the rights of who is not started.
func (c *cage) demand(who person) error {
	if !c.alone || who.id != 0 {
		return nil
	}
	return fmt.Errorf("%w: %s (hint: plugins: {sandbox: {require_user: false}} in host.yaml starts it as the daemon's user)", errNoUser, who.why)
}

// userKey is what a process's user is kept under: the plugin's name, and of one that
// each tenant has a process of the tenant's too.
func userKey(b supervisor.Binary) string {
	name := b.Name
	if !sdk.ValidName(name) {
		name = b.Digest // it is looked at for the first time
	}
	if b.Tenant != "" {
		name += "/" + b.Tenant
	}
	return name
}

// needed lists what a process is to read: what settings name, and the certificates that
// the environment names.
func needed(access supervisor.Access) []string {
	var out []string
	if access.Reads != "" {
		out = strings.Split(access.Reads, "\n")
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		out = append(out, file)
	}
	return append(out, filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...)
}

// note keeps whose rights the process has that is being started.
func (c *cage) note(b supervisor.Binary, who person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whose[served{b.Name, b.Tenant}] = who
}

// personOf returns whose rights the process of a plugin has, and why they are the
// daemon's; both are empty before the first start.
func (c *cage) personOf(plugin, tenant string) (who, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.whose[served{plugin, tenant}]
	if !ok {
		return "", ""
	}
	return p.String(), p.why
}

// runDir returns where the processes' directories stand: in the data directory, which is
// closed to others, or, for processes of other users, where these can pass.
func (c *cage) runDir(data string) string {
	if c.box.Separate() != "" {
		return filepath.Join(data, "run")
	}
	sum := sha256.Sum256([]byte(data))
	name := "jackfield-" + hex.EncodeToString(sum[:4])
	if info, err := os.Stat("/run"); err == nil && info.IsDir() && sandbox.Passable("/run/"+name) {
		return filepath.Join("/run", name)
	}
	return filepath.Join(os.TempDir(), name)
}

// describe says what keeps a plugin, and whose rights it has.
func (c *cage) describe(p *api.Plugin) {
	p.Sandbox, p.SandboxReasons = c.levelOf(p.Name)
	p.MemoryLimit, p.MemoryLimitBy = c.limitOf(p.Name)
	p.User, p.UserReason = c.personOf(p.Name, "")
}

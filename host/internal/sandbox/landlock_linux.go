//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The versions of Landlock's interface that brought what is needed.
const (
	landlockRefer    = 2
	landlockTruncate = 3
	landlockTCP      = 4
	landlockIoctl    = 5
	landlockScopes   = 6
)

// What a rule grants.
const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	writeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	readAll   = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute   = unix.LANDLOCK_ACCESS_FS_EXECUTE
	// scratch is everything but to execute and to make devices.
	scratch = readAll | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	// onFile are those that mean something for a file.
	onFile = execute | readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
)

// landlock is what the kernel's Landlock can hold.
type landlock struct {
	abi   int    // 0: there is none
	files uint64 // accesses to files that it knows
}

func askLandlock() landlock {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return landlock{}
	}
	l := landlock{abi: int(abi), files: unix.LANDLOCK_ACCESS_FS_REFER - 1}
	if l.abi >= landlockRefer {
		l.files |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if l.abi >= landlockTruncate {
		l.files |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if l.abi >= landlockIoctl {
		l.files |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	// Whether it knows Unix sockets by their path it says when it is asked to.
	if f, err := createRuleset(unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX}); err == nil {
		_ = f.Close()
		l.files |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	}
	return l
}

// ruleset returns a domain for one process, to be entered by it. The caller closes it.
func (l landlock) ruleset(program *os.File, k kind, p Policy) (_ *os.File, err error) {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: l.files}
	if l.abi >= landlockTCP && p.Network == NetworkProxy {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if l.abi >= landlockScopes {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	f, err := createRuleset(attr)
	if err != nil {
		return nil, fmt.Errorf("make Landlock domain: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	b := ruleBuilder{landlock: l, ruleset: int(f.Fd()), hidden: p.Hidden}
	b.addFile(program, readFile|execute)
	b.add(p.Dir, scratch)
	if p.Own != "" {
		b.add(p.Own, readAll)
	}
	for _, g := range granted(k, p) {
		b.around(g.path, g.access)
	}
	return f, b.err
}

// ruleBuilder adds rules until one fails.
type ruleBuilder struct {
	landlock
	ruleset int
	hidden  []string
	err     error
}

// around grants access to path and all below it but what is hidden: of a folder above
// that, its entries one by one.
func (b *ruleBuilder) around(path string, access uint64) {
	path = resolved(path)
	inside, above := false, false
	for _, h := range b.hidden {
		h = resolved(h)
		inside = inside || within(path, h)
		above = above || within(h, path)
	}
	if inside {
		return
	}
	if !above {
		b.addExactly(path, access)
		return
	}
	b.addExactly(path, access&unix.LANDLOCK_ACCESS_FS_READ_DIR) // names alone
	entries, err := os.ReadDir(path)
	if err != nil {
		return // nor can the process
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 { // where it leads is granted, or not
			b.around(path+"/"+e.Name(), access)
		}
	}
}

// add grants access to what path names. What does not exist, or this process may not
// look up, is left out.
func (b *ruleBuilder) add(path string, access uint64) {
	if b.err != nil || access == 0 {
		return
	}
	f, err := openPath(path)
	if err != nil {
		return
	}
	b.addFile(f, access)
	_ = f.Close() // the rule holds what it needs
}

// addExactly is add for a path without symbolic links: if it has one by now, somebody
// wants what it leads to.
func (b *ruleBuilder) addExactly(path string, access uint64) {
	if b.err != nil || access == 0 {
		return
	}
	f, err := openPath(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if is, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err == nil && is == path {
		b.addFile(f, access)
	}
}

// openPath opens what path names to be named by a rule, and for nothing else.
func openPath(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (b *ruleBuilder) addFile(f *os.File, access uint64) {
	if b.err != nil {
		return
	}
	info, err := f.Stat()
	if err != nil {
		b.err = fmt.Errorf("look at %s: %w", f.Name(), err)
		return
	}
	if !info.IsDir() {
		access &= onFile
	}
	if access &= b.files; access == 0 {
		return
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(f.Fd())} //nolint:gosec // a descriptor
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(b.ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0) //nolint:gosec // the kernel's interface
	if errno != 0 && !errors.Is(errno, unix.EBADFD) { // a file system that has no files
		b.err = fmt.Errorf("grant %s: %w", f.Name(), errno)
	}
}

// createRuleset is landlock_create_ruleset. Later fields of attr must be zero.
func createRuleset(attr unix.LandlockRulesetAttr) (*os.File, error) {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0) //nolint:gosec // the kernel's interface
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(fd, "landlock"), nil
}

package supervisor

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// pidsFile lists the processes of this boot, so that the next one can end what
// this one could not.
const pidsFile = "pids"

// runDir holds a directory for each process, below one for each boot.
type runDir struct {
	base string
	mode os.FileMode // of base and boot
	boot string      // set by open

	mu    sync.Mutex // guards what follows
	next  int
	pids  map[int]string   // line of the pids file, by pid
	alive map[int]struct{} // processes, also those that no line could be made of
}

func newRunDir(base string, shared bool) *runDir {
	var mode os.FileMode = privateDirMode
	if shared {
		mode = passedDirMode
	}
	return &runDir{base: base, mode: mode, pids: map[int]string{}, alive: map[int]struct{}{}}
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// open makes the directory private, ends processes that an earlier boot left,
// and removes what they left. It returns the pids it killed.
func (d *runDir) open() ([]int, error) {
	if err := os.MkdirAll(d.base, privateDirMode); err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	info, err := os.Lstat(d.base)
	if err != nil {
		return nil, fmt.Errorf("stat run directory: %w", err)
	}
	if !info.IsDir() || !ownedByUs(info) {
		return nil, fmt.Errorf("run directory %s is not a directory of this user (hint: remove it)", d.base)
	}
	if err := os.Chmod(d.base, d.mode); err != nil {
		return nil, fmt.Errorf("close run directory to others: %w", err)
	}
	killed := d.killStrays()
	if err := d.sweep(); err != nil {
		return killed, err
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // it never fails
	d.boot = filepath.Join(d.base, hex.EncodeToString(id[:]))
	if err := os.Mkdir(d.boot, d.mode); err != nil {
		return killed, fmt.Errorf("make run directory: %w", err)
	}
	if err := os.Chmod(d.boot, d.mode); err != nil { // whatever the umask
		return killed, fmt.Errorf("make run directory: %w", err)
	}
	return killed, nil
}

// sweep removes the directories of earlier boots.
func (d *runDir) sweep() error {
	entries, err := os.ReadDir(d.base)
	if err != nil {
		return fmt.Errorf("read run directory: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if len(e.Name()) == 8 && strings.Trim(e.Name(), "0123456789abcdef") == "" {
			errs = append(errs, os.RemoveAll(filepath.Join(d.base, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// killStrays ends the processes that an earlier boot wrote down, and what they
// started. A pid alone proves nothing: start and program must be the same too.
func (d *runDir) killStrays() []int {
	body, err := os.ReadFile(filepath.Join(d.base, pidsFile))
	if err != nil {
		return nil // that boot had no process, or ended as it should
	}
	var killed []int
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 3)
		if len(fields) != 3 {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		start, exe, err := identify(pid)
		if err != nil || start != fields[1] || exe != fields[2] {
			continue
		}
		signalGroup(pid, syscall.SIGKILL)
		killed = append(killed, pid)
	}
	// What a plugin started may live on without it, under a group that nobody leads.
	for _, pid := range killByEnvironment(socketDirEnv + "=" + d.base + string(filepath.Separator)) {
		if !slices.Contains(killed, pid) {
			killed = append(killed, pid)
		}
	}
	return killed
}

// process makes a directory for one process.
func (d *runDir) process() (string, error) {
	d.mu.Lock()
	d.next++
	dir := filepath.Join(d.boot, strconv.Itoa(d.next))
	d.mu.Unlock()
	if err := os.Mkdir(dir, privateDirMode); err != nil {
		return "", fmt.Errorf("make process directory: %w", err)
	}
	return dir, nil
}

// living returns the processes of this boot that have not ended.
func (d *runDir) living() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.alive))
}

// add writes a process down. Without its identity, or a disk that takes the
// line, only the sweep of the next boot has less to go by.
func (d *runDir) add(pid int) error {
	d.mu.Lock()
	d.alive[pid] = struct{}{}
	d.mu.Unlock()
	return d.note(pid)
}

// note writes down what a process executes by now: one that was begun by env, by an
// interpreter or by what confines it is another one when it serves.
func (d *runDir) note(pid int) error {
	start, exe, err := identify(pid)
	if err != nil {
		return nil // it has ended already, or the system does not tell
	}
	line := fmt.Sprintf("%d %s %s", pid, start, exe)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pids[pid] == line {
		return nil
	}
	d.pids[pid] = line
	return d.save()
}

// remove crosses a process out.
func (d *runDir) remove(pid int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.alive, pid)
	if _, ok := d.pids[pid]; !ok {
		return nil
	}
	delete(d.pids, pid)
	return d.save()
}

func (d *runDir) save() error {
	var lines []string
	for _, line := range d.pids {
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	path := filepath.Join(d.base, pidsFile)
	if err := os.WriteFile(path+".tmp", []byte(strings.Join(lines, "")), 0o600); err != nil {
		return fmt.Errorf("write down processes: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write down processes: %w", err)
	}
	return nil
}

// close removes what this boot made.
func (d *runDir) close() error {
	err := os.Remove(filepath.Join(d.base, pidsFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	err = errors.Join(err, os.RemoveAll(d.boot))
	_ = os.Remove(d.base) // if nothing else is in it
	return err
}

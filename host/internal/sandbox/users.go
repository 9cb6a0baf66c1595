package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ErrNoUser is of a range whose every user is taken.
var ErrNoUser = errors.New("every user for plugins is taken")

// Users gives processes users of their own, which nobody else of this machine is: a
// number out of a range, as user and as group. A name keeps its number over restarts,
// in a file, and no two names have one at the same time. Its methods may be called from
// several goroutines.
type Users struct {
	file        string
	salt        string
	first, last int
	strangers   func() (map[int]bool, error) // numbers that others have

	mu      sync.Mutex     // guards what follows
	of      map[string]int // by name
	holders map[int]int    // by number: processes that have it
}

// NewUsers returns the users from first to last, kept in the file. Those of another file
// are others, as far as the range is large enough for that.
func NewUsers(file string, first, last int) *Users {
	return &Users{file: file, salt: file, first: first, last: last, strangers: known, of: map[string]int{}, holders: map[int]int{}}
}

// Range returns the first and the last user.
func (u *Users) Range() (first, last int) { return u.first, u.last }

// Take returns the user of a name, which is that name's alone until leave is called as
// often as Take was. ErrNoUser means that so many others have one that none is left.
func (u *Users) Take(name string) (id int, leave func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	strange, err := u.strangers()
	if err != nil {
		return 0, nil, err
	}
	if err := u.load(strange); err != nil {
		return 0, nil, err
	}
	id, ok := u.of[name]
	if !ok {
		if id, ok = u.choose(name, strange); !ok {
			return 0, nil, fmt.Errorf("%w: %d to %d (hint: a larger range as plugins: {users: FIRST-LAST} in host.yaml)", ErrNoUser, u.first, u.last)
		}
		maps.DeleteFunc(u.of, func(_ string, other int) bool { return other == id }) // nobody has it any more
		u.of[name] = id
		if err := u.save(); err != nil {
			return 0, nil, err
		}
	}
	u.holders[id]++
	var once sync.Once
	return id, func() { once.Do(func() { u.leave(id) }) }, nil
}

func (u *Users) leave(id int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.holders[id]--; u.holders[id] == 0 {
		delete(u.holders, id)
	}
}

// choose returns a number for a name that has none: where its hash says, or the next
// that is free. Only when all are given away, one is that no process has.
func (u *Users) choose(name string, strange map[int]bool) (int, bool) {
	given := map[int]bool{}
	for _, id := range u.of {
		given[id] = true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(u.salt + "\x00" + name)) // it never fails
	size := u.last - u.first + 1
	start := int(h.Sum32() % uint32(size)) //nolint:gosec // a range is checked when it is read
	for _, again := range []bool{false, true} {
		for i := range size {
			id := u.first + (start+i)%size
			if (again || !given[id]) && u.holders[id] == 0 && !strange[id] {
				return id, true
			}
		}
	}
	return 0, false
}

// load reads what was given away, by this process or another one of the same host's. A
// line that means nothing is nobody's.
func (u *Users) load(strange map[int]bool) error {
	body, err := os.ReadFile(u.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read users of plugins: %w", err)
	}
	taken := map[int]bool{}
	for name, id := range u.of { // what a process has counts more than what stands there
		taken[id] = true
		if u.holders[id] == 0 {
			delete(u.of, name)
			delete(taken, id)
		}
	}
	for line := range bytes.Lines(body) {
		number, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		id, err := strconv.Atoi(number)
		if _, have := u.of[name]; ok && err == nil && !have && !taken[id] && id >= u.first && id <= u.last && !strange[id] {
			u.of[name], taken[id] = id, true
		}
	}
	return nil
}

func (u *Users) save() error {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(u.of)) {
		fmt.Fprintf(&lines, "%d %s\n", u.of[name], name)
	}
	temp := u.file + "." + strconv.Itoa(os.Getpid()) + ".tmp"
	if err := os.WriteFile(temp, []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("keep users of plugins: %w", err)
	}
	if err := os.Rename(temp, u.file); err != nil {
		return fmt.Errorf("keep users of plugins: %w", errors.Join(err, os.Remove(temp)))
	}
	return nil
}

// known returns the numbers of the users and groups of this machine.
func known() (map[int]bool, error) {
	out := map[int]bool{}
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		body, err := os.ReadFile(file) //nolint:gosec // one of the two
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read users of this machine: %w", err)
		}
		for line := range bytes.Lines(body) {
			fields := strings.Split(string(line), ":")
			if len(fields) < 3 {
				continue
			}
			if id, err := strconv.Atoi(strings.TrimSpace(fields[2])); err == nil {
				out[id] = true
			}
		}
	}
	return out, nil
}

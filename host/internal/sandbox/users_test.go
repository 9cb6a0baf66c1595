package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func nobody() (map[int]bool, error) { return nil, nil }

// rows: P04
//
// A name keeps its user over restarts, and no two names have one at the same time.
func TestUsersAreKeptAndNeverShared(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	open := func(last int) *Users {
		u := NewUsers(file, 2000, last)
		u.strangers = nobody
		return u
	}
	u, of, leaves := open(2009), map[string]int{}, map[string]func(){}
	seen := map[int]bool{}
	for i := range 10 {
		name := fmt.Sprint("plugin", i)
		id, leave, err := u.Take(name)
		require.NoError(t, err)
		require.False(t, seen[id], "%d twice", id)
		require.GreaterOrEqual(t, id, 2000)
		require.LessOrEqual(t, id, 2009)
		seen[id], of[name], leaves[name] = true, id, leave
	}
	_, _, err := u.Take("more")
	require.ErrorIs(t, err, ErrNoUser)
	require.ErrorContains(t, err, "2000 to 2009 (hint: a larger range as plugins: {users: FIRST-LAST} in host.yaml)")
	again, leave, err := u.Take("plugin3")
	require.NoError(t, err, "another process of the same plugin")
	require.Equal(t, of["plugin3"], again)
	leave()
	leave()
	leaves["plugin7"]()
	id, _, err := u.Take("more")
	require.NoError(t, err, "one that no process has is given on, and no other")
	require.Equal(t, of["plugin7"], id)

	next := open(2019)
	for name, want := range of {
		if name == "plugin7" {
			continue
		}
		id, _, err := next.Take(name)
		require.NoError(t, err)
		require.Equal(t, want, id, "after a restart, %s", name)
	}
	beside, _, err := open(2019).Take("other")
	require.NoError(t, err)
	_, _, err = next.Take("third")
	require.NoError(t, err)
	got, _, err := next.Take("other")
	require.NoError(t, err)
	require.Equal(t, beside, got, "given by a command beside the daemon")

	require.NoError(t, os.WriteFile(file, []byte("2001 a\n2001 b\nx c\n1 d\n\n2002"), 0o600))
	damaged := open(2009)
	taken := map[int]bool{}
	for _, name := range []string{"a", "b", "c", "d"} {
		id, _, err := damaged.Take(name)
		require.NoError(t, err)
		require.False(t, taken[id])
		require.GreaterOrEqual(t, id, 2000)
		taken[id] = true
	}

	strange := NewUsers(filepath.Join(t.TempDir(), "users"), 2000, 2001)
	strange.strangers = func() (map[int]bool, error) { return map[int]bool{2000: true}, nil }
	id, leave, err = strange.Take("a")
	require.NoError(t, err)
	require.Equal(t, 2001, id)
	leave()
	id, _, err = strange.Take("b")
	require.NoError(t, err)
	require.Equal(t, 2001, id)
	machine, err := known()
	require.NoError(t, err)
	require.True(t, machine[0])
	require.False(t, machine[61183])
}

// A plugin that is stopped keeps its user, which nobody gets as long as there are others,
// before and after the daemon was started again. The users of the machine are asked for
// once each time and not for each number.
//
// rows: P04
func TestAUserIsKeptWhileItIsNotInUse(t *testing.T) {
	t.Parallel()
	file, asked := filepath.Join(t.TempDir(), "users"), 0
	open := func() *Users {
		u := NewUsers(file, 2000, 2011)
		u.strangers = func() (map[int]bool, error) { asked++; return map[int]bool{2005: true}, nil }
		return u
	}
	take := func(u *Users, name string) int {
		id, leave, err := u.Take(name)
		require.NoError(t, err)
		leave()
		return id
	}
	u, of, seen := open(), map[string]int{}, map[int]string{2005: "the machine's"}
	for i := range 10 {
		name := fmt.Sprint("plugin", i)
		of[name] = take(u, name)
		require.Empty(t, seen[of[name]], "%s got another's", name)
		seen[of[name]] = name
	}
	require.Equal(t, 10, asked)
	for name, want := range of {
		require.Equal(t, want, take(u, name))
	}
	asked, u = 0, open()
	require.Empty(t, seen[take(u, "another")], "the one that is left")
	for i := 9; i >= 0; i-- { // not in the order in which they came
		name := fmt.Sprint("plugin", i)
		require.Equal(t, of[name], take(u, name), "%s after a restart", name)
	}
	require.Equal(t, 11, asked)
}

//go:build linux || darwin

package sqlite

import "golang.org/x/sys/unix"

// freeBytes returns how much more the user can write in dir.
func freeBytes(dir string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:gosec,unconvert // no disk has 8 EiB; the types differ between systems
}

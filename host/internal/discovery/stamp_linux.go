package discovery

import (
	"os"
	"syscall"
)

// openFlags keep an open from waiting for the other end of a pipe that took a
// file's place.
const openFlags = syscall.O_NONBLOCK

// noFollow refuses a link in the place of a file.
const noFollow = syscall.O_NOFOLLOW

func stampOf(info os.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.ctime = st.Dev, st.Ino, st.Ctim.Nano()
	}
	return s
}

// owner returns the user that owns a file; -1 if the system does not say.
func owner(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// group returns the group of a file; -1 if the system does not say.
func group(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Gid)
	}
	return -1
}

package supervisor

import (
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinSocket returns a path that leads to the socket that the address names at this
// moment, whatever takes its name later; done lets go of it. A link is refused.
func pinSocket(address string) (path string, done func(), err error) {
	fd, err := unix.Open(address, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("find its socket: %w", err)
	}
	done = func() { _ = unix.Close(fd) } // it was only looked at
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		done()
		return "", nil, fmt.Errorf("find its socket: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		done()
		return "", nil, fmt.Errorf("it listens on %.100q, which is no socket any more", address)
	}
	return "/proc/self/fd/" + strconv.Itoa(fd), done, nil
}

// listens reports a connection with anybody but the process or one of its group.
func listens(conn net.Conn, pid int) error {
	raw, err := conn.(*net.UnixConn).SyscallConn() //nolint:forcetypeassert // the network is unix
	if err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	var (
		cred    *unix.Ucred
		credErr error
	)
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	if credErr != nil {
		return fmt.Errorf("ask who listens: %w", credErr)
	}
	if group, err := unix.Getpgid(int(cred.Pid)); err != nil || group != pid {
		return fmt.Errorf("process %d listens on its socket, which is none of its own", cred.Pid)
	}
	return nil
}

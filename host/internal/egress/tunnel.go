package egress

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// counted is a connection to a remote system whose bytes are counted.
type counted struct {
	net.Conn
	p    *Proxy
	host string
	port uint16
	once sync.Once
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.p.opts.Moved(false, n)
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.p.opts.Moved(true, n)
	return n, err
}

// CloseWrite says that nothing more comes from here.
func (c *counted) CloseWrite() error { return closeWrite(c.Conn) }

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.p.drop(c) })
	return c.Conn.Close()
}

// tunnel passes bytes on in both directions, until both sides have ended, one of them
// breaks, or nothing came for so long. early is what was read of local already, and
// the rest of it.
func tunnel(local net.Conn, early io.Reader, remote net.Conn, idle time.Duration) {
	t := &activity{conns: []net.Conn{local, remote}, idle: idle}
	t.at.Store(time.Now().UnixNano())
	t.start()
	defer t.stop()
	var both sync.WaitGroup
	both.Go(func() { t.pass(remote, early) })
	both.Go(func() { t.pass(local, remote) })
	both.Wait()
}

// activity closes connections on which nothing happens.
type activity struct {
	conns []net.Conn
	idle  time.Duration
	at    atomic.Int64 // when a byte came last

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	over  bool
}

func (a *activity) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(a.idle, a.check)
}

// check ends what is idle, or looks again when it could be.
func (a *activity) check() {
	left := a.idle - time.Since(time.Unix(0, a.at.Load()))
	if left <= 0 {
		a.end()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.timer = time.AfterFunc(left, a.check)
	}
}

func (a *activity) end() {
	for _, c := range a.conns {
		_ = c.Close() // whoever reads or writes learns of it
	}
}

func (a *activity) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.timer.Stop()
}

// pass copies until the source ends, and tells the other side.
func (a *activity) pass(to net.Conn, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			a.at.Store(time.Now().UnixNano())
			if _, werr := to.Write(buf[:n]); werr != nil {
				a.end()
				return
			}
		}
		if err == io.EOF {
			if closeWrite(to) != nil {
				a.end()
			}
			return
		}
		if err != nil {
			a.end()
			return
		}
	}
}

// closeWrite closes half of a connection, or all of one that has no halves.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

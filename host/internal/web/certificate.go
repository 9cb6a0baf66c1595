package web

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// certificate is that of the listener, read again when its files change. One that
// cannot be read leaves the one before.
type certificate struct {
	cert, key string // files
	every     time.Duration
	log       hclog.Logger

	mu     sync.Mutex // guards what follows
	now    *tls.Certificate
	stamp  string    // of the files that now is from
	looked time.Time // when
}

// readCertificate reads it for the first time.
func readCertificate(cert, key string, every time.Duration, log hclog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, every: every, log: log}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	c.now, c.stamp, c.looked = &pair, c.stamped(), time.Now()
	return c, nil
}

// stamped tells the files from what they were.
func (c *certificate) stamped() string {
	cert, certErr := os.Stat(c.cert)
	key, keyErr := os.Stat(c.key)
	if certErr != nil || keyErr != nil {
		return ""
	}
	return fmt.Sprint(cert.Size(), cert.ModTime().UnixNano(), key.Size(), key.ModTime().UnixNano())
}

// get returns the newest that could be read, for a connection that begins.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < c.every {
		return c.now, nil
	}
	c.looked = time.Now()
	stamp := c.stamped()
	if stamp == "" || stamp == c.stamp {
		return c.now, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil { // perhaps half of them is written: it is tried again
		c.log.Warn("the certificate changed and cannot be read; the one before goes on", "error", err)
		return c.now, nil
	}
	c.now, c.stamp = &pair, stamp
	c.log.Info("the certificate changed", "file", c.cert)
	return c.now, nil
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// findURL returns where the HTTP listener of a daemon is that --address names by its
// URL. In clear it is one of this machine alone.
func (c *cli) findURL() (address string, err error) {
	u, err := url.Parse(c.address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return "", usageError(fmt.Errorf("%s: not the address of a daemon", c.address), "such as https://jackfield.example.com:7480")
	}
	port := u.Port()
	switch u.Scheme {
	case "https":
		return net.JoinHostPort(u.Hostname(), orElse(port, "443")), nil
	case "http":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", usageError(fmt.Errorf("%s: the token would cross the network in clear", c.address), "https")
		}
		return net.JoinHostPort(u.Hostname(), orElse(port, "80")), nil
	default:
		return "", usageError(fmt.Errorf("%s: not the address of a daemon", c.address), "https://HOST:PORT, or the path of a socket")
	}
}

// security returns how the connection is kept from others, and the name that the daemon
// is asked for: a Unix socket and loopback need nothing.
func (c *cli) security() (credentials.TransportCredentials, string, error) {
	u, err := url.Parse(c.address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return insecure.NewCredentials(), "localhost", nil //nolint:nilerr // a path, or host:port
	}
	if u.Scheme == "http" {
		return insecure.NewCredentials(), u.Host, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, "", environmentError(fmt.Errorf("read --ca: %w", err), "")
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, "", environmentError(errors.New("read --ca: "+c.ca+" has no certificate in PEM"), "")
		}
	}
	return credentials.NewTLS(config), u.Host, nil
}

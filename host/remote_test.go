package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/jackfield/jackfield/host/internal/web"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// certify writes a certificate for localhost that signs itself.
func certify(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

// The command line works with a daemon on another machine as with one here: over TLS,
// with a token.
//
// rows: K20, N01
func TestTheCommandLineReachesADaemonElsewhere(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, t.TempDir())
	srv := grpc.NewServer()
	hostv1.RegisterStatusServiceServer(srv, &fakeDaemon{})
	t.Cleanup(srv.Stop)
	secure := listen(t, web.Options{Cert: cert, Key: key, RPC: srv})
	clear := listen(t, web.Options{RPC: srv})

	for name, c := range map[string]struct {
		address, ca, token string
		want               int
	}{
		"TLS":         {"https://" + secure, cert, testToken, exitDone},
		"Loopback":    {"http://" + clear, "", testToken, exitDone},
		"WrongToken":  {"https://" + secure, cert, "wrong", exitDenied},
		"NoToken":     {"https://" + secure, cert, "", exitDenied},
		"UnknownName": {"https://" + secure, "", testToken, exitEnvironment},
		"ClearToTLS":  {"http://" + secure, "", testToken, exitEnvironment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t)
			s.env["JACKFIELD_ADDRESS"], s.env["JACKFIELD_CA"], s.env["JACKFIELD_TOKEN"] = c.address, c.ca, c.token
			require.Equal(t, c.want, s.run("status"), s.stdout+s.stderr)
		})
	}
}

// listen serves until the test ends, and returns where.
func listen(t *testing.T, opts web.Options) string {
	t.Helper()
	opts.Listen = "127.0.0.1:0"
	opts.Authorized = func(string) bool { return false }
	opts.Caller = func(_ context.Context, token string) bool { return token == testToken }
	s, err := web.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool { return s.Addr() != nil }, time.Minute, time.Millisecond)
	return s.Addr().String()
}

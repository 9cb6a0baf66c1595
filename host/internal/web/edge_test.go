package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certify writes a certificate with a number for localhost.
func certify(t *testing.T, dir string, number int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	like := &x509.Certificate{
		SerialNumber: big.NewInt(number), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
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

// With a certificate it may listen beyond this machine; what is asked in clear is not
// answered, and a new certificate is taken without a restart.
//
// rows: N01
func TestACertificateIsTakenWhenItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certify(t, dir, 1)
	_, err := New(Options{Listen: "0.0.0.0:0", Cert: cert, Key: key, Authorized: func(string) bool { return false }})
	require.NoError(t, err)
	_, err = New(Options{Listen: "127.0.0.1:0", Cert: key, Key: cert, Authorized: func(string) bool { return false }})
	require.ErrorContains(t, err, "read certificate")

	addr := serve(t, Options{Cert: cert, Key: key, CertEvery: time.Nanosecond})
	number := func() int64 {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		secure, ok := conn.(*tls.Conn)
		require.True(t, ok)
		return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	require.Equal(t, int64(1), number())
	code, _, _ := ask(t, addr, http.MethodGet, "/healthz", nil)
	require.Equal(t, http.StatusBadRequest, code, "in clear")
	require.NoError(t, os.WriteFile(key, []byte("half"), 0o600))
	require.Equal(t, int64(1), number(), "what cannot be read changes nothing")
	certify(t, dir, 2)
	require.Eventually(t, func() bool { return number() == 2 }, time.Minute, time.Millisecond)
}

// Requests without a token are limited for each address, and counted; one with a token
// is let through all the same.
//
// rows: K20, I11
func TestFailuresOfAnAddressAreLimited(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refused := map[string]int{}
	addr := serve(t, Options{Routes: secretRoute(), Refused: func(reason string) {
		mu.Lock()
		defer mu.Unlock()
		refused[reason]++
	}})
	limited := false
	for range 10 * maxFailures {
		code, h, text := ask(t, addr, http.MethodGet, "/api/v1/runs", nil)
		if code == http.StatusUnauthorized {
			continue
		}
		require.Equal(t, http.StatusTooManyRequests, code)
		require.NotEmpty(t, h.Get("Retry-After"))
		var p map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		require.Equal(t, "limit", p["code"])
		limited = true
		break
	}
	require.True(t, limited)
	code, _, _ := ask(t, addr, http.MethodGet, "/metrics", withToken)
	require.Equal(t, http.StatusOK, code)
	code, _, _ = ask(t, addr, http.MethodGet, "/metrics", func(r *http.Request) { r.Host = "evil.example" })
	require.Equal(t, http.StatusForbidden, code)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, refused["token"], maxFailures)
	require.Equal(t, 1, refused["limit"])
	require.Equal(t, 1, refused["host"])
}

func TestFailuresAreForgottenInTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := failures{now: func() time.Time { return now }}
	for range maxFailures {
		require.Zero(t, f.note("192.0.2.1:1"))
	}
	require.Equal(t, failureEvery, f.note("192.0.2.1:2"), "another port is the same address")
	require.Zero(t, f.note("192.0.2.2:1"))
	now = now.Add(failureEvery)
	require.Zero(t, f.note("192.0.2.1:1"))
	require.Positive(t, f.note("192.0.2.1:1"))
	require.Equal(t, sender("[2001:db8::1]:1"), sender("[2001:db8::2]:1"), "one network")
	for i := range 3 * maxRemembered {
		f.note("10." + strconv.Itoa(i>>16) + "." + strconv.Itoa(i>>8&255) + "." + strconv.Itoa(i&255) + ":1")
	}
	require.LessOrEqual(t, len(f.next), maxRemembered)
}

// Names that it is reached by are answered, and no others.
//
// rows: X05
func TestItsNamesAreAnswered(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Hosts: []string{"jackfield.example"}})
	for host, want := range map[string]int{"jackfield.example": 200, "JACKFIELD.example:7480": 200, "localhost": 200, "other.example": 403, "a.jackfield.example": 403} {
		code, _, text := ask(t, addr, http.MethodGet, "/healthz", func(r *http.Request) { r.Host = host })
		require.Equal(t, want, code, host)
		if want == http.StatusForbidden {
			require.Contains(t, text, "hint: ")
		}
	}
}

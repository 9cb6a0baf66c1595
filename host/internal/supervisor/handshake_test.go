package supervisor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: P05, H06, H32
func TestHandshake(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	socket := filepath.Join(dir, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // of the test
	other := filepath.Join(shortDir(t), "s")
	l2, err := lc.Listen(t.Context(), "unix", other)
	require.NoError(t, err)
	defer l2.Close() //nolint:errcheck // of the test
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.NoError(t, os.Symlink(other, filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	cert := certificate(t)

	h, err := parseHandshake("1|1|unix|"+socket+"|grpc|"+cert+"\n", dir, []int{1})
	require.NoError(t, err)
	require.Equal(t, handshake{"unix", socket}, h)
	_, err = parseHandshake("1|1|unix|"+socket+"|grpc|"+cert+"|false", dir, []int{1})
	require.NoError(t, err)

	for line, want := range map[string]string{
		"1|1|tcp|127.0.0.1:1|grpc|" + cert:                      "only a Unix socket is dialled",
		"1|1|tcp|169.254.169.254:80|grpc|" + cert:               "only a Unix socket is dialled",
		"1|1|tcp6|[::1]:22|grpc|" + cert:                        "only a Unix socket is dialled",
		"1|1|udp|127.0.0.1:53|grpc|" + cert:                     "only a Unix socket is dialled",
		"1|1|unixgram|" + socket + "|grpc|" + cert:              "only a Unix socket is dialled",
		"1|1|unixpacket|" + socket + "|grpc|" + cert:            "only a Unix socket is dialled",
		"1|1|npipe|x|grpc|" + cert:                              "only a Unix socket is dialled",
		"1|1||" + socket + "|grpc|" + cert:                      "only a Unix socket is dialled",
		"1|1|unix|/run/docker.sock|grpc|" + cert:                "outside of its directory",
		"1|1|unix|/var/run/dbus/system_bus_socket|grpc|" + cert: "outside of its directory",
		"1|1|unix|" + other + "|grpc|" + cert:                   "outside of its directory",
		"1|1|unix|" + dir + "/../s|grpc|" + cert:                "outside of its directory",
		"1|1|unix|" + dir + "/./s|grpc|" + cert:                 "outside of its directory",
		"1|1|unix|" + dir + "//s|grpc|" + cert:                  "outside of its directory",
		"1|1|unix|" + dir + "/sub/s|grpc|" + cert:               "outside of its directory",
		"1|1|unix|" + dir + "|grpc|" + cert:                     "outside of its directory",
		"1|1|unix|s|grpc|" + cert:                               "outside of its directory",
		"1|1|unix|@abstract|grpc|" + cert:                       "outside of its directory",
		"1|1|unix||grpc|" + cert:                                "outside of its directory",
		"1|1|unix|" + dir + "/link|grpc|" + cert:                "no socket",
		"1|1|unix|" + dir + "/file|grpc|" + cert:                "no socket",
		"1|1|unix|" + dir + "/sub|grpc|" + cert:                 "no socket",
		"1|1|unix|" + dir + "/none|grpc|" + cert:                "does not exist",
		"2|1|unix|" + socket + "|grpc|" + cert:                  "core protocol",
		"1|2|unix|" + socket + "|grpc|" + cert:                  "speaks protocol version",
		"1|0|unix|" + socket + "|grpc|" + cert:                  "speaks protocol version",
		"1|1|unix|" + socket + "|netrpc|" + cert:                "not grpc",
		"1|1|unix|" + socket + "|grpc":                          "no certificate",
		"1|1|unix|" + socket + "|grpc|":                         "no certificate",
		"1|1|unix|" + socket + "|grpc|short":                    "no certificate",
		"1|1|unix|" + socket + "|grpc|" + cert + "=":            "no base64",
		"1|1|unix|" + socket + "|grpc|" + cert[:200]:            "cannot be read",
		"1|1|unix|" + socket + "|grpc|" + cert + "|false|x":     "has 8 fields",
		"1|1|unix|" + socket:                                    "has 4 fields",
	} {
		_, err := parseHandshake(line, dir, []int{1})
		require.ErrorContains(t, err, want, line)
		require.Less(t, len(err.Error()), 400)
	}
	for _, line := range []string{"", "starting", "a|b|c|d", "1|1", "1|1|UNIX|x|grpc", "12345678|1|unix|x|grpc", "{\"a\":\"1|2|3|4\"}"} {
		require.False(t, looksLikeHandshake(line), line)
	}
	x := &execution{dir: dir}
	_, _, err = x.PluginToHost("tcp", "127.0.0.1:1")
	require.Error(t, err)
	_, _, err = x.PluginToHost("unix", socket)
	require.NoError(t, err)
}

// rows: P05, H06
func FuzzHandshake(f *testing.F) {
	f.Add("1|1|unix|/tmp/x/s|grpc|" + strings.Repeat("A", 60))
	f.Add("1|1|tcp|127.0.0.1:1|grpc")
	dir := f.TempDir() // it holds no socket, so nothing may pass
	f.Fuzz(func(t *testing.T, line string) {
		_ = looksLikeHandshake(line)
		_, err := parseHandshake(line, dir, []int{1})
		require.Error(t, err)
	})
}

// shortDir is a directory whose path leaves room for a socket, unlike that of a
// test with a long name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// certificate returns a certificate as a handshake carries it.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return base64.RawStdEncoding.EncodeToString(der)
}

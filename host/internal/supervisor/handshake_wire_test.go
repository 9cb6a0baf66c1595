//go:build linux

package supervisor

import (
	"encoding/base64"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trap is what no handshake may make the host dial.
type trap struct {
	tcp, unix, abstract string // addresses
	dialled             atomic.Int64
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	tr := &trap{unix: filepath.Join(shortDir(t), "docker.sock")}
	tr.abstract = "@" + filepath.Base(filepath.Dir(tr.unix))
	listen := func(network, address string) string {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				tr.dialled.Add(1)
				_ = conn.Close() // that it was made is what counts
			}
		}()
		t.Cleanup(func() {
			_ = l.Close() // of the test
			<-done
		})
		return l.Addr().String()
	}
	tr.tcp = listen("tcp", "127.0.0.1:0")
	listen("unix", tr.unix)
	listen("unix", tr.abstract)
	return tr
}

// shake is what a process prints in the place of its handshake.
type shake struct {
	line   string // DIR stands for its directory
	leaves bool   // ends after it
	want   string // of the error
}

// shakes returns the corpus.
func (tr *trap) shakes(cert string) map[string]shake {
	at := func(network, address string) string {
		return "1|1|" + network + "|" + address + "|grpc|" + cert + "\n"
	}
	const own = "1|1|unix|DIR/s|grpc|"
	noise := func(line string) shake {
		return shake{line: line, leaves: true, want: "exited with code 0 before the handshake; it printed"}
	}
	utf16 := func(text string) string {
		return "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00"
	}
	return map[string]shake{
		"OtherCore":            {line: "2" + at("unix", "DIR/s")[1:], want: `core protocol "2"`},
		"NoCore":               {line: "0" + at("unix", "DIR/s")[1:], want: `core protocol "0"`},
		"NegativeCore":         {line: "-" + at("unix", "DIR/s"), want: `core protocol "-1"`},
		"PaddedCore":           {line: "0" + at("unix", "DIR/s"), want: `core protocol "01"`},
		"OtherVersion":         {line: "1|2" + at("unix", "DIR/s")[3:], want: `protocol version "2"`},
		"NoVersion":            {line: "1|0" + at("unix", "DIR/s")[3:], want: `protocol version "0"`},
		"NegativeVersion":      {line: "1|-1" + at("unix", "DIR/s")[3:], want: `protocol version "-1"`},
		"HugeVersion":          noise("1|18446744073709551617" + at("unix", "DIR/s")[3:]),
		"TCP":                  {line: at("tcp", tr.tcp), want: "only a Unix socket is dialled"},
		"TCP6":                 {line: at("tcp6", "[::1]:22"), want: "only a Unix socket is dialled"},
		"Metadata":             {line: at("tcp", "169.254.169.254:80"), want: "only a Unix socket is dialled"},
		"UDP":                  {line: at("udp", tr.tcp), want: "only a Unix socket is dialled"},
		"Datagrams":            {line: at("unixgram", "DIR/s"), want: "only a Unix socket is dialled"},
		"Packets":              {line: at("unixpacket", "DIR/s"), want: "only a Unix socket is dialled"},
		"OtherCase":            noise(at("UNIX", tr.unix)),
		"Outside":              {line: at("unix", tr.unix), want: "outside of its directory"},
		"Docker":               {line: at("unix", "/run/docker.sock"), want: "outside of its directory"},
		"Traversal":            {line: at("unix", "DIR/../../../../../../../../.."+tr.unix), want: "outside of its directory"},
		"TraversalAndBack":     {line: at("unix", "DIR/sub/../s"), want: "outside of its directory"},
		"Dot":                  {line: at("unix", "DIR/./s"), want: "outside of its directory"},
		"TwoSlashes":           {line: at("unix", "DIR//s"), want: "outside of its directory"},
		"Below":                {line: at("unix", "DIR/sub/s"), want: "outside of its directory"},
		"ThroughALinkedFolder": {line: at("unix", "DIR/linkdir/docker.sock"), want: "outside of its directory"},
		"Link":                 {line: at("unix", "DIR/link"), want: "which is no socket"},
		"File":                 {line: at("unix", "DIR/file"), want: "which is no socket"},
		"Folder":               {line: at("unix", "DIR/sub"), want: "which is no socket"},
		"ItsDirectory":         {line: at("unix", "DIR"), want: "outside of its directory"},
		"Nothing":              {line: at("unix", "DIR/none"), want: "which does not exist"},
		"LongerThanASocket":    {line: at("unix", "DIR/"+strings.Repeat("a", 200)), want: "which does not exist"},
		"Relative":             {line: at("unix", "s"), want: "outside of its directory"},
		"Empty":                {line: at("unix", ""), want: "outside of its directory"},
		"Abstract":             {line: at("unix", tr.abstract), want: "outside of its directory"},
		"AbstractByNUL":        {line: at("unix", "\x00"+tr.abstract[1:]), want: "outside of its directory"},
		"NULInside":            {line: at("unix", "DIR/s\x00"+tr.unix), want: "outside of its directory"},
		"ItsOwnFile":           {line: at("unix", "/proc/self/fd/3"), want: "outside of its directory"},
		"Address":              {line: at("unix", "unix://"+tr.unix), want: "outside of its directory"},
		"ReturnInside":         {line: at("unix", "DIR/s\r"), want: "which does not exist"},
		"NetRPC":               {line: "1|1|unix|DIR/s|netrpc|" + cert + "\n", want: `"netrpc", not grpc`},
		"NoProtocol":           {line: "1|1|unix|DIR/s\n", want: "has 4 fields"},
		"NoCertificate":        {line: own[:len(own)-1] + "\n", want: "it sent no certificate"},
		"EmptyCertificate":     {line: own + "\n", want: "it sent no certificate"},
		"BadBase64":            {line: own + strings.Repeat("*", 80) + "\n", want: "its certificate is no base64"},
		"PaddedBase64":         {line: own + cert + "==\n", want: "its certificate is no base64"},
		"NoDER":                {line: own + strings.Repeat("A", 600) + "\n", want: "its certificate cannot be read"},
		"HalfACertificate":     {line: own + cert[:len(cert)/8*4] + "\n", want: "its certificate cannot be read"},
		"TwoCertificates":      {line: own + base64.RawStdEncoding.EncodeToString(twice(cert)) + "\n", want: "its certificate cannot be read"},
		"TooManyFields":        {line: own + cert + "|false|more|and more\n", want: "its handshake has 9 fields"},
		"TooFewFields":         noise("1|1|unix\n"),
		"Spaces":               noise(" 1 " + at("unix", "DIR/s")[1:]),
		"ByteOrderMark":        noise("\ufeff" + at("unix", "DIR/s")),
		"UTF16":                noise(utf16(at("unix", tr.unix))),
		"AMegabyte":            noise("1|1|unix|DIR/MEGABYTE|grpc|" + cert + "\n"),
		"NoNewline":            {line: strings.TrimSuffix(at("unix", "DIR/s"), "\n"), want: "no handshake within 3s; it printed"},
		"TwoLinesOneBad":       {line: at("tcp", tr.tcp) + at("unix", "DIR/s"), want: "only a Unix socket is dialled"},
		"TwoReturns":           {line: strings.ReplaceAll(at("tcp", tr.tcp), "\n", "\r\r\n"), want: "only a Unix socket is dialled"},
	}
}

// twice returns the bytes of a certificate, and again.
func twice(cert string) []byte {
	der, err := base64.RawStdEncoding.DecodeString(cert)
	if err != nil {
		return nil // the line says less, and its test fails
	}
	return append(der, der...)
}

// Whatever a process prints where its handshake should be, nothing is dialled but a
// socket in the directory that was made for it, and the error says what was wrong.
//
// rows: P05, H06
func TestAHandshakeDoesNotChooseWhatIsDialled(t *testing.T) {
	t.Parallel()
	tr := newTrap(t)
	cert := certificate(t)
	corpus := tr.shakes(cert)
	require.GreaterOrEqual(t, len(corpus), 30)
	start := func(t *testing.T, c shake, timeout time.Duration) (mark string, err error) {
		mark = filepath.Join(t.TempDir(), "dialled")
		s := setup(t, func(o *Options) {
			o.StartTimeout = timeout
			o.Env = []string{"ZOO_SHAKE=" + base64.StdEncoding.EncodeToString([]byte(c.line)), "ZOO_OUTSIDE=" + tr.unix, "ZOO_MARK=" + mark}
			if c.leaves {
				o.Env = append(o.Env, "ZOO_LEAVES=1")
			}
		})
		return mark, s.Sync(t.Context(), []Binary{animal(t, "shake")})
	}
	t.Run("Lines", func(t *testing.T) {
		t.Parallel()
		for name, c := range corpus {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				timeout := 30 * time.Second
				if name == "NoNewline" {
					timeout = 3 * time.Second
				}
				mark, err := start(t, c, timeout)
				require.ErrorContains(t, err, c.want)
				require.Less(t, len(err.Error()), 700)
				require.NoFileExists(t, mark, "its socket was dialled")
				require.Zero(t, tr.dialled.Load())
			})
		}
	})
	t.Run("AGoodOneIsDialled", func(t *testing.T) { // or the mark proves nothing
		t.Parallel()
		mark, err := start(t, shake{line: "1|1|unix|DIR/s|grpc|" + cert + "\n"}, 30*time.Second)
		require.Error(t, err, "nobody serves there")
		require.FileExists(t, mark)
	})
}

package endpoint_test

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// peak runs do and returns how much more memory was in use at most, as far as it was
// looked at: every few milliseconds.
func peak(do func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // garbage is not what is measured
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		often := time.NewTicker(2 * time.Millisecond)
		defer often.Stop()
		for last := false; !last; {
			select {
			case <-done:
				last = true
			case <-often.C:
			}
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}()
	do()
	close(done)
	<-stopped
	return most - before
}

// Whatever a remote system answers costs less than 64 MiB, here with what the remote
// system itself takes in the same process, and ends.
//
// rows: R01, R02
func TestR01NoAnswerTakesMuchMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	if testing.Short() {
		t.Skip("the race detector takes memory and time of its own; make test has it")
	}
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	zeros := make([]byte, 1<<20)
	for range 16 {
		_, err := z.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	block := bytes.Repeat([]byte(" "), 64<<10)
	// repeat answers with a text that is made of pieces, and written as it is made.
	repeat := func(head, piece, tail string, size int) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, _ *http.Request, _ string) {
			pieces := []byte(strings.Repeat(piece, 1+(64<<10)/len(piece)))
			_, _ = w.Write([]byte(head))
			for n := 0; n < size; n += len(pieces) {
				if _, err := w.Write(pieces); err != nil {
					return
				}
			}
			_, _ = w.Write([]byte(tail))
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request, _ string) {
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	const below = 8<<20 - 256<<10 // the cap of an answer
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request, string)
		code   string
	}{
		{"a gigabyte of zeros in a megabyte", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 64 {
				if _, err := w.Write(member.Bytes()); err != nil {
					return
				}
			}
		}, "answer_too_large"},
		{"no end", endless, "answer_too_large"},
		{"a header of 2 MiB", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("X-Large", strings.Repeat("x", 2<<20))
		}, "unreachable"},
		{"drops", func(w http.ResponseWriter, r *http.Request, _ string) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				runtime.Gosched()
			}
		}, "timeout"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}, "redirect"},
		{"brackets", repeat("", "[", "", below), "answer_too_large"},
		{"deep enough", func(w http.ResponseWriter, _ *http.Request, _ string) {
			_, _ = w.Write([]byte(strings.Repeat("[", 199_000)))
		}, "bad_answer"},
		{"numbers", repeat("[0", ",0", "]", below), "answer_too_large"},
		{"objects", repeat("[{}", `,{"":{}}`, "]", below), "answer_too_large"},
		{"members", repeat(`{"a":0`, `,"a":0`, "}", below), "answer_too_large"},
		{"objects up to the cap", repeat("[{}", `,{"":{}}`, "]", 66_000*8-64<<10), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			remote := newRemote(t, c.answer)
			timeout := "60s"
			if c.code == "timeout" {
				timeout = "300ms"
			}
			in := integration(compile(t, one("type: GetData\nurl: /x\ntimeout: "+timeout)), remote)
			e := engine(t, remote, func(o *endpoint.Options) {
				transport := endpoint.NewTransport((&net.Dialer{}).DialContext, remote.Client().Transport.(*http.Transport).TLSClientConfig) //nolint:forcetypeassert // the server's
				t.Cleanup(transport.CloseIdleConnections)
				o.Transport = func(string) http.RoundTripper { return transport }
			})
			var err error
			var out endpoint.Result
			begin := time.Now()
			used := peak(func() { out, err = e.Call(t.Context(), in, "it", endpoint.Given{}) })
			if c.code == "" {
				require.NoError(t, err)
				require.NotNil(t, out.Body)
			} else if code := failed(t, err).Code; code != c.code {
				require.Equal(t, c.code, code, err.Error())
			}
			t.Logf("%d KiB in %s", used>>10, time.Since(begin).Round(time.Millisecond))
			require.Less(t, used, uint64(64<<20))
			runtime.KeepAlive(out)
		})
	}
}

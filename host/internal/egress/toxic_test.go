package egress

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// toxic is a remote system that wants to do harm.
func toxic(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/bomb":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		_ = z.Close()
	case "/fits":
		_, _ = w.Write(make([]byte, 1<<10))
	case "/header":
		w.Header().Set("X-Large", strings.Repeat("x", 2<<20))
	case "/drip":
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	case "/silence":
		<-r.Context().Done()
	}
}

// readAll counts the bytes of an answer.
func readAll(t *testing.T, c *http.Client, url string) (int64, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read or refused
	return io.Copy(io.Discard, resp.Body)
}

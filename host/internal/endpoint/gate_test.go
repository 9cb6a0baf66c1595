package endpoint_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
)

// wire is a transport without a network.
type wire struct {
	mu      sync.Mutex // guards what follows
	sent    int
	now     int // under way
	most    int
	answers func(n int) (status int, err error)
	takes   time.Duration
	header  http.Header
	order   []string // paths, as they were sent
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent++
	n := w.sent
	w.now++
	w.most = max(w.most, w.now)
	w.order = append(w.order, r.URL.Path)
	header := w.header.Clone()
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now--
	}()
	if w.takes > 0 {
		select {
		case <-time.After(w.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	status, err := http.StatusOK, error(nil)
	if w.answers != nil {
		status, err = w.answers(n)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
}

// paths returns what was sent, in its order.
func (w *wire) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.order)
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// wired is an engine on the wire, and an integration with some endpoints.
func wired(t *testing.T, w *wire) (*endpoint.Engine, endpoint.Integration) {
	t.Helper()
	e, err := endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return w }, Tokens: newVault()})
	require.NoError(t, err)
	tpl := compile(t, head+`request: {max_concurrent: 4}
endpoints:
  - {name: read, type: GetData, url: /x}
  - {name: write, type: PostData, url: /x}
  - {name: log, type: PostData, url: /log}
  - {name: lookup, type: GetData, url: /lookup}
  - {name: elsewhere, type: PostData, url: "https://other.example/x"}
`)
	return e, endpoint.Integration{ID: "uid-1", Name: "acme/crm", Template: tpl, Host: "crm.example", Fields: fields()}
}

// rows: O40, O51
func TestAHostThatFailsIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusServiceUnavailable
		w := &wire{answers: func(int) (int, error) { return status, nil }}
		e, in := wired(t, w)
		call := func(name string) error {
			_, err := e.Call(t.Context(), in, name, endpoint.Given{})
			return err
		}
		for range 5 {
			require.Equal(t, "http_503", failed(t, call("write")).Code)
		}
		open := failed(t, call("write"))
		require.Equal(t, "circuit_open", open.Code)
		require.Equal(t, endpoint.OutcomeNotSent, open.Outcome)
		require.Equal(t, 5*time.Second, open.RetryAfter)
		require.Equal(t, 5, w.count(), "nothing is sent")
		require.Equal(t, "http_503", failed(t, call("elsewhere")).Code, "another host has its own")
		other := in
		other.ID = "uid-2"
		_, err := e.Call(t.Context(), other, "write", endpoint.Given{})
		require.Equal(t, "http_503", failed(t, err).Code, "and another integration")

		time.Sleep(5 * time.Second) // the bubble's clock
		require.Equal(t, "http_503", failed(t, call("write")).Code, "one goes ahead")
		require.Equal(t, 10*time.Second, failed(t, call("write")).RetryAfter, "and the rest is longer if it fails")
		time.Sleep(10 * time.Second) // the bubble's clock
		status = http.StatusOK
		require.NoError(t, call("write"))
		status = http.StatusServiceUnavailable
		for range 4 {
			require.Equal(t, "http_503", failed(t, call("write")).Code, "it begins anew")
		}
		status = http.StatusTeapot
		require.Equal(t, "http_418", failed(t, call("write")).Code)
		status = http.StatusServiceUnavailable
		require.Equal(t, "http_503", failed(t, call("write")).Code, "who answers at all is well")
	})
}

// rows: O40
func TestOneRequestFindsOutWhetherAHostIsWell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answers: func(n int) (int, error) {
			if n <= 5 {
				return 0, errors.New("connection refused")
			}
			return http.StatusOK, nil
		}}
		e, in := wired(t, w)
		for i := 0; w.count() < 5; i++ {
			require.Less(t, i, 5)
			_, err := e.Call(t.Context(), in, "write", endpoint.Given{})
			require.Error(t, err)
		}
		time.Sleep(6 * time.Second) // the bubble's clock
		w.takes = time.Second
		codes := make(chan string, 3)
		for range 3 {
			go func() {
				_, err := e.Call(context.Background(), in, "write", endpoint.Given{})
				if e, ok := errors.AsType[*endpoint.Error](err); ok {
					codes <- e.Code
					return
				}
				codes <- "good"
			}()
		}
		got := map[string]int{}
		for range 3 {
			got[<-codes]++
		}
		require.Equal(t, map[string]int{"good": 1, "circuit_open": 2}, got)
		require.Equal(t, 6, w.count())
	})
}

// rows: O40
func TestRequestsOfAnIntegrationToAHostAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{takes: time.Second}
		e, in := wired(t, w)
		results := make(chan error, 200)
		call := func(ctx context.Context) {
			_, err := e.Call(ctx, in, "read", endpoint.Given{})
			results <- err
		}
		for range 20 {
			go call(context.Background())
		}
		synctest.Wait()
		require.Equal(t, 3, w.count(), "what nobody waits for leaves a quarter free")
		begin := time.Now()
		go call(endpoint.Interactive(context.Background()))
		synctest.Wait()
		require.Equal(t, 4, w.count(), "for what somebody waits for")
		go call(endpoint.Interactive(context.Background()))
		for range 22 {
			require.NoError(t, <-results)
		}
		require.Equal(t, 4, w.most)
		require.Less(t, time.Since(begin), 10*time.Second)

		w.takes = 20 * time.Second // longer than the deadline
		for range 4 + 8*4 {
			go call(endpoint.Interactive(context.Background()))
		}
		synctest.Wait()
		_, err := e.Call(t.Context(), in, "read", endpoint.Given{})
		full := failed(t, err)
		require.Equal(t, "busy", full.Code)
		require.Equal(t, endpoint.OutcomeNotSent, full.Outcome)
		for range 4 + 8*4 {
			require.Error(t, <-results)
		}
	})
}

// A rate limit is one of the integration at that host: nothing is sent again and nothing
// else is sent before the pause is over that the remote system asked for, and who asks
// meanwhile is told how long that is.
//
// rows: O40
func TestARateLimitIsKeptByTheWholeIntegration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says  string // Retry-After
		rests []time.Duration
	}{
		"seconds":   {"30", []time.Duration{30 * time.Second, 30 * time.Second}},
		"nothing":   {"", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		"no pause":  {"0", []time.Duration{time.Second}},
		"a day off": {"86400", []time.Duration{15 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				status := http.StatusTooManyRequests
				w := &wire{answers: func(int) (int, error) { return status, nil }, header: http.Header{"Retry-After": {c.says}}}
				e, in := wired(t, w)
				call := func(name string) error {
					_, err := e.Call(t.Context(), in, name, endpoint.Given{})
					return err
				}
				for i, rest := range c.rests {
					require.Equal(t, 429, failed(t, call("lookup")).Status)
					require.Equal(t, i+1, w.count(), "a GET neither is sent again")
					for _, name := range []string{"lookup", "log"} {
						held := failed(t, call(name))
						require.Equal(t, sdk.ClassRateLimited, held.Class)
						require.Equal(t, "rate_limited", held.Code)
						require.Equal(t, endpoint.OutcomeNotSent, held.Outcome)
						require.Equal(t, rest, held.RetryAfter)
					}
					require.Equal(t, i+1, w.count(), "nothing is sent")
					time.Sleep(rest) // the bubble's clock
				}
				status = http.StatusOK
				require.NoError(t, call("log"), "the pause is over")
				status = http.StatusTooManyRequests
				require.Equal(t, 429, failed(t, call("log")).Status)
				require.Equal(t, c.rests[0], failed(t, call("log")).RetryAfter, "it begins anew")
				require.Equal(t, 429, failed(t, call("elsewhere")).Status, "another host has its own")
				other := in
				other.ID = "uid-2"
				_, err := e.Call(t.Context(), other, "log", endpoint.Given{})
				require.Equal(t, 429, failed(t, err).Status, "and another integration")
			})
		})
	}
}

// What was sent before a rate limit and answered after it ends no pause.
//
// rows: O40
func TestAnAnswerFromBeforeARateLimitEndsNoPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{takes: time.Second, header: http.Header{"Retry-After": {"30"}}, answers: func(n int) (int, error) {
			return []int{http.StatusTooManyRequests, http.StatusOK}[min(n, 2)-1], nil
		}}
		e, in := wired(t, w)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := e.Call(context.Background(), in, "read", endpoint.Given{})
				results <- err
			}()
			time.Sleep(time.Millisecond) // the bubble's clock
		}
		require.Equal(t, "rate_limited", failed(t, <-results).Code)
		require.NoError(t, <-results)
		_, err := e.Call(t.Context(), in, "log", endpoint.Given{})
		require.Equal(t, endpoint.OutcomeNotSent, failed(t, err).Outcome)
		require.Equal(t, 2, w.count())
	})
}

// What somebody waits for goes before logs that were there first.
//
// rows: O40, K12
func TestLookupsGoBeforeLogsThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{takes: time.Second}
		e, in := wired(t, w)
		results := make(chan error, 20)
		call := func(ctx context.Context, name string) {
			_, err := e.Call(ctx, in, name, endpoint.Given{})
			results <- err
		}
		for range 4 { // it is full
			go call(endpoint.Interactive(context.Background()), "read")
		}
		synctest.Wait()
		for range 5 {
			go call(context.Background(), "log")
		}
		synctest.Wait()
		for range 3 {
			go call(endpoint.Interactive(context.Background()), "lookup")
		}
		synctest.Wait()
		require.Len(t, w.paths(), 4, "all others wait")
		for range 12 {
			require.NoError(t, <-results)
		}
		require.ElementsMatch(t, []string{"/lookup", "/lookup", "/lookup", "/log"}, w.paths()[4:8], "the four that go next")
	})
}

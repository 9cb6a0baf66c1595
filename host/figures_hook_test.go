//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// What is measured of lookups: calls one after the other, and so many at once with a
// remote system that takes its time.
const (
	lookupsAlone = 1000
	lookupsMany  = 4000
	lookupsPar   = 32
	crmTakes     = 10 * time.Millisecond
)

const lookupTemplate = `name: acme-crm
label: Acme
type: CRM
info: {dataFunction: [{objectName: contact, endpoint: find}]}
parameters: [{name: key, in: header, as: X-Key, secret: true, required: true}]
request: {max_concurrent: 64}
endpoints:
  - name: find
    type: GetData
    url: http://{{ host }}/contacts
    parameters: [{name: phone, in: query, from: call, key: number}]
    response: {shape: contact, list: items, item: {id: id, name: name, phone: phone}}
`

// measureLookups compares call.started with one endpoint, each call of another number,
// to a bare client that makes the same requests.
func measureLookups(t *testing.T, f *figures) {
	t.Helper()
	var wait atomic.Int64
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d := time.Duration(wait.Load()); d > 0 {
			<-time.After(d)
		}
		_, _ = fmt.Fprintf(w, `{"items": [{"id": 7, "name": "Ann", "phone": %q}]}`, r.URL.Query().Get("phone"))
	}))
	defer crm.Close()
	s := templateSite(t, lookupTemplate, crm.Listener.Addr().String())
	h, stop := s.host(runner.Options{})
	defer stop()
	ready(s, h)
	in, err := h.db.IntegrationByName(t.Context(), "acme", "crm")
	require.NoError(t, err)
	box := &calls{h.inbox, h.callbox, h.hooks}
	var number atomic.Int64
	ours := func() time.Duration {
		n := number.Add(1)
		begin := time.Now()
		sent, err := box.Send(context.Background(), in, api.CallRequest{Event: sdk.CallEvent{
			Type: string(store.CallStarted), CallID: fmt.Sprint(n), Direction: "in", From: fmt.Sprintf("+49%09d", n),
		}})
		took := time.Since(begin)
		require.NoError(t, err)
		require.Equal(t, store.EventDone, sent.Event.State)
		return took - sent.Event.Steps[0].Took
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	bare := func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("%s/contacts?phone=%%2B49%09d", crm.URL, number.Add(1)), nil)
		require.NoError(t, err)
		req.Header.Set("X-Key", "key-of-acme")
		res, err := client.Do(req)
		require.NoError(t, err)
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		var answer any
		require.NoError(t, json.Unmarshal(raw, &answer))
	}
	var own []time.Duration
	for range lookupsAlone {
		own = append(own, ours())
	}
	slices.Sort(own)
	wait.Store(int64(crmTakes))
	var ratios, rates []float64
	for range figuresRounds {
		mine, its := lookupRate(func() { ours() }), lookupRate(bare)
		ratios, rates = append(ratios, mine/its), append(rates, mine)
	}
	what := fmt.Sprintf("lookups of calls, %d at once, of a CRM that takes %v, against a bare HTTP client", lookupsPar, crmTakes)
	f.ratio(what, median(ratios), 0.6)
	f.plain("  lookups", fmt.Sprintf("%.0f /s", median(rates)))
	f.plain("  the host's own part, one after the other, with its fsync", fmt.Sprintf("p50 %.2f ms, p99 %.2f ms",
		micros(own[len(own)/2])/1000, micros(own[len(own)*99/100])/1000))
}

// lookupRate calls fn by many at once and returns how often a second.
func lookupRate(fn func()) float64 {
	var left atomic.Int64
	left.Store(lookupsMany)
	var wg sync.WaitGroup
	begin := time.Now()
	for range lookupsPar {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				fn()
			}
		})
	}
	wg.Wait()
	return lookupsMany / time.Since(begin).Seconds()
}

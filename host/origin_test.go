package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: O09
func TestTheNarrowestScopeWinsAndIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\nplugins: {dir: ./plugins, trust: lock}\n"+
		"defaults: {plugins: {load: {every: 7, concurrency: 2}}}\n")
	s.write("tenants/acme.yaml", "tenant: acme\ndefaults: {plugins: {load: {concurrency: 3}}}\nintegrations:\n"+
		"  - {name: plain, plugin: load, settings: {}}\n"+
		"  - {name: own, plugin: load, concurrency: 1, settings: {}}\n")
	d := s.start()
	s.await(store.RunProcessed)
	show := func(name string) (every, concurrency int, origins map[string]string) {
		var doc struct {
			Integration struct{ Every, Concurrency int }
			Origins     map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(s.cli("integration", "show", name, "-o", "json")), &doc))
		return doc.Integration.Every, doc.Integration.Concurrency, doc.Origins
	}
	every, concurrency, origins := show("acme/plain")
	require.Equal(t, 7, every)
	require.Equal(t, 3, concurrency)
	require.Equal(t, "host", origins["every"])
	require.Equal(t, "tenant", origins["concurrency"])

	_, concurrency, origins = show("acme/own")
	require.Equal(t, 1, concurrency)
	require.Equal(t, "integration", origins["concurrency"])
	require.Contains(t, s.cli("integration", "show", "acme/own", "--origin"), "(from integration)")
	d.stop(t)
}

//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// beginLongAgo leaves a store in which a run ended a hundred days ago and another
// one a month ago, and an onboarding that began ten days ago goes on.
func beginLongAgo(t *testing.T, data string) (old, young, onboarding int64) {
	t.Helper()
	const day = 24 * time.Hour
	var ago time.Duration
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: data, Now: func() time.Time { return time.Now().Add(-ago) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	begin := func(name string, kind store.RunKind) int64 {
		uid := "0123456789abcde" + name
		require.NoError(t, db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeCreate, UID: uid, Sync: true, Spec: store.IntegrationSpec{
			Tenant: "acme", Name: name, Plugin: "load", Connectors: []string{"things"}, Every: -1, Enabled: true,
			Settings: []byte("{}"), SettingsSum: []byte("s"), OnboardingMaxAge: 7 * day,
		}}}))
		i, err := db.IntegrationByUID(t.Context(), uid)
		require.NoError(t, err)
		run, _, err := db.RequestRun(t.Context(), store.RunRequest{IntegrationID: i.ID, Class: store.ClassPull, Kind: kind})
		require.NoError(t, err)
		lanes, err := db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"load"}, Limit: 10, Lease: time.Minute})
		require.NoError(t, err)
		require.Len(t, lanes, 1)
		_, err = db.BeginRun(t.Context(), lanes[0].Ref(), run.ID, store.RunBegin{})
		require.NoError(t, err)
		return run.ID
	}
	ended := func(name string) int64 {
		id := begin(name, store.RunManual)
		_, err := db.CancelRun(t.Context(), id, "enough")
		require.NoError(t, err)
		i, err := db.IntegrationByName(t.Context(), "acme", name)
		require.NoError(t, err)
		off := i.IntegrationSpec
		off.Enabled = false
		require.NoError(t, db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeUpdate, UID: i.UID, Spec: off}}))
		return id
	}
	ago = 100 * day
	old = ended("1")
	ago = 30 * day
	young = ended("2")
	ago = 10 * day
	return old, young, begin("3", store.RunOnboarding)
}

// The daemon itself removes what ended long ago, and gives up an onboarding that is
// too old.
//
// rows: C43, C59
func TestTheDaemonDoesItsChores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "plugins"), 0o750))
	file := filepath.Join(dir, "host.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: lock}\ntenants: ./tenants\n"), 0o600))
	redactor := &secret.Redactor{}
	cfg, problems := config.LoadHost(file, config.Options{Redactor: redactor})
	require.NoError(t, problems.Err())
	open := func() *Host {
		h, err := openHost(t.Context(), cfg, hclog.NewNullLogger(), redactor, runner.Options{})
		require.NoError(t, err)
		return h
	}
	require.NoError(t, open().Close()) // makes the key
	old, young, onboarding := beginLongAgo(t, cfg.Data)

	h := open()
	defer func() { require.NoError(t, h.Close()) }()
	for _, task := range h.tasks() {
		for more := true; more; {
			var err error
			more, err = task.Do(t.Context())
			require.NoError(t, err, task.Name)
		}
	}
	_, err := h.db.Run(t.Context(), old)
	require.ErrorIs(t, err, store.ErrNotFound)
	kept, err := h.db.Run(t.Context(), young)
	require.NoError(t, err)
	require.Equal(t, store.RunCancelled, kept.State)
	ended, err := h.db.Run(t.Context(), onboarding)
	require.NoError(t, err)
	require.Equal(t, store.RunError, ended.State)
	require.Equal(t, "onboarding_too_old", ended.Failure.Code)
}

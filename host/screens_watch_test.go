package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/screen"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// A screen looks at its call when that changed, and at no other time but every few
// seconds, when it finds out that its integration is gone.
//
// rows: K16
func TestAScreenIsWokenByItsCallAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(context.Background(), sqlite.Options{Path: dir, NoSync: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		inbox, err := db.OpenInbox(context.Background())
		require.NoError(t, err)
		looks, gone := atomic.Int64{}, atomic.Bool{}
		s := &shownCalls{calls: &calls{Inbox: inbox}, integration: func(context.Context, string, string) (store.Integration, error) {
			looks.Add(1)
			if gone.Load() {
				return store.Integration{}, store.ErrNotFound
			}
			return store.Integration{UID: "i1", State: store.IntegrationActive}, nil
		}}
		happens := func(call string, n int) {
			for i := range n {
				_, err := inbox.AcceptEvent(t.Context(), store.NewCallEvent{
					Integration: "i1", Tenant: "acme", Name: "crm", External: call, UID: fmt.Sprint(call, i, looks.Load()), Type: store.CallUpdated, Body: []byte("{}"), Skip: true,
				})
				require.NoError(t, err)
			}
		}
		happens("mine", 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes, err := s.Watch(ctx, screen.Scope{Tenant: "acme", Integration: "crm", Call: "mine"})
		require.NoError(t, err)
		synctest.Wait()
		before := looks.Load()
		happens("other", 20)
		synctest.Wait()
		require.Equal(t, before, looks.Load(), "what happens in other calls is no affair of a screen")
		happens("mine", 1)
		<-changes
		require.Equal(t, before+1, looks.Load())

		gone.Store(true)
		begin := time.Now()
		<-changes
		require.LessOrEqual(t, time.Since(begin), screenLook)
		cancel()
		for range changes { // it ends
		}
	})
}

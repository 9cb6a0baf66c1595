//go:build unix

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// keptMoves is a store of moves and of kept cursors that notes in which order it is
// asked.
type keptMoves struct {
	brokenStore
	asked []string
}

func (k *keptMoves) SavePluginMoves(ctx context.Context, moves []store.PluginMove) error {
	for _, m := range moves {
		k.asked = append(k.asked, string(m.To)+" "+m.Version)
	}
	return k.brokenStore.SavePluginMoves(ctx, moves)
}

func (*keptMoves) KeepCursors(context.Context, string, string) error         { return nil }
func (*keptMoves) KeptCursors(context.Context, string) (string, error)       { return "", nil }
func (*keptMoves) DropKept(context.Context, []string) (more bool, err error) { return false, nil }
func (k *keptMoves) RestoreCursors(context.Context, string, string) ([]string, error) {
	k.asked = append(k.asked, "restore")
	return nil, nil
}

// rows: K17, F07
//
// That a version served is in the store before what it did is taken back: written
// after that, what comes back would count as state of that version, and a third one
// would be refused because of it.
func TestAMoveIsWrittenBeforeItsCursorsComeBack(t *testing.T) {
	t.Parallel()
	db := &keptMoves{}
	l, err := openLifecycle(t.Context(), db, hclog.NewNullLogger())
	require.NoError(t, err)
	c := cursors{db, l.flush, hclog.NewNullLogger()}
	l.moved(store.PluginMove{At: time.Now(), Machine: store.MachinePlugin, Plugin: "slack", Version: "2.0.0", To: store.PluginDraining, StateWrites: 2})
	require.NoError(t, c.Restore(t.Context(), "slack", "it failed"))
	require.Equal(t, []string{"draining 2.0.0", "restore"}, db.asked)

	db.asked, db.broken = nil, true
	l.moved(store.PluginMove{At: time.Now(), Machine: store.MachinePlugin, Plugin: "slack", Version: "3.0.0", To: store.PluginDraining, StateWrites: 3})
	require.EqualError(t, c.Restore(t.Context(), "slack", "it failed"), "the disk is full")
	require.Equal(t, []string{"draining 3.0.0"}, db.asked, "what cannot be told is not taken back")
	db.broken = false
	require.NoError(t, c.Restore(t.Context(), "slack", "it failed"))
	require.Equal(t, []string{"draining 3.0.0", "draining 3.0.0", "restore"}, db.asked)
}

// rows: K17
//
// Who writes moves has them written when the next one asks for that: a move is never
// on its way while somebody believes that the store knows of it.
func TestAFlushWaitsForWhoWrites(t *testing.T) {
	t.Parallel()
	l, err := openLifecycle(t.Context(), &brokenStore{}, hclog.NewNullLogger())
	require.NoError(t, err)
	l.writing <- struct{}{} // somebody writes
	ended, cancel := context.WithCancelCause(t.Context())
	gaveUp := errors.New("gave up")
	cancel(gaveUp)
	require.ErrorIs(t, l.flush(ended), gaveUp)
	<-l.writing
	require.NoError(t, l.flush(t.Context()))
}

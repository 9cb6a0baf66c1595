package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: H34, F07
func testPluginMoves(t *testing.T, setup func(*testing.T) *world) {
	t.Run("EachIsAnEventAndTheLastCounts", func(t *testing.T) {
		w := setup(t)
		now := w.clock.Now().UTC().Truncate(time.Millisecond)
		later := now.Add(5 * time.Minute)
		moves := []store.PluginMove{
			{At: now, Machine: store.MachineArtifact, Plugin: "slack", Version: "2.0.0", Digest: "d2", To: store.ArtifactSeen},
			{At: now, Machine: store.MachineProcess, Plugin: "slack", Version: "2.0.0", Digest: "d2", PID: 7, From: store.ProcessStarting, To: store.ProcessHandshake},
			{At: now, Machine: store.MachinePlugin, Plugin: "slack", Version: "2.0.0", Digest: "d2", From: store.PluginDraining, To: store.PluginActive, Previous: "d1", PreviousVersion: "1.0.0", Probation: later},
			{At: later, Machine: store.MachineArtifact, Plugin: "slack", Version: "2.0.0", Digest: "d2", From: store.ArtifactReady, To: store.ArtifactQuarantined, Reason: "crash_loop", Detail: "it ended"},
		}
		require.NoError(w, w.s.SavePluginMoves(w.ctx(), moves))
		artifacts, err := w.s.PluginArtifacts(w.ctx())
		require.NoError(w, err)
		require.Equal(w, []store.PluginArtifact{{
			Digest: "d2", Plugin: "slack", Version: "2.0.0", State: store.ArtifactQuarantined, Reason: "crash_loop", Detail: "it ended", Since: later,
		}}, artifacts)
		services, err := w.s.PluginServices(w.ctx())
		require.NoError(w, err)
		require.Equal(w, []store.PluginService{{
			Plugin: "slack", Version: "2.0.0", Digest: "d2", State: store.PluginActive, Previous: "d1", PreviousVersion: "1.0.0", Probation: later, Since: now,
		}}, services)

		events, err := w.s.RecentEvents(w.ctx(), store.EventFilter{Kind: "plugin"})
		require.NoError(w, err)
		slices.Reverse(events)
		kinds := make([]string, len(events))
		for i, e := range events {
			kinds[i] = e.Kind
		}
		require.Equal(w, []string{"plugin.artifact.seen", "plugin.process.handshake", "plugin.active", "plugin.artifact.quarantined"}, kinds)
		var data map[string]any
		require.NoError(w, json.Unmarshal(events[3].Data, &data))
		require.Equal(w, map[string]any{
			"plugin": "slack", "version": "2.0.0", "digest": "d2", "from": "ready", "to": "quarantined", "reason": "crash_loop", "detail": "it ended",
			"at": later.Format(time.RFC3339Nano),
		}, data)
	})

	t.Run("ProgramsAreBounded", func(t *testing.T) {
		w := setup(t)
		now := w.clock.Now()
		moves := make([]store.PluginMove, 1_050)
		for i := range moves {
			moves[i] = store.PluginMove{
				At: now.Add(time.Duration(i) * time.Second), Machine: store.MachineArtifact, Plugin: "slack", Digest: fmt.Sprint(i), To: store.ArtifactSeen,
			}
		}
		moves[0].To, moves[1].To = store.ArtifactQuarantined, store.ArtifactWithdrawn
		require.NoError(w, w.s.SavePluginMoves(w.ctx(), moves))
		artifacts, err := w.s.PluginArtifacts(w.ctx())
		require.NoError(w, err)
		require.Len(w, artifacts, 1_002)
		require.Equal(w, []string{"1", "0"}, []string{artifacts[1_000].Digest, artifacts[1_001].Digest}, "what is set aside is not forgotten")
	})

	t.Run("AnUnknownMachineIsRefusedWithAll", func(t *testing.T) {
		w := setup(t)
		moves := []store.PluginMove{
			{At: w.clock.Now(), Machine: store.MachineArtifact, Plugin: "slack", Digest: "d", To: store.ArtifactSeen},
			{At: w.clock.Now(), Machine: "bicycle", Plugin: "slack", To: "ridden"},
		}
		require.ErrorIs(w, w.s.SavePluginMoves(w.ctx(), moves), store.ErrInvalid)
		artifacts, err := w.s.PluginArtifacts(w.ctx())
		require.NoError(w, err)
		require.Empty(w, artifacts)
	})
}

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// The plugin keeps the contract, in process and over the wire.
// rows: K02, C15, O43
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]bool{"in process": false, "over the wire": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acme(t)
			f.longest = 1 // many pages, many checkpoints
			var p sdk.Plugin = New()
			if wire {
				client, stop, err := plugin.OverWire(t.Context(), p)
				require.NoError(t, err)
				defer stop()
				p = client
			}
			require.NoError(t, sdktest.Exercise(t.Context(), p, sdktest.Options{
				Settings:    settingsFor(f, nil).Reveal(),
				BadSettings: []byte(`{"channels":["general"]}`),
			}))
		})
	}
}

package chain_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// What the README says that `call` holds is what expressions see, and nothing is there
// that it does not say.
//
// rows: G34
func TestTheReadmeNamesWhatACallHolds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	said := regexp.MustCompile("(?s)\n`call` has `(.*?)\\. `call\\.contact` is who").FindStringSubmatch(string(text))
	require.NotNil(t, said)
	list := regexp.MustCompile(`\{[^}]*\}|\([^)]*\)|\bof (listOptions|userInfo)|and its|for .lookup. also`).ReplaceAllString(said[1], " ")
	named := regexp.MustCompile(`[a-z]+(_[a-z]+)*`).FindAllString(strings.ReplaceAll(list, " and ", " "), -1)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &crm{flow: chain.Flow{Steps: []chain.Step{{Name: "look", Endpoint: "look", Reads: true, Shape: "call_log"}}}}
	chain.New(chain.Options{}).Run(t.Context(), chain.Input{Target: c, Name: sdk.HookLookup, Lost: []store.HookStep{{Key: "log"}}, Hook: sdk.CallHook{
		Hook: sdk.HookSaveLogCRM, IdempotencyKey: "k", Log: &sdk.CallLog{ID: "l"}, Contact: &sdk.CallContact{ID: "c-7"},
		Event: sdk.CallEvent{
			Type: "call.ended", CallID: "x", LegID: "x", Agent: "x", Direction: "in", From: "x", To: "x", Number: "x", At: at, StartedAt: at, ConnectedAt: at, EndedAt: at,
			Result: "x", Duration: 1, Recording: "x", Disposition: "x", Update: "x", TransferTo: "x", Text: "x",
		},
	}})
	given := c.seen[0].given.Call
	require.Equal(t, slices.Sorted(maps.Keys(given)), slices.Sorted(slices.Values(named)))
	require.Equal(t, "c-7", given["contact_id"])
}

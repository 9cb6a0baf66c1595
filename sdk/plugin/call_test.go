package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A token says whose call it is, so nobody may guess one.
//
// rows: K19
func TestTokensOfCallsAreLongAndEachIsAnother(t *testing.T) {
	t.Parallel()
	var c calls
	seen := map[string]bool{}
	for range 100 {
		_, token, end, err := c.begin(t.Context())
		require.NoError(t, err)
		require.Len(t, token, 128/8)
		require.NotNil(t, c.find(token))
		end()
		require.Nil(t, c.find(token))
		seen[string(token)] = true
	}
	require.Len(t, seen, 100)
}

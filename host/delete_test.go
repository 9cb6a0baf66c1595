package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: O36
func TestADeleteIsTypedOut(t *testing.T) {
	t.Parallel()
	for typed, ok := range map[string]bool{"acme/history\n": true, "acme/history": true, "yes\n": false, "": false} {
		c := newCLI(strings.NewReader(typed), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" })
		err := c.typed("acme/history")
		if ok {
			require.NoError(t, err, "%q", typed)
			continue
		}
		require.ErrorContains(t, err, "nothing was deleted", "%q", typed)
		require.Equal(t, exitUsage, exitCode(err))
	}
}

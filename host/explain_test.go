package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/explain"
)

// rows: C34
func TestExplain(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	require.Equal(t, exitDone, s.run("explain", "page_loop"))
	require.Regexp(t, `(?m)^run +jackfield run continue RUN$`, s.stdout)
	require.Equal(t, exitDone, s.run("explain"))
	require.Contains(t, s.stdout, "unknown-key")
	require.Equal(t, exitDone, s.run("explain", "rate_limited", "-o", "jsonl"))
	require.Contains(t, s.stdout, `"code":"rate_limited"`)
	require.Equal(t, exitFailed, s.run("explain", "channel_not_found"))
	require.Contains(t, s.stderr, "no code of Jackfield's own")
	require.Contains(t, s.stderr, "hint: list the others")
	require.Empty(t, s.stdout)
}

// What an explanation tells to run has to be there, flags and all.
//
// rows: C34
func TestExplanationsNameCommandsThatThereAre(t *testing.T) {
	t.Parallel()
	all, err := explain.All()
	require.NoError(t, err)
	for _, e := range all {
		if e.Run == "" {
			continue
		}
		root := newCLI(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" }).rootCommand()
		words := strings.Fields(e.Run)[1:]
		if words[0] == "help" {
			continue
		}
		cmd, rest, err := root.Find(words)
		require.NoError(t, err, e.Code)
		require.True(t, cmd.Runnable(), "%s: %s", e.Code, e.Run)
		require.NoError(t, cmd.ParseFlags(rest), "%s: %s", e.Code, e.Run)
		for _, arg := range cmd.Flags().Args() {
			require.Equal(t, strings.ToUpper(arg), arg, "%s: %s names a command that there is not", e.Code, e.Run)
		}
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%s: %s", e.Code, e.Run)
	}
}

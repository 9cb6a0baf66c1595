package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func TestManifest(t *testing.T) {
	t.Parallel()
	m := Git{}.Manifest()
	require.NoError(t, m.Validate())
	require.Equal(t, "git", m.Name)
	require.Equal(t, m, Git{}.Manifest())
}

func TestOpenRefusesBadSettings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ settings, message string }{
		"Nothing":        {`{}`, "path is required"},
		"EmptyPath":      {`{"paths":["/a",""]}`, "an entry is empty"},
		"UnknownKey":     {`{"path":"/a","brnach":"main"}`, "brnach"},
		"WrongType":      {`{"path":["/a"]}`, "path"},
		"NoBranchName":   {`{"path":"/a","branch":"a b"}`, "no branch name"},
		"EscapingBranch": {`{"path":"/a","branches":["../../etc/passwd"]}`, "no branch name"},
		"ControlBranch":  {`{"path":"/a","branches":["a\u0007"]}`, "no branch name"},
		"NoJSON":         {`nonsense`, "settings"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Git{}.Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings([]byte(c.settings))})
			require.ErrorContains(t, err, c.message)
			e, ok := errors.AsType[*sdk.Error](err)
			require.True(t, ok)
			require.Equal(t, sdk.ClassConfig, e.Class)
		})
	}
}

func TestOpenTouchesNoRepository(t *testing.T) {
	t.Parallel()
	_, err := Git{}.Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings([]byte(`{"path":"/nowhere/at/all"}`))})
	require.NoError(t, err)
}

func TestPlanOfSettings(t *testing.T) {
	t.Parallel()
	var s settings
	require.NoError(t, json.Unmarshal([]byte(`{"path":"/a/","paths":["/b","/a"],"branch":"main","branches":["dev","main"],"stats":false}`), &s))
	p, err := s.plan()
	require.NoError(t, err)
	a, err := filepath.Abs("/a")
	require.NoError(t, err)
	b, err := filepath.Abs("/b")
	require.NoError(t, err)
	require.Equal(t, plan{paths: []string{a, b}, branches: []string{"main", "dev"}}, p)
}

func TestStatsAreOnByDefault(t *testing.T) {
	t.Parallel()
	p, err := settings{Path: "/a"}.plan()
	require.NoError(t, err)
	require.True(t, p.stats)
}

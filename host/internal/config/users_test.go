package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: P04
func TestUsersOfPluginsAreRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "host.yaml")
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(path), "tenants"), 0o700))
	read := func(users string) (Host, Problems) {
		require.NoError(t, os.WriteFile(path, []byte("version: 1\nplugins: {users: "+users+"}\n"), 0o600))
		return LoadHost(path, Options{})
	}
	require.Equal(t, Users{First: 60706, Last: 61183}, Default(path).Plugins.Users)
	for text, want := range map[string]Users{"off": {}, "'off'": {}, "70000-79999": {70000, 79999}, "5000-5000": {5000, 5000}} {
		host, problems := read(text)
		require.Empty(t, problems, text)
		require.Equal(t, want, host.Plugins.Users)
	}
	require.Equal(t, "off", Users{}.String())
	for text, code := range map[string]string{
		"'7'": CodeBadValue, "900-2000": CodeBadValue, "3000-2000": CodeBadValue, "on": CodeBadValue, "2000-": CodeBadValue,
		"2000-9999999999": CodeBadValue, "2000-2000000": CodeBadValue, "[2000]": CodeBadType, "7": CodeBadType,
	} {
		host, problems := read(text)
		require.Len(t, problems, 1, text)
		require.Equal(t, code, problems[0].Code, text)
		require.Equal(t, 2, problems[0].Line, text)
		require.Equal(t, 18, problems[0].Col, text)
		require.Equal(t, Default(path).Plugins.Users, host.Plugins.Users)
		if code == CodeBadValue {
			require.Equal(t, "such as 60706-61183, or off; at least 1000", problems[0].Help)
		}
	}

	_, problems := read("off")
	require.Empty(t, problems)
	running := Default(path)
	s := Load(path, Options{Running: &running})
	require.Equal(t, running.Plugins.Users, s.Host.Plugins.Users)
	require.Len(t, s.Problems, 1)
	require.Equal(t, CodeNeedsRestart, s.Problems[0].Code)
	require.Contains(t, s.Problems[0].Message, "plugins.users is read at the start alone")
}

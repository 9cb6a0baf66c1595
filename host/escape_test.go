package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/sandbox"
)

// escapeOnce builds the plugin that tries to get out, when the first test needs it.
var escapeOnce struct {
	sync.Once
	err error
}

// escape is one of testdata/escape's attempts.
type escape struct {
	Name string `json:"name"`
	Do   string `json:"do"`
	On   string `json:"on,omitempty"`
}

// withEscape adds the plugin to the site, approves it, and returns the site. host.yaml
// gets more under plugins.
func (s *site) withEscape(more string) {
	s.t.Helper()
	if v := sandbox.New(sandbox.Options{}).Verdict(); v.Level != sandbox.Full {
		s.t.Skipf("this system does not hold the whole sandbox: %v", v.Reasons)
	}
	s.buildEscape()
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: lock"+more+"}\ntenants: ./tenants\n")
	s.install("escape")
	s.cli("plugin", "approve", "escape")
}

// buildEscape builds it into s.bin.
func (s *site) buildEscape() {
	s.t.Helper()
	escapeOnce.Do(func() {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(s.bin, "escape"), "./testdata/escape")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			escapeOnce.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(s.t, escapeOnce.err)
}

package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/conformance"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// built is where the programs are that the tests hold against the contract.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.dir != "" {
			_ = os.RemoveAll(built.dir)
		}
		os.Exit(code)
	}))
}

// program returns the path of a program.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := supervisor.Supported(); err != nil {
		t.Skip(err)
	}
	built.once.Do(func() { built.dir, built.err = build() })
	require.NoError(t, built.err)
	return filepath.Join(built.dir, name)
}

// build builds what the tests start.
func build() (string, error) {
	dir, err := os.MkdirTemp("", "jackfield-mutant-")
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{"mutant": "../../testdata/mutant", "hostile": "../../testdata/hostile", "hello": "../../../examples/hello", "git": "../../../plugins/git"} {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return dir, nil
}

// test holds a program against the contract and returns what became of each rule.
func test(t *testing.T, path string, opts conformance.Options) (conformance.Report, map[string]conformance.Check) {
	t.Helper()
	opts.Start = func(ctx context.Context, lines func(conformance.Line)) (conformance.Process, error) {
		x, err := supervisor.Examine(ctx, supervisor.Options{}, supervisor.Binary{Path: path}, func(l supervisor.RawLine) { lines(conformance.Line(l)) })
		if err != nil {
			return nil, err
		}
		return x, nil
	}
	opts.Reopen = func(err error) bool { return errors.Is(err, plugin.ErrReopen) }
	report, err := conformance.Test(t.Context(), opts)
	require.NoError(t, err)
	checks := map[string]conformance.Check{}
	for _, c := range report.Checks {
		require.NotContains(t, checks, c.Name, "a rule is looked at once")
		require.NotEmpty(t, c.What, c.Name)
		checks[c.Name] = c
	}
	return report, checks
}

// failed returns the names of the rules that are broken, in their order.
func failed(r conformance.Report) []string {
	var names []string
	for _, c := range r.Checks {
		if c.Verdict == conformance.Fail {
			names = append(names, c.Name)
		}
	}
	return names
}

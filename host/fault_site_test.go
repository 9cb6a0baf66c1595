//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what has to happen at once: much longer
// than it takes on a busy machine.
const patience = time.Minute

// rescanned is less than the 30 s after which files are read again without any event.
const rescanned = 25 * time.Second

// What the tests read of the documents of the command line.
type (
	pluginDoc struct {
		Name, Version, Digest, File, Verdict, State, Reason string
		PID                                                 int
		Restarts, Calls                                     int
		StartedAt                                           time.Time `json:"started_at"`
	}
	statusDoc struct {
		State   string
		Reasons []string
		Config  struct{ Problems []problemDoc }
		Store   struct {
			Records int
			Full    bool
		}
	}
	problemDoc struct {
		Severity, Code, Message, File, Help, Source string
		Line, Column                                int
	}
	integrationDoc struct {
		UID, ID, State, Reason string
		Connectors             []string
		Every, Revision        int
		Concurrency            int
		RemovedAt              time.Time `json:"removed_at"`
		KeepUntil              time.Time `json:"keep_until"`
	}
	failureDoc struct {
		Point, Class, Code, Message string
		Attempt                     int
	}
	runDoc struct {
		ID, Integration, Kind, State string
		Stats                        struct{ Read, Added, Updated, Deleted, Unchanged, Stale, Warnings int }
		Streams                      struct{ Total, Pending, Processing, Delayed, Processed, Error, Cancelled int }
		Failure                      *failureDoc
	}
	streamDoc struct {
		ID, Identifier, State string
		Attempts, Interrupts  int
		Stats                 struct{ Read int }
		Failure               *failureDoc
	}
	eventDoc struct {
		Kind string
		Data struct {
			Plugin, Version, Digest, From, To, Reason, Detail, Previous string
			PID                                                         int
			At                                                          time.Time
		}
	}
	recordDoc struct {
		Position   string
		Change     string
		ExternalID string `json:"external_id"`
		Data       struct {
			Mark   string
			Number int
		}
	}
)

// read decodes what a command prints with -o json.
func (s *site) read(into any, args ...string) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.cli(append(args, "-o", "json")...)), into))
}

// ready waits until the daemon answers.
func (s *site) ready() {
	s.t.Helper()
	s.until("the daemon answers", func() bool {
		_, err := s.try("status")
		return err == nil
	})
}

// until waits for what has to come. Unlike require.Eventually it asks from the
// test's own goroutine, so that the question may fail the test.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	s.within(patience, what, ok)
}

// noticed is until for what an event of the files has to bring about: what only a rescan
// finds fails.
func (s *site) noticed(what string, ok func() bool) {
	s.t.Helper()
	s.within(rescanned, what, ok)
}

// within is until for what takes its time.
func (s *site) within(most time.Duration, what string, ok func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline.C:
			require.Fail(s.t, "it never came to pass: "+what)
		}
	}
}

// trust lets a plugin do without the sandbox. A daemon has to be started after it.
func (s *site) trust(name string) {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "host.yaml"))
	require.NoError(s.t, err)
	require.Contains(s.t, string(raw), "trust: lock")
	s.write("host.yaml", strings.Replace(string(raw), "trust: lock", "trust: lock, sandbox: {trusted: ["+name+"]}", 1))
}

func (s *site) status() statusDoc {
	s.t.Helper()
	var doc statusDoc
	s.read(&doc, "status")
	return doc
}

// plugins returns what is listed under a name, and the files without one.
func (s *site) plugins() []pluginDoc {
	s.t.Helper()
	var doc struct{ Plugins []pluginDoc }
	s.read(&doc, "plugin", "list")
	return doc.Plugins
}

// file returns the entry of a file in the plugin directory.
func (s *site) file(name string) pluginDoc {
	s.t.Helper()
	for _, p := range s.plugins() {
		if filepath.Base(p.File) == name {
			return p
		}
	}
	return pluginDoc{}
}

// serving returns the process that serves the plugin load, or an empty one.
func (s *site) serving() pluginDoc {
	s.t.Helper()
	for _, p := range s.plugins() {
		if p.Name == "load" && p.State == "serving" {
			return p
		}
	}
	return pluginDoc{}
}

// shown returns an integration; an empty one if there is none of the name.
func (s *site) shown(name string) integrationDoc {
	s.t.Helper()
	var doc struct{ Integrations []integrationDoc }
	s.read(&doc, "integration", "list")
	for _, in := range doc.Integrations {
		if in.ID == name {
			return in
		}
	}
	return integrationDoc{}
}

// events returns the newest events of a kind.
func (s *site) events(kind string) []eventDoc {
	s.t.Helper()
	var doc struct{ Events []eventDoc }
	s.read(&doc, "event", "list", "--kind", kind, "--limit", "1000")
	return doc.Events
}

// run returns the newest run.
func (s *site) run() runDoc {
	s.t.Helper()
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list", "--limit", "1")
	if len(doc.Runs) == 0 {
		return runDoc{}
	}
	return doc.Runs[0]
}

// sync starts a run of acme/load and waits for its end, whatever that is.
func (s *site) sync(args ...string) runDoc {
	s.t.Helper()
	out, err := s.try(append([]string{"integration", "sync", "acme/load", "--wait", "-q", "-o", "json"}, args...)...)
	require.Contains(s.t, []int{exitDone, exitFailed}, exitCode(err), out)
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list", "--integration", "acme/load", "--limit", "1")
	require.Len(s.t, doc.Runs, 1)
	return doc.Runs[0]
}

func (s *site) streams(run string) []streamDoc {
	s.t.Helper()
	var doc struct{ Streams []streamDoc }
	s.read(&doc, "stream", "list", "--run", run, "--limit", "1000")
	return doc.Streams
}

// started waits until a run has stored something and is not over.
func (s *site) started() runDoc {
	s.t.Helper()
	var run runDoc
	s.until("a run stores records", func() bool {
		run = s.run()
		return run.Stats.Read > 0
	})
	require.Equal(s.t, "processing", run.State, "the run was over before anything could happen to it")
	return run
}

// exec runs a command as a process of its own, and returns its exit code and
// what it wrote to stderr.
func (s *site) exec(args ...string) (int, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "jackfield"), append([]string{"-c", filepath.Join(s.dir, "host.yaml")}, args...)...)
	cmd.Stderr = &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(s.t, err)
	}
	return cmd.ProcessState.ExitCode(), errs.String()
}

// expected returns what a site's store holds after a sync of streams without
// children.
func expected(streams, perStream int) map[string]string {
	out := map[string]string{}
	for n := range streams {
		for i := range perStream {
			out[fmt.Sprintf("thing s%04d-%d", n, i)] = fmt.Sprintf(`false {"filler":"","mark":"","number":%d}`, i)
		}
	}
	return out
}

// place puts a program into the plugin directory, as an operator does.
func (s *site) place(name string, program []byte, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, "plugins", name)
	require.NoError(s.t, os.WriteFile(path+".tmp", program, mode))
	require.NoError(s.t, os.Chmod(path+".tmp", mode)) // whatever the umask is
	require.NoError(s.t, os.Rename(path+".tmp", path))
}

func (s *site) program(name string) []byte { //nolint:unparam // who reads a test sees which program it is
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.bin, name))
	require.NoError(s.t, err)
	return raw
}

// rebuilt is the plugin load with another digest.
var rebuilt = sync.OnceValues(func() ([]byte, error) {
	dir, err := builds()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "load-rebuilt")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-buildid=rebuilt", "-o", path, "./testdata/load")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build load again: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

func newVersion(t testing.TB) []byte {
	t.Helper()
	raw, err := rebuilt()
	require.NoError(t, err)
	return raw
}

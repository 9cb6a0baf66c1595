package conformance_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/conformance"
)

// The values that must not come out anywhere.
const (
	canary  = "t0p-s3cret-canary"
	refused = "t0p-refused-canary"
)

// options are all that the suite can be given, for the mutants.
func options(t *testing.T) conformance.Options {
	t.Helper()
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+canary {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(remote.Close)
	return conformance.Options{
		Settings:      fmt.Appendf(nil, `{"token":%q,"api_url":%q}`, canary, remote.URL),
		BadSettings:   []byte(`{"tokn":"x"}`),
		Refused:       fmt.Appendf(nil, `{"token":%q,"api_url":%q}`, refused, remote.URL),
		Future:        map[string][]byte{"things/all": []byte("1000000"), "others/all": []byte("1000000")},
		RemoteSetting: "api_url",
	}
}

// mutate returns the path of a mutant with a fault.
func mutate(t *testing.T, fault string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mutant."+fault)
	require.NoError(t, os.Symlink(program(t, "mutant"), path))
	return path
}

// A plugin that keeps the contract passes every rule, and none is left out.
func TestAGoodPluginPasses(t *testing.T) {
	t.Parallel()
	report, _ := test(t, mutate(t, "good"), options(t))
	for _, c := range report.Checks {
		require.Equal(t, conformance.Pass, c.Verdict, "%s: %s", c.Name, c.Reasons)
	}
	require.Equal(t, "mutant", report.Plugin)
	require.Equal(t, len(report.Checks), report.Passed)
	require.Len(t, report.Checks, 30)
}

// Each mutant breaks one rule, and fails at that one alone.
func TestEachMutantFailsItsCheckAlone(t *testing.T) {
	t.Parallel()
	mutants := map[string]string{
		"dead":         "start",
		"nameless":     "start",
		"noisy":        "stdout",
		"shouting":     "stderr",
		"longwinded":   "stderr",
		"fickle":       "manifest",
		"unmarked":     "marked",
		"lenient":      "bad_settings",
		"rude":         "check",
		"trusting":     "check_refused",
		"astray":       "streams",
		"twofold":      "streams",
		"contested":    "streams",
		"ownerless":    "pages",
		"unversioned":  "pages",
		"huge":         "sizes",
		"repeating":    "ids",
		"moody":        "skips",
		"undecided":    "records",
		"leaking":      "secrets",
		"betraying":    "secrets",
		"spilling":     "secrets",
		"printing":     "output",
		"early":        "resume",
		"skipping":     "repeat",
		"random":       "second_run",
		"ungrateful":   "go_on",
		"backward":     "future",
		"deaf":         "cancel",
		"patient":      "cancel",
		"stubborn":     "cancel",
		"hasty":        "rate_limit",
		"guessing":     "rate_limit",
		"forgetful":    "kill",
		"astraycursor": "secrets",
		"immortal":     "parent",
	}
	seen := map[string]bool{}
	for _, fault := range slices.Sorted(maps.Keys(mutants)) {
		rule := mutants[fault]
		if testing.Short() && seen[rule] {
			continue // one a rule
		}
		seen[rule] = true
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			report, checks := test(t, mutate(t, fault), options(t))
			failures := failed(report)
			if fault == "leaking" { // a line that comes before its host listens goes to stderr, where it is found as well
				failures = slices.DeleteFunc(failures, func(name string) bool { return name == "output" })
			}
			require.Equal(t, []string{rule}, failures, "%v", report.Checks)
			require.NotEmpty(t, checks[rule].Reasons)
			text := fmt.Sprint(report)
			require.False(t, strings.Contains(text, canary) || strings.Contains(text, refused), "the report itself leaks: %s", text)
		})
	}
}

// What makes the rest impossible, or breaks each run, fails at more than one.
func TestSomeMutantsFailAtMore(t *testing.T) {
	t.Parallel()
	for fault, rules := range map[string][]string{
		"picky":    {"settings", "rate_limit"},
		"failing":  {"run", "repeat", "second_run", "go_on"},
		"looping":  {"run", "pages", "second_run", "go_on", "future"},
		"slamming": {"second_run", "go_on", "future", "close"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			report, _ := test(t, mutate(t, fault), options(t))
			require.Equal(t, rules, failed(report), "%v", report.Checks)
		})
	}
}

// A plugin that was made without the SDK can break what the SDK keeps by itself: it does
// not answer health checks, and takes every handle for one that is open.
func TestWhatTheSDKKeepsIsLookedAt(t *testing.T) {
	t.Parallel()
	for fault, health := range map[string]conformance.Verdict{"well": conformance.Pass, "unwell": conformance.Fail} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "hostile."+fault)
			require.NoError(t, os.Symlink(program(t, "hostile"), path))
			_, checks := test(t, path, conformance.Options{})
			require.Equal(t, health, checks["health"].Verdict)
			require.Equal(t, conformance.Fail, checks["handle"].Verdict)
			require.Contains(t, checks["handle"].Reasons[0], "answered as if it was open")
		})
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTally(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events         string
		passed, failed int
		shows, hides   string
		again          []string
	}{
		"Pass": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			passed: 1, shows: "ok  \tp\t0.1s\n", hides: "chatter",
		},
		"Fail": {
			events: `{"Action":"output","Package":"p","Test":"TestA/sub","Output":"a_test.go:1: want \"<1>\"\n"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p"}`,
			passed: 1, failed: 1, shows: `a_test.go:1: want "<1>"`, again: []string{"p TestA"},
		},
		"Race": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"testing.go:1: race detected during execution of test\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			failed: 1, shows: "race detected",
		},
		"FailBesideCrash": {
			events: `{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}`,
			failed: 1, shows: "panic: boom",
		},
		"FailBesideBuild": {
			events: `{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
{"Action":"fail","Package":"q","FailedBuild":"r"}`,
			failed: 2,
		},
		"Many": {
			events: `{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}`,
			failed: 3,
		},
		"Crash": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			failed: 1, shows: "panic: boom",
		},
		"Leak": {
			events: `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"p"}`,
			passed: 1, failed: 1, shows: "goleak: found",
		},
		"Build": {
			events: `{"ImportPath":"q","Action":"build-output","Output":"q.go:1:1: undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"fail","Package":"p","FailedBuild":"q"}
{"Action":"fail","Package":"r","FailedBuild":"q"}`,
			failed: 1, shows: "undefined: x",
		},
		"Skip": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: needs npm\n"}
{"Action":"skip","Package":"p","Test":"TestA"}`,
			shows: "p TestA: a_test.go:9: needs npm",
		},
		"NoEvent": {
			events: `make: *** [Makefile:30: test] Error 2`,
			shows:  "make: *** [Makefile:30: test] Error 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			y := newTally(&out)
			require.NoError(t, y.read(strings.NewReader(c.events)))
			y.closing()
			require.Equal(t, c.passed, y.passed)
			require.Equal(t, c.failed, y.failed)
			require.Equal(t, c.again, y.again())
			require.Contains(t, out.String(), c.shows)
			if c.hides != "" {
				require.NotContains(t, out.String(), c.hides)
			}
		})
	}
}

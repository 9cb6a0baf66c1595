//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/sandbox"
)

// rows: P09, P04
//
// The proxy is the only way out that a plugin has, unless the operator lets it connect
// by itself: then it does.
func TestP09ThereIsNoWayAroundTheProxy(t *testing.T) {
	t.Parallel()
	if v := sandbox.New(sandbox.Options{}).Verdict(); v.Level != sandbox.Full {
		t.Skipf("this system does not hold the whole sandbox: %v", v.Reasons)
	}
	first, second := teapot(t), teapot(t)
	for network, direct := range map[string]bool{"proxy": false, "direct": true} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := newReachSite(t, fmt.Sprintf("egress: {allow: [127.0.0.1]}\nplugins: {network: {reach: %s}, sandbox: {require: full}}\n", network))
			get := []string{first, second, "http://169.254.169.254/latest"}
			dial := []string{strings.TrimPrefix(first, "http://"), strings.TrimPrefix(second, "http://")}
			s.declare(map[string]map[string]any{"a": {"url": first, "get": get[:2], "dial": dial}})
			s.start()
			s.ready()
			s.serves()
			got := s.tries("a")
			require.Equal(t, "reached", got["get "+first].Code, got)
			for _, at := range dial {
				require.Equal(t, direct, got["dial "+at].Code == "reached", got)
			}
			if direct {
				require.Equal(t, "reached", got["get "+second].Code, got)
				return
			}
			require.Contains(t, got["dial "+dial[0]].Message, "socket: ", "it gets no socket of its own, even to where it may connect")
			require.Equal(t, "egress_host", got["get "+second].Code, got)
			s.declare(map[string]map[string]any{"a": {"url": first, "get": get, "number": 2}})
			s.cli("reload")
			require.Equal(t, "egress_address", s.tries("a")["get "+get[2]].Code)
		})
	}
}

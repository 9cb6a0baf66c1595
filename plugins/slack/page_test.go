package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// A cursor that Slack has forgotten, after a long wait, loses nothing and
// repeats nothing but the list of members.
// rows: C19
func TestForgottenCursors(t *testing.T) {
	t.Parallel()
	want := newTestHost(t, acme(t), nil)
	require.NoError(t, want.sync(t.Context(), onboarding(start())))
	for _, method := range []string{methodUsersList, methodChannels, methodHistory, methodReplies} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := acme(t)
			if method == methodChannels {
				f.longest = 1
			}
			forgotten := 0
			f.setDisturb(func(m string, _ int, w http.ResponseWriter, r *http.Request) bool {
				if m != method || r.Form.Get("cursor") == "" || forgotten > 1 {
					return false
				}
				forgotten++
				return reason("invalid_cursor")(w, r)
			})
			h := newTestHost(t, f, nil)
			require.NoError(t, h.sync(t.Context(), onboarding(start())))
			require.Positive(t, forgotten)
			require.Empty(t, h.failures)
			require.Equal(t, want.members, h.members)
			require.Equal(t, want.activities, h.activities)
			require.Equal(t, want.applied, h.applied)
		})
	}
}

// Pages are as large as the host wants; what is imported is the same.
// rows: O23
func TestPagesAreAsLargeAsTheHostWants(t *testing.T) {
	t.Parallel()
	want := newTestHost(t, acme(t), nil)
	require.NoError(t, want.sync(t.Context(), onboarding(start())))
	f := acme(t)
	h := newTestHost(t, f, nil)
	h.want = 2
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Equal(t, want.members, h.members)
	require.Equal(t, want.activities, h.activities)
	for _, method := range []string{methodUsersList, methodHistory, methodReplies} {
		calls := f.called(method)
		require.NotEmpty(t, calls, method)
		for _, c := range calls {
			require.Equal(t, "2", c.args.Get("limit"), method)
		}
	}
}

// A listing that leads back to the same page ends in an error, not in a loop.
func TestPagesThatLoop(t *testing.T) {
	t.Parallel()
	for method, answer := range map[string]string{
		methodUsersList: `{"ok":true,"members":[],"response_metadata":{"next_cursor":"x"}}`,
		methodChannels:  `{"ok":true,"channels":[],"response_metadata":{"next_cursor":"x"}}`,
		methodHistory:   `{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":"x"}}`,
		methodReplies:   `{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":"x"}}`,
	} {
		f := acme(t)
		f.setDisturb(func(m string, _ int, w http.ResponseWriter, _ *http.Request) bool {
			if m != method {
				return false
			}
			_, _ = w.Write([]byte(answer))
			return true
		})
		h := newTestHost(t, f, nil)
		h.stopAtOnce = true
		require.ErrorContains(t, h.sync(t.Context(), onboarding(start())), "its next page is this page", method)
	}
}

// One message of a shape that nobody has described does not cost its page.
func TestMessagesOfUnknownShapes(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.user("U1", "ada")
	c := f.channel("C1", "general")
	at := start().Add(-time.Hour)
	f.say(c, at, "U1", "one", object{"blocks": "none", "files": object{"id": 7}, "edited": 5, "room": []int{1}})
	f.say(c, at.Add(time.Minute), "U1", "two", object{"blocks": []any{object{"type": 7}}, "attachments": []any{object{"fields": "x"}}})
	f.say(c, at.Add(2*time.Minute), "", "", object{"bot_id": "B7", "attachments": []any{object{"fallback": "build failed"}, object{"fallback": "see log"}}})
	f.say(c, at.Add(3*time.Minute), "", "nobody")
	f.say(c, at.Add(4*time.Minute), "U1", "edited", object{
		"edited": object{"user": "U1", "ts": "1700000005.000000"}, "files": []any{object{"id": "F1", "name": "plan.pdf"}, object{"id": "F2"}},
		"reactions": []any{object{"name": "tada", "count": 2, "users": []string{"U1"}}},
	})
	c.messages = append(c.messages, object{"type": "message", "user": "U1", "text": "no time", "ts": "x"})
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Len(t, h.activities, 4)
	bot := h.activities["C1-"+formatTS(at.Add(2*time.Minute))]
	require.Equal(t, "build failed\nsee log", bot.Body)
	require.Equal(t, "B7", bot.Username)
	edited := h.activities["C1-"+formatTS(at.Add(4*time.Minute))]
	require.Equal(t, "1700000005.000000", edited.Version)
	require.JSONEq(t, `{"tada":2}`, string(edited.Attributes["reactions"]))
	require.JSONEq(t, `["plan.pdf","F2"]`, string(edited.Attributes["files"]))
	require.ElementsMatch(t, []string{"a message without an author was skipped", "a message without a valid timestamp was skipped"}, h.warnings)
}

// A reply that was also sent to the channel is the same activity in both places.
func TestBroadcastRepliesAreOneActivity(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.user("U1", "ada")
	c := f.channel("C1", "general")
	parent := f.say(c, start().Add(-time.Hour), "U1", "question")
	ts := f.say(c, start().Add(-time.Minute), "U1", "answer for all", object{"thread_ts": parent, "subtype": "thread_broadcast"})
	h := newTestHost(t, f, nil)
	run := onboarding(start())
	require.NoError(t, h.sync(t.Context(), run))
	require.Equal(t, 2, h.applied["C1-"+ts])
	require.Equal(t, "C1-"+parent, h.activities["C1-"+ts].ParentID)

	var both []sdk.Activity
	for _, s := range []string{"channel:C1", "thread:C1:" + parent} {
		alone := newTestHost(t, f, nil)
		queue := []sdk.Stream{}
		alone.streams = map[string]sdk.Stream{}
		require.NoError(t, alone.process(t.Context(), run, h.streams[s], &queue))
		both = append(both, alone.activities["C1-"+ts])
	}
	require.Equal(t, both[0], both[1])
}

// A page of the longest messages is cut into segments that the host takes.
// rows: K02, K24
func TestLongMessagesMakeSegments(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.user("U1", "ada")
	c := f.channel("C1", "general")
	for n := range 100 {
		f.say(c, start().Add(-time.Duration(n+1)*time.Minute), "U1", strings.Repeat("x", 40_000))
	}
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Len(t, h.activities, 100)
	marks := 0
	for _, blob := range h.opaque {
		if strings.Contains(string(blob), `"d":`) {
			marks++
		}
	}
	require.Equal(t, 4, marks)
}

// Messages that come between two calls of one page are neither lost nor do they
// move the page.
// rows: K02, O27
func TestNewMessagesBetweenCalls(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 4
	c := f.channel("C1", "general")
	for n := range 10 {
		id := fmt.Sprintf("U%d", n)
		f.user(id, id)
		f.say(c, start().Add(-time.Duration(n+1)*time.Hour), id, id)
	}
	f.user("U99", "late")
	h := newTestHost(t, f, nil)
	said := 0
	f.setDisturb(func(method string, n int, w http.ResponseWriter, r *http.Request) bool {
		if method != methodUsersInfo || n%2 == 0 {
			return false
		}
		said++
		f.say(c, start().Add(time.Duration(said)*time.Second), "U99", "just now")
		return slowDown(w, r)
	})
	run := onboarding(start())
	run.Connectors = []string{connectorChannels}
	require.NoError(t, h.sync(t.Context(), run))
	f.setDisturb(nil)
	require.NoError(t, h.sync(t.Context(), check(start().Add(20*time.Minute))))
	require.Positive(t, said)
	require.Len(t, h.activities, 10+said)
}

// The plan goes on behind the channels that it has joined.
// rows: K01
func TestPlanResumesAfterARateLimit(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 4
	for n := range 10 {
		f.channel(fmt.Sprintf("C%d", n), fmt.Sprintf("channel-%d", n)).outside = n%2 == 0
	}
	f.setDisturb(func(method string, n int, w http.ResponseWriter, r *http.Request) bool {
		return (method == methodJoin || method == methodChannels) && n%2 == 1 && slowDown(w, r)
	})
	h := newTestHost(t, f, object{"join": true})
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Len(t, h.streams, 11)
	require.NotEmpty(t, h.waits)
	joined := map[string]int{}
	for _, call := range f.called(methodJoin) {
		joined[call.args.Get("channel")]++
	}
	require.Len(t, joined, 5)

	// What cannot be joined is a warning.
	f.channel("C99", "odd").outside = true
	f.setDisturb(func(method string, _ int, w http.ResponseWriter, r *http.Request) bool {
		return method == methodJoin && reason("method_not_supported_for_channel_type")(w, r)
	})
	require.NoError(t, h.sync(t.Context(), check(start().Add(time.Hour))))
	require.Equal(t, []string{"channel odd cannot be joined: method_not_supported_for_channel_type"}, h.warnings)
}

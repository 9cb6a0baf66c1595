package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jackfield/jackfield/sdk"
)

// rows: C15
func TestSecondRunFindsWhatIsNew(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.user("U1", "ada")
	f.user("U2", "ben")
	c := f.channel("C1", "general")
	old := f.say(c, start().Add(-20*24*time.Hour), "U1", "an old question")
	f.say(c, start().Add(-20*24*time.Hour+time.Hour), "U2", "an old answer", inThread(old))
	fresh := f.say(c, start().Add(-2*time.Hour), "U1", "a fresh question")
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Len(t, h.activities, 3)

	// Nothing new: the threads that had no reply since are not read again.
	before := len(f.called("conversations.replies"))
	require.NoError(t, h.sync(t.Context(), check(start().Add(20*time.Minute))))
	require.Len(t, h.activities, 3)
	require.Len(t, f.called("conversations.replies"), before)

	// A message, and the first reply to one that was imported without.
	message := f.say(c, start().Add(30*time.Minute), "U2", "good morning")
	first := f.say(c, start().Add(31*time.Minute), "U2", "a first answer", inThread(fresh))
	require.NoError(t, h.sync(t.Context(), check(start().Add(40*time.Minute))))
	require.Len(t, h.activities, 5)
	require.Contains(t, h.activities, "C1-"+message)
	require.Equal(t, "C1-"+fresh, h.activities["C1-"+first].ParentID)
	require.Contains(t, h.streams, "thread:C1:"+fresh)
	require.NotContains(t, h.streams, "thread:C1:"+old)

	// A reply to an old message is found by the look back of the next day.
	late := f.say(c, start().Add(time.Hour), "U1", "a late answer", inThread(old))
	require.NoError(t, h.sync(t.Context(), check(start().Add(25*time.Hour))))
	require.Contains(t, h.activities, "C1-"+late)
}

// However long the daemon was away: the history goes on where it was, and so do
// the replies.
// A window of an hour or a day was read, however long the daemon had been down.
//
// rows: O27, D20
func TestD20DowntimeLeavesNoGap(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 5
	f.user("U1", "ada")
	c := f.channel("C1", "general")
	parent := f.say(c, start().Add(-10*24*time.Hour), "U1", "a question")
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))

	for n := range 80 {
		f.say(c, start().Add(time.Duration(n+1)*24*time.Hour), "U1", fmt.Sprintf("day %d", n+1))
	}
	reply := f.say(c, start().Add(3*24*time.Hour+time.Minute), "U1", "an answer", inThread(parent))
	require.NoError(t, h.sync(t.Context(), check(start().Add(90*24*time.Hour))))
	require.Len(t, h.activities, 1+80+1)
	require.Contains(t, h.activities, "C1-"+reply)
}

// A run that fails halfway through a channel's pages moves no cursor, and a
// thread whose stream failed is read by the run that follows.
// rows: O27, C28
func TestFailedRunsAreMended(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 3
	f.user("U1", "ada")
	c := f.channel("C1", "general")
	parent := f.say(c, start().Add(-12*time.Hour), "U1", "a question")
	reply := f.say(c, start().Add(-11*time.Hour), "U1", "an answer", inThread(parent))
	h := newTestHost(t, f, nil)
	for n := range 10 {
		f.say(c, start().Add(-time.Duration(n+1)*time.Hour-time.Minute), "U1", fmt.Sprintf("message %d", n))
	}
	h.stopAtOnce = true
	f.setDisturb(only("conversations.history", 2, htmlError))
	require.Error(t, h.sync(t.Context(), onboarding(start())))
	require.Empty(t, h.cursors)
	require.NotEmpty(t, h.activities)

	f.setDisturb(only("conversations.replies", 0, htmlError))
	require.Error(t, h.sync(t.Context(), check(start().Add(20*time.Minute))))
	require.NotContains(t, h.activities, "C1-"+reply)
	require.NotEmpty(t, h.cursors)

	f.setDisturb(nil)
	require.NoError(t, h.sync(t.Context(), check(start().Add(40*time.Minute))))
	require.Contains(t, h.activities, "C1-"+reply)
	require.Len(t, h.activities, 12)

	// After a run that was good, a thread that fails is not left until the next deep look.
	next := f.say(c, start().Add(42*time.Minute), "U1", "another answer", inThread(parent))
	f.setDisturb(only("conversations.replies", 0, htmlError))
	require.Error(t, h.sync(t.Context(), check(start().Add(time.Hour))))
	f.setDisturb(nil)
	require.NotContains(t, h.activities, "C1-"+next)
	require.NoError(t, h.sync(t.Context(), check(start().Add(80*time.Minute))))
	require.Contains(t, h.activities, "C1-"+next)
}

// A forced run has no cursor and reads everything.
func TestForcedRunReadsEverything(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	want := len(h.activities)
	h.activities, h.cursors = map[string]sdk.Activity{}, map[string][]byte{}
	require.NoError(t, h.sync(t.Context(), check(start().Add(time.Hour))))
	require.Len(t, h.activities, want)
}

// Runs at any time, faults among them, over any history: no message is missed,
// and no reply that came within thread_days, once a day has passed.
// rows: O27, C19
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFake(t)
		defer f.server.Close()
		f.longest = rapid.IntRange(1, 6).Draw(rt, "longest page")
		f.user("U1", "ada")
		f.user("U2", "ben")
		c := f.channel("C1", "general")
		hour := func(name string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(rt, name)) * time.Hour
		}
		var want []string
		for n := range rapid.IntRange(0, 12).Draw(rt, "messages") {
			at := start().Add(hour("written", -1000, 1000)).Add(time.Duration(n) * time.Second)
			ts := f.say(c, at, "U1", "question")
			want = append(want, "C1-"+ts)
			for r := range rapid.IntRange(0, 3).Draw(rt, "replies") {
				reply := f.say(c, at.Add(hour("answered", 0, 30*24-1)+time.Duration(r+1)*time.Minute), "U2", "answer", inThread(ts))
				want = append(want, "C1-"+reply)
			}
		}
		h := newTestHost(t, f, object{"thread_days": 30})
		defer h.inst.(sdk.Closer).Close() //nolint:errcheck // it has none
		now := start()
		run := func(r sdk.Run) {
			f.mu.Lock()
			// Slack's clock is not the host's.
			f.now = r.StartedAt.Add(time.Duration(rapid.IntRange(-300, 300).Draw(rt, "clock")) * time.Second)
			f.mu.Unlock()
			_ = h.sync(t.Context(), r)
		}
		run(onboarding(now))
		for range rapid.IntRange(0, 8).Draw(rt, "runs") {
			h.stopAtOnce = rapid.Bool().Draw(rt, "fails")
			pause := hour("pause", 1, 400)
			if h.stopAtOnce {
				pause /= 5 // looks that fail for longer than threads age are given up
			}
			now = now.Add(pause)
			if h.stopAtOnce {
				method := rapid.SampledFrom([]string{methodHistory, methodReplies}).Draw(rt, "at")
				f.setDisturb(only(method, rapid.IntRange(0, 3).Draw(rt, "call"), htmlError))
			}
			run(check(now))
			h.stopAtOnce = false
			f.setDisturb(nil)
		}
		// After all has been written, two good runs: one of them looks back.
		now = now.Add(2000 * time.Hour)
		run(check(now))
		run(check(now.Add(25 * time.Hour)))
		for _, id := range want {
			if _, ok := h.activities[id]; !ok {
				rt.Fatalf("%s is missing", id)
			}
		}
		require.Len(rt, h.activities, len(want))
	})
}

func TestWindows(t *testing.T) {
	t.Parallel()
	at, age := start(), 30*24*time.Hour
	read := func(run, done time.Time, from *position) window {
		r := sdk.Run{StartedAt: run, Watermarks: map[string]time.Time{}}
		if !done.IsZero() {
			r.Watermarks[connectorChannels] = done
		}
		return newWindow(r, from, age)
	}
	w := read(at, time.Time{}, nil)
	require.Empty(t, w.oldest)
	require.Equal(t, formatTS(at.Add(clockMargin)), w.latest)
	require.True(t, w.replies("1.0"))
	require.True(t, w.replies(""))
	first := w.end("1699999999.000100")
	require.Equal(t, position{Newest: "1699999999.000100", Looked: at, Tried: at}, first)

	soon := at.Add(20 * time.Minute)
	w = read(soon, at, &first)
	require.Equal(t, formatTS(at.Add(-recent-clockMargin)), w.oldest)
	require.False(t, w.replies(formatTS(at.Add(-time.Hour))))
	require.True(t, w.replies(formatTS(at)))
	second := w.end("")
	require.Equal(t, position{Newest: "1699999999.000100", Looked: soon, Deep: at, Tried: at}, second)

	day := at.Add(24 * time.Hour)
	w = read(day, soon, &second)
	require.Equal(t, formatTS(at.Add(-age-clockMargin)), w.oldest)
	require.Equal(t, at.Add(-clockMargin), w.replied)
	third := w.end("1700000001.000000")
	require.Equal(t, position{Newest: "1700000001.000000", Looked: day, Deep: at, Tried: day}, third)

	// The look of that day did not end well: the one of the next day starts where it did.
	w = read(day.Add(24*time.Hour), soon, &third)
	require.Equal(t, formatTS(at.Add(-age-clockMargin)), w.oldest)
	require.Equal(t, at.Add(-clockMargin), w.replied)

	failing := position{Newest: "1.0", Looked: day, Tried: at}
	w = read(day, time.Time{}, &failing)
	require.Equal(t, "1.0", w.oldest)
	require.True(t, w.replied.IsZero(), "no look has counted yet")

	quiet := position{Newest: "1500000000.000000", Looked: at, Deep: at, Tried: at}
	require.Equal(t, quiet.Newest, read(soon, at, &quiet).oldest, "never later than what was read")
	empty := position{Looked: at, Deep: at, Tried: at}
	require.Empty(t, read(soon, at, &empty).oldest, "a channel that had nothing is read whole")
	stuck := position{Newest: "1700000000.000000", Looked: at.Add(1000 * time.Hour), Deep: at, Tried: at}
	require.Equal(t, formatTS(at.Add(1000*time.Hour-2*age-clockMargin)), read(at.Add(1001*time.Hour), at.Add(-time.Hour), &stuck).oldest, "bounded")
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	at, ok := parseTS("1512085950.000216")
	require.True(t, ok)
	require.Equal(t, int64(1512085950000216), at.UnixMicro())
	require.Equal(t, "1512085950.000216", formatTS(at))
	require.Empty(t, formatTS(time.Time{}))
	for _, bad := range []string{"", "x", "1.x", "-1.0", "1.0000001", "1.-1", "99999999999999999999.0"} {
		_, ok := parseTS(bad)
		require.False(t, ok, bad)
	}
	require.True(t, later("2.0", "1.999999"))
	require.True(t, later("10.0", "9.0"))
	require.True(t, later("1.0", ""))
	require.False(t, later("1.0", "1.000000"))
	require.False(t, later("", ""))
	rapid.Check(t, func(rt *rapid.T) {
		micros := rapid.Int64Range(1_000_000, 4_000_000_000_000_000).Draw(rt, "micros")
		at, ok := parseTS(formatTS(time.UnixMicro(micros)))
		require.True(rt, ok)
		require.Equal(rt, micros, at.UnixMicro())
	})
}

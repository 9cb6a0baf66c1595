package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func TestLinearHistoryInPages(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(105)
	b.branch("master", all[104])
	h := newHost(t, map[string]any{"path": b.dir})
	s := h.run()
	require.Equal(t, backwards(all), s.ids())
	require.Equal(t, 6, h.pages)
	require.Empty(t, s.warnings)
	require.Len(t, s.streams, 1)
	require.Equal(t, s.streams[0].ID, s.streams[0].Partition)
	require.Regexp(t, `^app-[0-9a-f]{8}/master$`, s.streams[0].ID)
	require.JSONEq(t, fmt.Sprintf(`{"path":%q,"branch":"master"}`, b.dir), string(s.streams[0].Data))
}

// rows: O27
func TestSecondRunFindsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	old := b.line(50)
	b.branch("master", old[49])
	h := newHost(t, map[string]any{"path": b.dir})
	require.Len(t, h.run().activities, 50)
	require.Empty(t, h.run().activities)

	next := b.line(45, old[49])
	side := b.commit(spec{message: "side", parents: old[30:31]})
	merge := b.commit(spec{message: "merge", parents: []plumbing.Hash{next[44], side}})
	b.branch("master", merge)
	s := h.run()
	require.Equal(t, append([]string{merge.String(), side.String()}, backwards(next)...), s.ids())
	require.Empty(t, s.warnings)
	require.Empty(t, h.run().activities)
}

func TestMergesCountNoLines(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	root := b.commit(spec{message: "root", files: files{"a": "1\n2\n"}})
	left := b.commit(spec{message: "left", files: files{"a": "1\n2\n3\n"}, parents: []plumbing.Hash{root}})
	right := b.commit(spec{message: "right", files: files{"a": "1\n2\n", "b": "x\n"}, parents: []plumbing.Hash{root}})
	merge := b.commit(spec{message: "merge", files: files{"a": "1\n2\n3\n", "b": "x\n"}, parents: []plumbing.Hash{left, right}})
	b.branch("master", merge)
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, texts(merge, right, left, root), s.ids())
	require.JSONEq(t, `[2,0,1,false]`, numbers(s.only(t, root.String())))
	require.JSONEq(t, `[1,0,1,false]`, numbers(s.only(t, left.String())))
	require.JSONEq(t, `[1,0,1,false]`, numbers(s.only(t, right.String())))
	require.JSONEq(t, `[0,0,0,true]`, numbers(s.only(t, merge.String())))
}

func numbers(a sdk.Activity) string {
	return fmt.Sprintf("[%s,%s,%s,%s]", a.Attributes["insertions"], a.Attributes["deletions"], a.Attributes["files"], a.Attributes["is_merge"])
}

// rows: C13, C14
func TestActivityOfCommit(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	h := b.commit(spec{
		message: "Add a file\n\nIt was missing.\n\nCo-authored-by: Bo <Bo@example.org>\nCo-authored-by: Ann <ann@example.org>\n",
		author:  "Ann <Ann@Example.org>", when: 1_700_000_000, files: files{"a": "1\n"},
	})
	b.branch("master", h)
	s := newHost(t, map[string]any{"path": b.dir}).run()
	require.Equal(t, []string{h.String(), h.String() + ":co:bo@example.org"}, s.ids())

	a := s.activities[0]
	require.Equal(t, "authored-commit", a.Type)
	require.Equal(t, "git", a.Platform)
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), a.Timestamp)
	require.Equal(t, "app", a.Channel)
	require.Equal(t, "Add a file", a.Title)
	require.True(t, strings.HasPrefix(a.Body, "It was missing."))
	require.Empty(t, a.Username)
	require.Equal(t, []string{"ann@example.org"}, a.Member.Emails)
	require.JSONEq(t, `{"name":"Ann","email":"ann@example.org","when":"2023-11-14T22:13:20Z"}`, string(a.Attributes["committer"]))
	require.JSONEq(t, `"app"`, string(a.Attributes["repo"]))

	co := s.activities[1]
	require.Equal(t, "co-authored-commit", co.Type)
	require.Equal(t, h.String(), co.ParentID)
	require.Equal(t, "Bo", co.Member.DisplayName)
	require.JSONEq(t, `[1,0,1,false]`, numbers(co))
	require.Empty(t, co.Body)
}

func TestStatsCanBeOff(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	h := b.commit(spec{message: "root", files: files{"a": "1\n"}})
	b.branch("master", h)
	s := newHost(t, map[string]any{"path": b.dir, "stats": false}).run()
	require.NotContains(t, s.activities[0].Attributes, "insertions")
	require.Contains(t, s.activities[0].Attributes, "is_merge")
}

func TestHistoryRewritten(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	old := b.line(40)
	b.branch("master", old[39])
	h := newHost(t, map[string]any{"path": b.dir})
	h.run()

	next := b.line(3, old[29])
	b.branch("master", next[2])
	s := h.run()
	require.Contains(t, s.warned(), "the history of branch master was rewritten: it no longer holds "+old[39].String())
	require.Len(t, s.warnings, 1)
	require.Subset(t, s.ids(), append(texts(next...), texts(old[:30]...)...))
	require.NotContains(t, s.ids(), old[35].String())
	require.Empty(t, h.run().activities, "the cursor is at the new head")
}

func TestBranchMovedBack(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	old := b.line(10)
	b.branch("master", old[9])
	h := newHost(t, map[string]any{"path": b.dir})
	h.run()
	b.branch("master", old[4])
	s := h.run()
	require.Contains(t, s.warned(), "was rewritten")
	require.Equal(t, backwards(old[:5]), s.ids())
}

func TestCursorCommitGone(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(5)
	b.branch("master", all[4])
	h := newHost(t, map[string]any{"path": b.dir})
	s := h.run()
	gone := fmt.Sprintf(`{"v":1,"head":%q}`, strings.Repeat("12", 20))
	h.cursors[s.streams[0].Partition] = []byte(gone)
	s = h.run()
	require.Contains(t, s.warned(), "was rewritten")
	require.Equal(t, backwards(all), s.ids())
}

func TestUnreadableCursor(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(5)
	b.branch("master", all[4])
	h := newHost(t, map[string]any{"path": b.dir})
	s := h.run()
	h.cursors[s.streams[0].Partition] = []byte(`{"v":9}`)
	s = h.run()
	require.Contains(t, s.warned(), "cursor is not readable")
	require.Len(t, s.activities, 5)
}

// rows: K02, K03
func TestResumeFromEveryCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	trunk := b.line(30)
	side := b.line(25, trunk[10])
	merge := b.commit(spec{message: "merge", parents: []plumbing.Hash{trunk[29], side[24]}})
	top := b.line(20, merge)
	b.branch("master", top[19])
	h := newHost(t, map[string]any{"path": b.dir})
	whole := h.run()
	require.Len(t, whole.activities, 76)
	require.Greater(t, len(whole.steps), 10)
	for _, at := range whole.steps {
		rest := &sink{}
		h.drain(h.open(), rest, sdk.StreamCall{Stream: whole.streams[0], Page: at.page, Checkpoint: at.checkpoint})
		require.Equal(t, whole.activities[at.emitted:], rest.activities)
	}
}

// A cursor moves with the last page only, so a run that dies loses nothing.
func TestCursorMovesAtTheEnd(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(50)
	b.branch("master", all[49])
	h := newHost(t, map[string]any{"path": b.dir})
	in, s := h.open(), &sink{}
	stream := h.run().streams[0]
	o, err := in.ProcessStream(t.Context(), sdk.StreamCall{Stream: stream}, sdk.NewEmitter(s))
	require.NoError(t, err)
	require.Nil(t, o.Cursor)
	require.NotNil(t, o.NextPage)
	require.Equal(t, all[30].String(), o.LastRecord)

	// The branch moves while its pages are read: this run ends at its old head.
	next := b.line(2, all[49])
	b.branch("master", next[1])
	for o.NextPage != nil {
		o, err = in.ProcessStream(t.Context(), sdk.StreamCall{Stream: stream, Page: o.NextPage}, sdk.NewEmitter(s))
		require.NoError(t, err)
	}
	require.JSONEq(t, fmt.Sprintf(`{"v":1,"head":%q}`, all[49]), string(o.Cursor))
	h.cursors[stream.Partition] = o.Cursor
	require.Equal(t, backwards(next), h.run().ids())
}

// rows: C19
func TestLongHistoryIsLinear(t *testing.T) {
	t.Parallel()
	const n = 3000
	b := newPackedBuilder(t)
	all := b.line(n)
	b.branch("master", all[n-1])
	b.pack()
	h := newHost(t, map[string]any{"path": b.dir, "stats": false})
	h.git = Git{}
	s := h.run()
	require.Equal(t, backwards(all), s.ids())
	require.Equal(t, n/defaultPage, h.pages)
	for _, at := range s.steps {
		require.Less(t, len(at.checkpoint)+len(at.page), 20<<10)
	}
}

func TestCancelEndsTheCall(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(60)
	b.branch("master", all[59])
	h := newHost(t, map[string]any{"path": b.dir})
	stream := h.run().streams[0]
	ctx, cancel := context.WithCancel(t.Context())
	s := &sink{onSend: cancel}
	_, err := h.open().ProcessStream(ctx, sdk.StreamCall{Stream: stream}, sdk.NewEmitter(s))
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, len(s.activities), 20)
}

func TestBrokenTokensAreErrors(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(2)
	b.branch("master", all[1])
	h := newHost(t, map[string]any{"path": b.dir})
	stream := h.run().streams[0]
	for _, token := range []string{`nonsense`, `{"v":2}`, `{"v":1,"walk":"AQ=="}`} {
		_, err := h.open().ProcessStream(t.Context(), sdk.StreamCall{Stream: stream, Page: []byte(token)}, sdk.NewEmitter(&sink{}))
		e, ok := errors.AsType[*sdk.Error](err)
		require.True(t, ok)
		require.Equal(t, "bad_page", e.Code)
	}
}

// Long messages end a segment before it reaches the host's cap.
// rows: K24
func TestSegmentsStaySmall(t *testing.T) {
	t.Parallel()
	b := newPackedBuilder(t)
	var parents []plumbing.Hash
	for range 120 {
		h := b.commit(spec{message: "long\n\n" + strings.Repeat("word ", 40_000), parents: parents})
		parents = []plumbing.Hash{h}
	}
	b.branch("master", parents[0])
	b.pack()
	h := newHost(t, map[string]any{"path": b.dir})
	h.git = Git{}
	s := h.run()
	require.Len(t, s.activities, 120)
	require.LessOrEqual(t, len(s.activities[0].Body), maxBody)
	from := 0
	for _, at := range append(s.steps, step{emitted: len(s.activities)}) {
		require.Less(t, (at.emitted-from)*(maxBody+activityBytes), sdk.MaxSegment/2)
		from = at.emitted
	}
}

// quietHost counts the signs of life.
type quietHost struct {
	sdk.Host
	beats []string
}

func (h *quietHost) Progress(_ context.Context, what string, until time.Time) error {
	h.beats = append(h.beats, what)
	if !until.After(time.Now()) {
		return errors.New("until is over")
	}
	return nil
}

func TestPulse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &quietHost{}
		p := newPulse(h)
		p.beat(t.Context(), "early")
		require.Empty(t, h.beats)
		<-time.After(pulseEvery)
		p.beat(t.Context(), "late")
		p.beat(t.Context(), "again")
		require.Equal(t, []string{"late"}, h.beats)
	})
}

// rows: O23
//
// A page has as many commits as the host wants, and no fewer pages than that takes;
// what is imported is the same.
func TestPagesAreAsLargeAsTheHostWants(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, false)
	all := b.line(105)
	b.branch("master", all[104])
	h := newHost(t, map[string]any{"path": b.dir})
	h.want = 7
	s := h.run()
	require.Equal(t, backwards(all), s.ids())
	require.Equal(t, 15, h.pages)
}

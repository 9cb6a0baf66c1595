package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K14, C26, F24, O26
func testLimits(t *testing.T, setup func(*testing.T) *world) {
	t.Run("AThrottleHoldsBackItsKeyAlone", func(t *testing.T) {
		w := setup(t)
		streams := names("a", "b", "c")
		streams[0].LimitKey, streams[1].LimitKey, streams[2].LimitKey = "team:1", "team:1", "team:2"
		j := w.plan(store.RunRequest{}, streams...)
		s := j.claim()
		require.Equal(t, "team:1", s.LimitKey)
		seg := j.segment(s)
		until := w.clock.Now().Add(30 * time.Second)
		seg.Throttles = []store.Throttle{{Plugin: plug, Key: "team:1", Until: until}}
		seg.End = &store.StreamEnd{State: store.StreamDelayed, Answered: true}
		j.apply(seg)
		got := j.claims(5)
		require.Len(t, got, 1)
		require.Equal(t, "c", got[0].Ident)
		j.finish(got[0], done())
		at, ok, err := w.s.NextStreamDue(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, until, at)
		j.release()
		require.Equal(t, 30*time.Second, w.nextWake())
		w.clock.add(30 * time.Second)
		j.lane = w.claimLane()
		got = j.claims(5)
		require.Len(t, got, 2)
		require.Zero(t, got[0].Attempts)
	})

	t.Run("ByDefaultTheIntegrationIsTheKey", func(t *testing.T) {
		w := setup(t)
		one := w.plan(store.RunRequest{}, names("a", "b")...)
		two := w.plan(store.RunRequest{}, names("a")...)
		seg := one.segment(one.claim())
		seg.Throttles = []store.Throttle{{Plugin: plug, Until: w.clock.Now().Add(time.Minute)}}
		one.apply(seg)
		require.Empty(t, one.claims(5))
		require.Len(t, two.claims(5), 1)
	})

	t.Run("TheLongerThrottleStands", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		seg := j.segment(j.claim())
		for _, d := range []time.Duration{time.Minute, time.Second} {
			seg.Throttles = []store.Throttle{{Plugin: plug, Until: w.clock.Now().Add(d)}}
			j.apply(seg)
			seg.Seq++
		}
		w.clock.add(30 * time.Second)
		require.Empty(t, j.claims(5))
	})

	t.Run("CapsHaveNames", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		refuse := func(want string, change func(*store.Segment)) {
			t.Helper()
			seg := j.segment(s)
			change(&seg)
			_, err := w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, store.ErrLimit)
			require.ErrorContains(t, err, want)
		}
		refuse("1001 new streams", func(seg *store.Segment) {
			for n := range store.MaxStreamsPerResult + 1 {
				seg.Streams = append(seg.Streams, store.NewStream{Ident: fmt.Sprint(n)})
			}
		})
		refuse("of data", func(seg *store.Segment) {
			seg.Streams = []store.NewStream{{Ident: "x", Data: make([]byte, store.MaxStreamDataBytes+1)}}
		})
		refuse("segment of", func(seg *store.Segment) { seg.Checkpoint = make([]byte, store.MaxSegmentBytes+1) })
		for range store.MaxStreamDepth - 1 {
			seg := j.segment(s)
			seg.Streams = []store.NewStream{{Ident: fmt.Sprint("child of ", s.ID)}}
			end := done()
			seg.End = &end
			j.apply(seg)
			s = j.claim()
		}
		refuse("32 deep", func(seg *store.Segment) { seg.Streams = names("too deep") })
		require.Zero(t, j.reload().Stats.Warnings)
	})

	t.Run("TheFirstWarningsAreKept", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		for n := range 70 {
			seg.Warnings = append(seg.Warnings, store.Warning{RecordID: fmt.Sprint(n), Message: "odd"})
		}
		j.apply(seg)
		seg.Seq++
		j.apply(seg)
		require.Equal(t, int64(140), j.reload().Stats.Warnings)
		kept, err := w.s.Warnings(w.ctx(), j.run.ID, 1000)
		require.NoError(t, err)
		require.Len(t, kept, store.MaxWarningsKept)
		require.Equal(t, store.Warning{RecordID: "0", Message: "odd", At: w.clock.Now()}, kept[0])
	})
}

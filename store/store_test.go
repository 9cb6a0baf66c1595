package store_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K09, F16
func TestACheckIsDueAtItsTimeOrWhenTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in := store.Integration{NextCheckAt: now.Add(time.Hour), NextCheckFrom: now}
	require.False(t, in.CheckDue(now))
	require.True(t, in.CheckDue(now.Add(time.Hour)))
	require.False(t, in.CheckDue(now.Add(-10*time.Second)), "a small correction")
	require.True(t, in.CheckDue(now.Add(-time.Hour)))
	require.False(t, store.Integration{}.CheckDue(now), "never")
}

// Operators and authors are told these numbers.
//
// rows: K08, K22, K24, F24
func TestCapsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{1_000_000, 32, 100_000, 1_000, 64},
		[]int{store.MaxStreamsPerRun, store.MaxStreamDepth, store.MaxPagesPerStream, store.MaxStreamsPerResult, store.PageHistory})
	require.Equal(t, []int{1 << 20, 4 << 20}, []int{store.MaxRecordBytes, store.MaxSegmentBytes})
	require.Equal(t, 720*time.Hour, store.KeepRemoved)
}

// rows: C06, C07
func TestMovesLeadToKnownStates(t *testing.T) {
	t.Parallel()
	runs := store.RunTransitions()
	for from, to := range runs {
		for _, s := range to {
			require.Contains(t, runs, s, "%s to %s", from, s)
			require.NotEqual(t, from, s)
		}
		if from.Terminal() { // only a person makes it go on
			require.NotContains(t, to, store.RunProcessing)
		}
	}
	require.Len(t, slices.DeleteFunc(slices.Collect(maps.Keys(runs)), store.RunState.Terminal), 3)
	streams := store.StreamTransitions()
	for from, to := range streams {
		for _, s := range to {
			require.Contains(t, streams, s, "%s to %s", from, s)
			require.NotEqual(t, from, s)
		}
		if from.Terminal() {
			require.NotContains(t, to, store.StreamProcessing)
		}
	}
	// A stream that is processed is worked on again when a person forces it.
	require.Equal(t, []store.StreamState{store.StreamPending}, streams[store.StreamProcessed])
	require.Equal(t, []store.RunState{store.RunPending}, runs[store.RunProcessed])
	require.Empty(t, runs[store.RunCancelled])
}

func TestHint(t *testing.T) {
	t.Parallel()
	require.NoError(t, store.Hint(nil, "unused"))
	err := store.Hint(errors.Join(errors.New("no room"), store.ErrFull), "make room")
	require.ErrorIs(t, err, store.ErrFull)
	require.Equal(t, "no room\ndisk is full (hint: make room)", err.Error())
	hint, ok := errors.AsType[*store.HintError](err)
	require.True(t, ok)
	require.Equal(t, "make room", hint.Hint)
}

// rows: C43, O28
func TestRunsAreKeptForThreeMonths(t *testing.T) {
	t.Parallel()
	require.Equal(t, 90*24*time.Hour, store.DefaultRetention().Runs)
}

package sdk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: F25
func TestARecordTooLargeIsLeftOutWithItsDigest(t *testing.T) {
	t.Parallel()
	s := &sink{}
	out := sdk.NewEmitter(s)
	large := `{"a":"` + strings.Repeat("x", sdk.MaxRecord) + `"}`
	sum := sha256.Sum256([]byte(large))
	require.NoError(t, out.Record(t.Context(), record("1", "{}")))
	require.NoError(t, out.Record(t.Context(), record("7", large)))
	require.NoError(t, out.Member(t.Context(), sdk.Member{ID: "ann", Bio: large}))
	require.NoError(t, out.Activity(t.Context(), sdk.Activity{ID: "act", Type: "t", Platform: "p", Timestamp: time.Unix(1, 0), Username: "u", Body: large}))
	require.NoError(t, out.Record(t.Context(), record("2", "{}")))
	require.NoError(t, out.Flush(t.Context()))
	require.Len(t, s.batches, 1)
	require.Equal(t, []sdk.Record{record("1", "{}"), record("2", "{}")}, s.batches[0].Records, "the rest goes on")
	require.Empty(t, s.batches[0].Members)
	require.Empty(t, s.batches[0].Activities)
	warnings := s.batches[0].Warnings
	require.Len(t, warnings, 3)
	require.Equal(t, "thing/7", warnings[0].RecordID)
	require.Equal(t, "record_too_large: thing 7 has 1048584 bytes, 1048576 are allowed (sha256 "+hex.EncodeToString(sum[:])+")", warnings[0].Message)
	require.Equal(t, "member/ann", warnings[1].RecordID)
	require.Equal(t, "activity/act", warnings[2].RecordID)

	s.batches = nil
	sent := sdk.Batch{Records: []sdk.Record{record("1", "{}"), record("7", large), record("2", "{}")}, Members: []sdk.Member{{ID: "ann", Bio: large}, {ID: "bob"}}}
	require.NoError(t, out.Send(t.Context(), sent))
	require.Equal(t, []sdk.Record{record("1", "{}"), record("2", "{}")}, s.batches[0].Records)
	require.Equal(t, []sdk.Member{{ID: "bob"}}, s.batches[0].Members)
	require.Len(t, s.batches[0].Warnings, 2)
	require.Len(t, sent.Records, 3, "the caller's batch is its own")
}

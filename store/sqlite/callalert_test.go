package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// The event of an unknown write is written once, however often it is told.
//
// rows: F31
func TestAnUnknownWriteIsOneEvent(t *testing.T) {
	t.Parallel()
	db, _ := openInbox(t, Options{Path: t.TempDir(), NoSync: true})
	ctx := t.Context()
	require.NoError(t, db.TellUnknown(ctx, store.UnknownWrite{Event: 1, Call: "c0", Integration: "nobody"}))
	require.NoError(t, db.ApplyChanges(ctx, []store.Change{{Op: store.ChangeCreate, UID: "i1", Spec: store.IntegrationSpec{
		Tenant: "acme", Name: "crm", Plugin: "p", Enabled: true, Settings: []byte("{}"), SettingsSum: []byte("sum"),
	}}}))
	in, err := db.IntegrationByUID(ctx, "i1")
	require.NoError(t, err)
	for _, event := range []int64{7, 7, 8, 7} {
		require.NoError(t, db.TellUnknown(ctx, store.UnknownWrite{
			Event: event, Call: "c1", Type: store.CallEnded, Code: store.CodeInterrupted, Message: "the host ended", Integration: in.UID,
		}))
	}
	list, err := db.RecentEvents(ctx, store.EventFilter{IntegrationID: in.ID, Kind: "call.unknown"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.JSONEq(t, `{"event": 7, "call": "c1", "type": "call.ended", "code": "interrupted", "message": "the host ended"}`, string(list[1].Data))
}

package sqlite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// The hash of a record tells each part of the remote image, whatever else keeps two
// of them apart where they are stored.
//
// rows: K05
func TestTheHashCoversEachPartOfTheRemoteImage(t *testing.T) {
	t.Parallel()
	base := store.Record{
		Kind: "a", ExternalID: "1", ParentKind: "b", ParentID: "2", Version: []byte("3"),
		OccurredAt: time.UnixMilli(1), Data: []byte(`{}`),
	}
	seen := map[string]string{}
	for name, change := range map[string]func(*store.Record){
		"nothing":     func(*store.Record) {},
		"kind":        func(r *store.Record) { r.Kind = "c" },
		"parent kind": func(r *store.Record) { r.ParentKind = "c" },
		"parent":      func(r *store.Record) { r.ParentID = "c" },
		"version":     func(r *store.Record) { r.Version = []byte("4") },
		"no version":  func(r *store.Record) { r.Version = nil },
		"time":        func(r *store.Record) { r.OccurredAt = time.UnixMilli(2) },
		"no time":     func(r *store.Record) { r.OccurredAt = time.Time{} },
		"data":        func(r *store.Record) { r.Data = []byte(`{"a":1}`) },
		"empty":       func(r *store.Record) { r.Data = nil },
		"deleted":     func(r *store.Record) { r.Deleted, r.Data = true, nil },
	} {
		r := base
		change(&r)
		frame := string(frameRecord(nil, &r))
		require.NotContains(t, seen, frame, "%s and %s look alike", name, seen[frame])
		seen[frame] = name
	}
}

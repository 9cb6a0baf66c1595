package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// fakeDatabase answers what a test puts into it.
type fakeDatabase struct {
	mu        sync.Mutex // guards all below
	exam      store.Examination
	backups   []string
	err       error
	snapshots Snapshots
}

func (f *fakeDatabase) Examine(_ context.Context, deep bool) (store.Examination, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	exam := f.exam
	exam.Deep = deep
	return exam, f.err
}

func (f *fakeDatabase) Backup(_ context.Context, path string) (store.Backup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backups = append(f.backups, path)
	return store.Backup{Path: path, Bytes: 4096, Schema: 3, Took: 2 * time.Second}, f.err
}

func (f *fakeDatabase) Snapshots() Snapshots {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshots
}

// rows: F13
func TestCheckDatabase(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.database.exam = store.Examination{Path: "/data/jackfield.db", Schema: 3, Took: time.Second, Checks: []store.Check{
		{Name: "pages"}, {Name: "feed", Problems: []string{"a record stands too far"}},
	}}
	client := hostv1.NewDatabaseServiceClient(r.dial())
	stream, err := client.CheckDatabase(r.ctx(), &hostv1.CheckDatabaseRequest{Deep: true})
	require.NoError(t, err)
	got, err := stream.Recv()
	require.NoError(t, err)
	require.False(t, got.GetOk())
	require.True(t, got.GetDeep())
	require.Equal(t, "/data/jackfield.db", got.GetPath())
	require.Equal(t, int64(1000), got.GetTookMs())
	require.Len(t, got.GetChecks(), 2)
	require.Equal(t, []string{"a record stands too far"}, got.GetChecks()[1].GetProblems())
}

// rows: F13
func TestBackupDatabase(t *testing.T) {
	t.Parallel()
	r := serve(t)
	client := hostv1.NewDatabaseServiceClient(r.dial())
	backup := func(path string) (*hostv1.Backup, error) {
		stream, err := client.BackupDatabase(r.ctx(), &hostv1.BackupDatabaseRequest{Path: path})
		require.NoError(t, err)
		got, err := stream.Recv()
		return got.GetBackup(), err
	}
	got, err := backup("/backups/a.db")
	require.NoError(t, err)
	require.Equal(t, int64(2000), got.GetTookMs())
	_, err = backup("a.db")
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, []string{"/backups/a.db"}, r.database.backups)
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{fmt.Errorf("back up: %w", &fs.PathError{Op: "open", Path: "/gone/a.db", Err: fs.ErrNotExist}), codes.InvalidArgument},
		{store.Hint(store.ErrConflict, "name another"), codes.FailedPrecondition},
		{store.ErrFull, codes.ResourceExhausted},
	} {
		r.database.err = c.err
		_, err = backup("/gone/a.db")
		require.Equal(t, c.code, status.Code(err), c.err)
	}
}

// rows: F09, F13
func TestStatusTellsOfTheDatabase(t *testing.T) {
	t.Parallel()
	r := serve(t)
	client := hostv1.NewStatusServiceClient(r.dial())
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r.database.snapshots = Snapshots{Enabled: true, Dir: "/data/snapshots", Kept: 2, Newest: "/data/snapshots/a.db", NewestAt: at}
	got, err := client.GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "ok", got.GetState())
	require.Equal(t, at, got.GetStore().GetSnapshots().GetNewestAt().AsTime())
	require.Equal(t, uint32(2), got.GetStore().GetSnapshots().GetKept())

	r.database.snapshots.Err = errors.New("no room")
	r.store.edit(func(f *fakeStore) { f.status.Full = true })
	got, err = client.GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", got.GetState())
	require.True(t, got.GetStore().GetFull())
	require.Len(t, got.GetReasons(), 2)
	require.Contains(t, got.GetReasons()[0], "the disk is full")
	require.Equal(t, "the newest snapshot of the store failed: no room", got.GetReasons()[1])
}

// rows: F12
func TestAStatusTellsOfALogThatGrows(t *testing.T) {
	t.Parallel()
	r := serve(t)
	api := hostv1.NewStatusServiceClient(r.dial())
	reasons := func(bytes int64) string {
		r.store.edit(func(f *fakeStore) { f.status.WALBytes = bytes })
		st, err := api.GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
		require.NoError(t, err)
		return strings.Join(st.GetReasons(), "\n")
	}
	require.NotContains(t, reasons(longLog), "the log of the store")
	require.Contains(t, reasons(2*longLog), "the log of the store has 512 MiB")
}

package api

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// Database looks after the file of the store.
type Database interface {
	// Examine looks at all of it. What is wrong with its content is in the answer.
	Examine(ctx context.Context, deep bool) (store.Examination, error)
	// Backup writes a checked copy into a new file; store.ErrConflict if there is
	// one.
	Backup(ctx context.Context, path string) (store.Backup, error)
	// Snapshots tells of the copies that are made on a schedule. It does not wait.
	Snapshots() Snapshots
}

// Snapshots is what became of the scheduled copies.
type Snapshots struct {
	Enabled  bool
	Dir      string
	Kept     int
	Newest   string // file of the newest good one
	NewestAt time.Time
	Err      error // of the newest try
}

type databaseService struct {
	hostv1.UnimplementedDatabaseServiceServer
	*Server
}

// CheckDatabase answers what a look at the whole file came to.
func (s *databaseService) CheckDatabase(req *hostv1.CheckDatabaseRequest, out grpc.ServerStreamingServer[hostv1.CheckDatabaseResponse]) error {
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	exam, err := s.deps.Database.Examine(out.Context(), req.GetDeep())
	if err != nil {
		return err
	}
	return out.Send(Examination(exam))
}

// Examination converts. The texts are the database's own, and hold no record.
func Examination(e store.Examination) *hostv1.CheckDatabaseResponse {
	out := &hostv1.CheckDatabaseResponse{
		Ok: e.Err() == nil, Path: e.Path, Deep: e.Deep, Schema: count(e.Schema), TookMs: e.Took.Milliseconds(),
	}
	for _, c := range e.Checks {
		out.Checks = append(out.Checks, &hostv1.DatabaseCheck{Name: c.Name, Problems: c.Problems})
	}
	return out
}

// BackupDatabase answers when the copy has its name.
func (s *databaseService) BackupDatabase(req *hostv1.BackupDatabaseRequest, out grpc.ServerStreamingServer[hostv1.BackupDatabaseResponse]) error {
	if !filepath.IsAbs(req.GetPath()) {
		return invalid("name it from the root", "path: %q is not absolute", req.GetPath())
	}
	release, err := s.acquire()
	if err != nil {
		return err
	}
	defer release()
	b, err := s.deps.Database.Backup(out.Context(), req.GetPath())
	if err != nil {
		return badFile(err)
	}
	s.log.Info("backup made", "path", b.Path, "bytes", b.Bytes, "took", b.Took)
	return out.Send(&hostv1.BackupDatabaseResponse{Backup: &hostv1.Backup{
		Path: b.Path, Bytes: b.Bytes, Schema: count(b.Schema), TookMs: b.Took.Milliseconds(),
	}})
}

// badFile tells the caller what is wrong with the file that it named.
func badFile(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return invalid("name a file in a directory that the daemon can write", "path: %v", e)
	}
	return err
}

// snapshots converts.
func (s *Server) snapshots() *hostv1.StatusSnapshots {
	kept := s.deps.Database.Snapshots()
	out := &hostv1.StatusSnapshots{
		Enabled: kept.Enabled, Dir: kept.Dir, Kept: count(kept.Kept), NewestAt: timestamp(kept.NewestAt), Newest: kept.Newest,
	}
	if kept.Err != nil {
		out.Error = s.opts.Redact(kept.Err.Error())
	}
	return out
}

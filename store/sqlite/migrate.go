package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema returns the version of the schema that this program writes: the number
// of its migrations.
func Schema() (int, error) {
	names, err := scripts(migrations)
	return len(names), err
}

// scripts returns the names of the migrations in set, in order.
func scripts(set fs.FS) ([]string, error) {
	names, err := fs.Glob(set, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// migrate brings the schema of file up to that of the embedded scripts, by a
// connection to it, and returns its version, which is the number of the last
// migration. Each migration is one transaction together with its number: one that
// was interrupted starts anew. A database that holds something is backed up first.
//
// The connection is the writer's. One of its own would be the last to leave, and
// that writes the whole log of a killed process back before anybody can work.
func migrate(ctx context.Context, conn *sql.Conn, file string, opts Options) (version int, err error) {
	names, err := scripts(opts.migrations)
	if err != nil {
		return 0, err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", driverError(err))
	}
	if version > len(names) {
		return 0, newerSchema(version, len(names))
	}
	if version > 0 && version < len(names) {
		if err := backupBefore(ctx, file, version); err != nil {
			return 0, fmt.Errorf("back up before the migration: %w", err)
		}
	}
	for ; version < len(names); version++ {
		if err := migrateOne(ctx, conn, opts.migrations, names[version], version+1); err != nil {
			return 0, fmt.Errorf("migrate to schema %d: %w", version+1, driverError(err))
		}
	}
	return version, nil
}

// backupBefore keeps the database as it is at version. There is one such copy for
// each version, however often its migration is tried.
func backupBefore(ctx context.Context, file string, version int) error {
	path := fmt.Sprintf("%s-schema-%d.db", strings.TrimSuffix(file, ".db"), version)
	if err := discard(path); err != nil { // file itself has what it had
		return err
	}
	_, err := backup(ctx, file, path, version)
	return err
}

func migrateOne(ctx context.Context, conn *sql.Conn, set fs.FS, name string, version int) error {
	script, err := fs.ReadFile(set, name)
	if err != nil {
		return err
	}
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, string(script))
	if err == nil {
		_, err = t.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	}
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Commit()
}

package sqlite

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C06, I04
func TestRunMovesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	legal := store.RunTransitions()
	moves(t, legal, "runs", `
		INSERT INTO runs (id, integration_id, class, kind, state, connectors, created_at, updated_at)
		VALUES ($1, $1, 'pull', 'check', $2, '[]', 0, 0)`)
}

// rows: C07, I04
func TestStreamMovesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	legal := store.StreamTransitions()
	moves(t, legal, "streams", `
		INSERT INTO streams (id, run_id, integration_id, type, phase, ident, limit_key, state, due_at, created_at, updated_at)
		VALUES ($1, $1, 1, 'root', 2, 'a', 'k', $2, 0, 0, 0)`)
}

// moves tries every pair of states on rows of the table, with the triggers off
// to get to the first.
func moves[S ~string](t *testing.T, legal map[S][]S, table, insert string) {
	t.Helper()
	db := openTemp(t, Options{})
	exec := func(query string, args ...any) error {
		return db.update(t.Context(), func(ctx context.Context, tx *tx) error {
			_, err := tx.exec(ctx, query, args...)
			return err
		})
	}
	script := triggers(t, table)
	id := 0
	for from := range legal {
		require.Error(t, exec(insert, 1000, "unknown"))
		if from != "pending" {
			require.Error(t, exec(insert, 1000, string(from)), "born %s", from)
		}
		for to := range legal {
			id++
			for name := range script {
				require.NoError(t, exec("DROP TRIGGER "+name))
			}
			require.NoError(t, exec(insert, id, string(from)))
			for _, create := range script {
				require.NoError(t, exec(create))
			}
			allowed := from == to
			for _, s := range legal[from] {
				allowed = allowed || s == to
			}
			err := exec(fmt.Sprintf("UPDATE %s SET state = $2 WHERE id = $1", table), id, string(to))
			if allowed {
				require.NoError(t, err, "%s to %s", from, to)
			} else {
				require.ErrorContains(t, err, "illegal move", "%s to %s", from, to)
			}
			require.NoError(t, exec(fmt.Sprintf("DELETE FROM %s", table)))
		}
	}
}

// triggers returns the statements that make the triggers of a table.
func triggers(t *testing.T, table string) map[string]string {
	t.Helper()
	text, err := migrations.ReadFile("migrations/0001_initial.sql")
	require.NoError(t, err)
	out := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?s)CREATE TRIGGER (\w+) .*?\nEND;`).FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(m[1], table+"_") {
			out[m[1]] = strings.TrimSuffix(m[0], ";") + ";"
		}
	}
	require.Len(t, out, 2)
	return out
}

// rows: C35
func TestEveryColumnOfTheOldSystemsHasItsPlace(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	columns := make(map[string]bool)
	require.NoError(t, db.list(t.Context(), `
		SELECT m.name, c.name
		FROM   sqlite_schema m, pragma_table_info(m.name) c
		WHERE  m.type = 'table'`, nil, func(s scanner) error {
		var table, column string
		err := s.Scan(&table, &column)
		columns[table+"."+column] = true
		return err
	}))
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	mapped := make(map[string]int)
	section := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "### "); ok {
			section = strings.TrimSpace(name)
		}
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		old := strings.Trim(cells[1], " `")
		place := regexp.MustCompile("`([a-z_]+\\.[a-z_]+)`").FindAllStringSubmatch(cells[2], -1)
		require.NotEmpty(t, place, "%s %s has no column", section, old)
		for _, p := range place {
			require.True(t, columns[p[1]], "%s %s: no column %s", section, old, p[1])
		}
		mapped[section+" "+old]++
	}
	for section, names := range map[string]string{
		"integrations": "id platform status limitCount limitLastResetAt token refreshToken settings integrationIdentifier importHash createdAt updatedAt deletedAt tenantId createdById updatedById emailSentAt",
		"runs":         "id tenantId integrationId microserviceId onboarding state delayedUntil processedAt error createdAt updatedAt",
		"streams":      "id runId tenantId integrationId microserviceId webhookId parentId state name identifier metadata data delayedUntil processedAt error retries createdAt updatedAt",
	} {
		for name := range strings.FieldsSeq(names) {
			require.Equal(t, 1, mapped[section+" "+name], "%s %s", section, name)
		}
	}
}

// rows: K13
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	for name, c := range map[string]struct {
		query string
		args  []any
		want  string
	}{
		"claim of lanes":         {dueLaneQuery, []any{"git", 0, 1, 1, 1}, "SEARCH lanes USING INDEX lanes_due (plugin=? AND shard=? AND prio=? AND wake_at>? AND wake_at<?)"},
		"tenants that wait":      {laneHeadQuery, []any{"git", 0, 1, 1}, "SEARCH lane_heads USING INDEX lane_heads_due (plugin=? AND shard=? AND prio=? AND wake_at<?)"},
		"lanes of a tenant":      {tenantLaneQuery, []any{"git", 0, 1, 1, 1}, "SEARCH lanes USING INDEX lanes_free (plugin=? AND shard=? AND prio=? AND tenant_id=? AND wake_at>? AND wake_at<?)"},
		"lanes of a later clock": {backLaneQuery, []any{"git", 0, 1, 1, 1, 1}, "SEARCH lanes USING INDEX lanes_back (plugin=? AND shard=? AND prio=? AND wake_from>?)"},
		"streams of a key": {
			dueStreamQuery,
			[]any{1, 2, "k", 1, 1},
			"SEARCH streams USING INDEX streams_due (run_id=? AND phase=? AND limit_key=? AND due_at<?)",
		},
		"next key":              {nextKeyQuery, []any{1, 2, "", "git", 1}, "SEARCH s USING INDEX streams_due (run_id=? AND phase=? AND limit_key>?)"},
		"another key":           {nextKeyQuery, []any{1, 2, "", "git", 1}, "SEARCH n USING INDEX streams_due (run_id=? AND phase=? AND limit_key>?)"},
		"phase":                 {waitingPhaseQuery, []any{1}, "SEARCH streams USING INDEX streams_due (run_id=?)"},
		"busy phase":            {busyPhaseQuery, []any{1}, "SEARCH streams USING INDEX streams_busy (run_id=?)"},
		"free":                  {freeStreamsQuery, []any{1, 1, 0}, "SEARCH streams USING COVERING INDEX streams_busy (run_id=?)"},
		"open runs":             {candidatesQuery, []any{1, "pull"}, "SEARCH runs USING INDEX runs_open (integration_id=? AND class=?)"},
		"cancel":                {cancelWaitingQuery, []any{1, 1, 1}, "SEARCH streams USING INDEX streams_due (run_id=?)"},
		"count":                 {countQuery, []any{1, 1, 1}, "SEARCH records USING COVERING INDEX records_feed (integration_id=? AND pos>? AND pos<?)"},
		"feed":                  {feedQuery, []any{1, 1, "", "", 1, 1, 2}, "SEARCH records USING INDEX records_feed (integration_id=? AND pos>? AND pos<?)"},
		"one record":            {recordQuery, []any{1, 1, "a", "b", 1, 1, 2}, "SEARCH records USING INDEX sqlite_autoindex_records_1 (integration_id=? AND kind=? AND external_id=?)"},
		"any lane":              {anyDueLaneQuery, []any{"git", 0, 1, 1, 1}, "SEARCH lanes USING INDEX lanes_due (plugin=? AND shard=? AND prio=? AND wake_at>? AND wake_at<?)"},
		"any of a later clock":  {anyDueLaneQuery, []any{"git", 0, 1, 1, 1}, "SEARCH lanes USING INDEX lanes_back (plugin=? AND shard=? AND prio=? AND wake_from>?)"},
		"next lanes":            {nextLaneQuery, []any{"git", 1}, "SEARCH lane_heads USING COVERING INDEX lane_heads_due (plugin=? AND shard=? AND prio=?)"},
		"held lanes":            {nextLaneQuery, []any{"git", 1}, "lanes USING INDEX lanes_held"},
		"next of a later clock": {nextLaneQuery, []any{"git", 1}, "SEARCH lanes USING INDEX lanes_back (plugin=? AND shard=? AND prio=? AND wake_from>?)"},
		"members that are due":  {dueMembersQuery, []any{0, 10}, "SEARCH r EXISTS USING COVERING INDEX records_members (integration_id=? AND pos>?)"},
		"feed of members":       {memberFeedQuery, []any{1, 0, "member", "", 1, 10, 100}, "USING INDEX records_members (integration_id=? AND pos>? AND pos<?)"},
		"claimants":             {claimantsQuery(2), []any{"p", "a", 0, "p", "b", 0, 1, 10}, "SEARCH c USING COVERING INDEX sqlite_autoindex_member_claims_1 (tenant_id=? AND platform=? AND username=? AND split=?)"},
		"splits":                {splitsQuery(2), []any{1, "a", 1, "b", 1}, "SEARCH s USING INDEX sqlite_autoindex_member_splits_1 (tenant_id=? AND integration_id=? AND external_id=?)"},
		"parents":               {parentsQuery(2), []any{1, "k", "a", 1, "k", "b"}, "SEARCH r USING INDEX sqlite_autoindex_records_1 (integration_id=? AND kind=? AND external_id=?)"},
		"members":               {membersQuery, []any{"acme", 0, 0, 10}, "USING COVERING INDEX members_tenant (tenant_id=? AND id>?)"},
		"one that lives":        {livingRecordQuery, []any{1}, "SEARCH records USING INDEX records_feed (integration_id=?)"},
		"the deleted":           {deletedQuery, []any{1}, "USING COVERING INDEX records_deleted (integration_id=?)"},
	} {
		var plan []string
		require.NoError(t, db.list(t.Context(), "EXPLAIN QUERY PLAN "+c.query, c.args, func(s scanner) error {
			var (
				id, parent, unused int
				detail             string
			)
			err := s.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}), name)
		text := strings.Join(plan, "\n")
		require.Contains(t, text, c.want, name)
		require.NotContains(t, text, "TEMP B-TREE", name)
		require.NotContains(t, text, "SCAN streams", name)
	}
}

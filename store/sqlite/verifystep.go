package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/store"
)

// steps are the statements of those who look at each step.
type steps struct{ glance, whole string }

func newSteps() *steps { return &steps{glance: glanceQuery(), whole: stepQuery()} }

// touch says that the transaction moves a run, its streams or its lane, for those
// who look at each step.
func (t *tx) touch(run int64) {
	if t.steps != nil && !slices.Contains(t.touched, run) {
		t.touched = append(t.touched, run)
	}
}

// verify looks for what must never be in the runs that the transaction moved, with
// their streams, lanes and positions, and reads nothing else.
func (t *tx) verify(ctx context.Context) (found []store.Violation, err error) {
	for _, id := range t.touched {
		doubt, err := t.look(ctx, t.steps.glance, id)
		if err == nil && doubt != 0 {
			doubt, err = t.look(ctx, t.steps.whole, id)
		}
		if err != nil {
			return nil, fmt.Errorf("verify run %d: %w", id, err)
		}
		if doubt != 0 {
			found = append(found, stepsBroken(doubt, id)...)
		}
	}
	return found, nil
}

// stepsBroken returns what the bits stand for.
func stepsBroken(bits, run int64) (found []store.Violation) {
	for bit, r := range stepRules() {
		if bits&(1<<bit) != 0 {
			found = append(found, r.invariant().violation([]string{fmt.Sprintf("run %d", run)}))
		}
	}
	return found
}

// look returns the number that a statement about a run answers with: 0 for one that
// is not there.
func (t *tx) look(ctx context.Context, query string, run int64) (n int64, err error) {
	err = t.each(ctx, query, []any{run}, func(s scanner) error { return s.Scan(&n) })
	return n, err
}

// stepRule is an invariant as it is looked at for one run: r, its streams s
// together, its integration i and its lane l.
type stepRule struct {
	name   string // of the invariant
	broken string
	// glance, if not empty, is true at least where broken is, and costs less.
	glance string
}

// invariant returns that of the name.
func (r stepRule) invariant() invariant {
	all := invariants()
	return all[slices.IndexFunc(all, func(i invariant) bool { return i.name == r.name })]
}

// stepOf is what both statements are about.
const stepOf = `
	FROM  runs r
	JOIN  integrations i ON i.id = r.integration_id
	JOIN  lanes l ON l.integration_id = r.integration_id AND l.class = r.class AND l.key = ''
	CROSS JOIN (SELECT %s FROM streams s WHERE s.run_id = $1) s
	WHERE r.id = $1`

// stepQuery returns the rules as one number, a bit for each that is broken.
func stepQuery() string {
	var bits []string
	for bit, r := range stepRules() {
		bits = append(bits, fmt.Sprintf("CASE WHEN %s THEN %d ELSE 0 END", r.broken, 1<<bit))
	}
	return "SELECT " + strings.Join(bits, " + ") + " AS doubt" + fmt.Sprintf(stepOf, strings.Join(stepSums(), ", "))
}

// glanceQuery returns whether a rule may be broken. What it costs is a step's whole
// cost, but for one that breaks something.
func glanceQuery() string {
	var rules []string
	for _, r := range stepRules() {
		if rule := cmp.Or(r.glance, r.broken); !slices.Contains(rules, "("+rule+")") {
			rules = append(rules, "("+rule+")")
		}
	}
	return "SELECT CASE WHEN " + strings.Join(rules, " OR ") + " THEN 1 ELSE 0 END AS doubt" + fmt.Sprintf(stepOf, strings.Join(glanceSums(), ", "))
}

// The weights of what glanceSums adds up: no two sums are equal by chance, and none
// overflows before there are 2^40 of anything.
func weighted(columns ...string) string {
	weights := []int{1, 7, 61, 509, 4093, 32749, 262139}
	var terms []string
	for n, column := range columns {
		terms = append(terms, fmt.Sprintf("%d * %s", weights[n], column))
	}
	return strings.Join(terms, " + ")
}

// glanceSums are few: each costs as much as reading a row. What is counted together
// is told apart by its place, which has room for a million.
func glanceSums() []string {
	var wrong []string
	for _, w := range wrongStreams() {
		wrong = append(wrong, "("+w.when+")")
	}
	return []string{
		`sum(CASE WHEN s.type NOT IN ('root', 'child') THEN 0 ELSE CASE s.state
		     WHEN 'processed' THEN 509 WHEN 'pending' THEN 1 WHEN 'processing' THEN 7
		     WHEN 'delayed' THEN 61 WHEN 'error' THEN 4093 ELSE 32749 END END) AS states`,
		`sum(CASE s.state WHEN 'processed' THEN 0 WHEN 'pending' THEN 1 WHEN 'delayed' THEN 1
		     WHEN 'processing' THEN 1 << 20 WHEN 'error' THEN 1 << 40 ELSE 0 END) AS now`,
		`sum(CASE s.type WHEN 'root' THEN s.claim > 0 WHEN 'child' THEN s.claim > 0
		     WHEN 'plan' THEN CASE s.state WHEN 'processed' THEN 1 << 20 ELSE 0 END ELSE 0 END) AS work`,
		"sum(" + weighted("s.read", "s.added", "s.updated", "s.deleted", "s.unchanged", "s.stale", "s.warnings") + ") AS tally",
		"max(" + strings.Join(wrong, " OR ") + ") AS wrong",
	}
}

// oneOf is column IN (values). A list of more than two is made a table of each time that
// a statement runs, and to compare with each is cheaper where the rows are few.
func oneOf(column string, values ...string) string {
	terms := make([]string, len(values))
	for n, value := range values {
		terms[n] = column + " = '" + value + "'"
	}
	return "(" + strings.Join(terms, " OR ") + ")"
}

// wrongStream is an invariant of a single stream.
type wrongStream struct{ name, when string }

func wrongStreams() []wrongStream {
	return []wrongStream{
		{"stream-records", "s.read <> s.added + s.updated + s.deleted + s.unchanged + s.stale"},
		{"stream-pages", `s.pages > s.seq OR s.page_history IS NOT NULL
			AND (length(s.page_history) % 8 <> 0 OR length(s.page_history) > 8 * min(s.pages, 64))`},
		{"stream-end", "(s.processed_at IS NOT NULL) <> (s.state = 'processed')"},
		{"stream-family", "(s.type = 'child') <> (s.parent_id IS NOT NULL)"},
		{"stream-claims", `s.interrupts > s.claim OR s.interrupts < 0 OR s.attempts < 0
			OR s.claim = 0 AND (s.seq > 0 OR ` + oneOf("s.state", "processing", "processed", "error") + `)`},
		{"stream-limit-key", "s.limit_key = ''"},
	}
}

// stepSums returns what is asked of a run's streams, in one look at them.
func stepSums() []string {
	sums := []string{
		"count(CASE WHEN s.state IN ('pending', 'delayed') THEN 1 END) AS waiting",
		"count(CASE WHEN s.state = 'processing' THEN 1 END) AS busy",
		"count(CASE WHEN s.state = 'error' THEN 1 END) AS failed",
		"count(CASE WHEN s.type = 'plan' AND s.state = 'processed' THEN 1 END) AS planned",
		"count(CASE WHEN s.type IN ('root', 'child') AND s.claim > 0 THEN 1 END) AS begun",
	}
	for n, w := range wrongStreams() {
		sums = append(sums, fmt.Sprintf("count(CASE WHEN %s THEN 1 END) AS wrong%d", w.when, n))
	}
	for _, state := range []string{"pending", "processing", "delayed", "processed", "error", "cancelled"} {
		sums = append(sums, "count(CASE WHEN s.state = '"+state+"' AND s.type IN ('root', 'child') THEN 1 END) AS n_"+state)
	}
	for _, column := range []string{"read", "added", "updated", "deleted", "unchanged", "stale", "warnings"} {
		sums = append(sums, "coalesce(sum(s."+column+"), 0) AS "+column)
	}
	return sums
}

// stepRules are the cheap invariants, and those that are cheap for a single run.
// What a unique index refuses is left to the look at the index (verifyGuards).
func stepRules() []stepRule {
	open := oneOf("r.state", "pending", "processing", "delayed")
	const settled = " AND r.id NOT IN (SELECT run_id FROM cancelling_runs)" // what is left of those follows
	rules := []stepRule{
		{
			"run-counters", `(r.n_pending, r.n_processing, r.n_delayed, r.n_processed, r.n_error, r.n_cancelled) <>
				(s.n_pending, s.n_processing, s.n_delayed, s.n_processed, s.n_error, s.n_cancelled)` + settled,
			weighted("r.n_pending", "r.n_processing", "r.n_delayed", "r.n_processed", "r.n_error", "r.n_cancelled") + " <> s.states" + settled,
		},
		{
			"run-records", `(r.read, r.added, r.updated, r.deleted, r.unchanged, r.stale, r.warnings) <>
				(s.read, s.added, s.updated, s.deleted, s.unchanged, s.stale, s.warnings)`,
			weighted("r.read", "r.added", "r.updated", "r.deleted", "r.unchanged", "r.stale", "r.warnings") + " <> s.tally",
		},
		{"open-run-work", "r.state IN ('processing', 'delayed') AND s.waiting + s.busy = 0", "r.state IN ('processing', 'delayed') AND s.now % (1 << 40) = 0"},
		{"run-times", `(r.ended_at IS NULL) <> (` + open + `)
			OR r.started_at IS NULL AND ` + oneOf("r.state", "processing", "delayed", "processed", "partial") + `
			OR r.delayed_until IS NOT NULL AND r.state <> 'delayed'`, ""},
		{
			"processed-run", "r.state IN ('processed', 'partial') AND r.planned_at IS NULL OR r.state = 'processed' AND s.failed > 0",
			"r.state IN ('processed', 'partial') AND (r.planned_at IS NULL OR r.state = 'processed' AND s.now >= 1 << 40)",
		},
		{
			"run-plan", "(r.planned_at IS NOT NULL) <> (s.planned > 0) OR r.planned_at IS NULL AND s.begun > 0",
			"(r.planned_at IS NOT NULL) <> (s.work >= 1 << 20) OR r.planned_at IS NULL AND s.work > 0",
		},
		{"run-event", `r.ended_at IS NOT NULL AND r.ended_at > (SELECT at FROM events ORDER BY id LIMIT 1) AND NOT EXISTS (
			SELECT 1 FROM events e WHERE e.integration_id = r.integration_id AND e.run_id = r.id AND e.kind = 'run.' || r.state)`, ""},
		{"waiting-stream", "s.waiting > 0 AND NOT (" + open + ")" + settled, "s.now % (1 << 20) > 0 AND r.ended_at IS NOT NULL" + settled},
		{
			"busy-stream", "s.busy > 0 AND (r.state NOT IN ('processing', 'delayed') OR l.owner IS NULL)",
			"s.now % (1 << 40) >= 1 << 20 AND (l.owner IS NULL OR r.state NOT IN ('processing', 'delayed'))",
		},
		{"lane-lease", `(l.owner IS NULL) <> (l.lease_until IS NULL)
			OR l.owner NOT LIKE (SELECT m.value FROM meta m WHERE m.name = 'host_epoch') || '-%'`, ""},
		{"lane-of-integration", "l.plugin <> i.plugin", ""},
		{"lane-of-open-run", "l.owner IS NULL AND l.wake_at IS NULL AND " + open + ` AND (` + oneOf("i.state", "active", "error", "needs-reconnect") + ` OR i.finishing = 1)`, ""},
		{"lane-disabled", "i.state = 'disabled' AND i.finishing = 0 AND (l.wake_at IS NOT NULL OR l.owner IS NOT NULL)", ""},
		{"lane-class", "l.prio < 0 OR l.prio > 2", ""},
		{"integration-removed", `i.removed_at IS NOT NULL AND (i.state <> 'disabled' OR i.keep_until IS NULL)
			OR (i.enabled = 0 OR i.hold IS NOT NULL OR i.finishing = 1) AND i.state <> 'disabled'`, ""},
		{"cursor-aside", "(r.force = 0 OR r.state IN ('processed', 'cancelled')) AND EXISTS (SELECT 1 FROM cursors c WHERE c.next_run = r.id)" + settled, ""},
		{"watermark", `r.ended_at IS NOT NULL AND EXISTS (
			SELECT 1 FROM watermarks w
			WHERE  w.integration_id = r.integration_id AND w.run_id = r.id
			  AND  (w.at <> r.started_at OR r.params_sum <> '' OR r.kind = 'manual' OR r.planned_at IS NULL))`, ""},
	}
	for n, w := range wrongStreams() {
		rules = append(rules, stepRule{w.name, fmt.Sprintf("s.wrong%d > 0", n), "s.wrong > 0"})
	}
	return rules
}

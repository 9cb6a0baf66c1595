package sqlite

import "slices"

// invariants returns all of them but those that are no query: verifyGuards and
// verifyHashes.
func invariants() []invariant {
	return slices.Concat(runInvariants(), streamInvariants(), laneInvariants(), positionInvariants(), recordInvariants())
}

// The conditions of the cheap ones.
const (
	openRunsOnly = "r.state IN ('pending', 'processing', 'delayed')"
	allOfThem    = "1 = 1" // they are few: a partial index has them
)

func runInvariants() []invariant {
	const over, key = "runs", "r.id"
	const withStreams = 500 // runs, each with its streams
	return []invariant{
		{
			row: "I03", name: "run-counters", rule: "the counters of a run are the states of its streams",
			over: over, key: key, page: withStreams, open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r LEFT JOIN cancelling_runs c ON c.run_id = r.id
				WHERE  {page} AND (r.n_pending, r.n_processing, r.n_delayed, r.n_processed, r.n_error, r.n_cancelled) <> (
				       SELECT count(CASE WHEN s.state = 'pending' AND c.run_id IS NULL THEN 1 END), count(CASE WHEN s.state = 'processing' THEN 1 END),
				              count(CASE WHEN s.state = 'delayed' AND c.run_id IS NULL THEN 1 END), count(CASE WHEN s.state = 'processed' THEN 1 END),
				              count(CASE WHEN s.state = 'error' THEN 1 END),
				              count(CASE WHEN s.state = 'cancelled' OR s.state IN ('pending', 'delayed') AND c.run_id IS NOT NULL THEN 1 END)
				       FROM   streams s
				       WHERE  s.run_id = r.id AND s.type IN ('root', 'child'))`,
		},
		{
			row: "I01", name: "run-records", rule: "a run has counted the records of its streams, each segment once",
			over: over, key: key, page: withStreams, open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND (r.read, r.added, r.updated, r.deleted, r.unchanged, r.stale, r.warnings) <> (
				       SELECT coalesce(sum(s.read), 0), coalesce(sum(s.added), 0), coalesce(sum(s.updated), 0), coalesce(sum(s.deleted), 0),
				              coalesce(sum(s.unchanged), 0), coalesce(sum(s.stale), 0), coalesce(sum(s.warnings), 0)
				       FROM   streams s
				       WHERE  s.run_id = r.id)`,
		},
		{
			row: "I01", name: "run-warnings", rule: "the first warnings of a run are kept, each once",
			over: over, key: key,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND (SELECT count(*) FROM warnings w WHERE w.run_id = r.id) <> min(r.warnings, 100)`,
		},
		{
			row: "I06", name: "open-run-work", rule: "a run that is under way has a stream that waits or is at work",
			over: over, key: key, page: withStreams, open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND r.state IN ('processing', 'delayed')
				  AND  NOT EXISTS (SELECT 1 FROM streams s WHERE s.run_id = r.id AND s.state IN ('pending', 'delayed'))
				  AND  NOT EXISTS (SELECT 1 FROM streams s WHERE s.run_id = r.id AND s.state = 'processing')`,
		},
		{
			row: "I06", name: "run-cancelling", rule: "what is being cancelled is of a run that was cancelled, and nothing of it is worked on",
			over: "cancelling_runs", key: "c.run_id",
			query: `
				SELECT 'run ' || c.run_id AS what
				FROM   cancelling_runs c
				WHERE  {page} AND (NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = c.run_id AND r.state = 'cancelled')
				    OR EXISTS (SELECT 1 FROM streams s WHERE s.run_id = c.run_id AND s.state = 'processing'))`,
		},
		{
			row: "I06", name: "run-event", rule: "a run that is over has its event, written with its end",
			over: over, key: key, page: 50_000,
			// Events may be kept for a shorter time than runs.
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND r.state IN ('processed', 'partial', 'error', 'cancelled')
				  AND  r.ended_at > (SELECT at FROM events ORDER BY id LIMIT 1)
				  AND  (r.id, 'run.' || r.state) NOT IN (
				       SELECT e.run_id, e.kind
				       FROM   events e
				       WHERE  e.run_id > $1 AND e.run_id <= $2)`,
		},
		{
			row: "I06", name: "run-one-end", rule: "a run is processed or cancelled once",
			over: over, key: "e.run_id", page: 50_000,
			query: `
				SELECT   'run ' || e.run_id AS what
				FROM     events e
				WHERE    {page} AND e.kind IN ('run.processed', 'run.cancelled')
				GROUP BY e.run_id
				HAVING   count(*) > 1`,
		},
		{
			row: "I04", name: "run-times", rule: "a run has started, ended and sleeps as its state says",
			over: over, key: key, open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND (
				       (r.ended_at IS NULL) <> (r.state IN ('pending', 'processing', 'delayed'))
				    OR r.started_at IS NULL AND r.state IN ('processing', 'delayed', 'processed', 'partial')
				    OR r.delayed_until IS NOT NULL AND r.state <> 'delayed')`,
		},
		{
			row: "I06", name: "processed-run", rule: "a run is processed only if it was planned and no stream of it is in error",
			over: over, key: key, page: withStreams,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND (
				       r.state IN ('processed', 'partial') AND r.planned_at IS NULL
				    OR r.state = 'processed' AND EXISTS (SELECT 1 FROM streams s WHERE s.run_id = r.id AND s.state = 'error'))`,
		},
		{
			row: "K01", name: "run-plan", rule: "a run is planned when the last segment of its plan is applied, and worked on only then",
			over: over, key: key, page: withStreams, open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				WHERE  {page} AND (
				       (r.planned_at IS NOT NULL) <> EXISTS (
				         SELECT 1 FROM streams s WHERE s.run_id = r.id AND s.connector = ':' AND s.ident = 'plan' AND s.state = 'processed')
				    OR r.planned_at IS NULL AND EXISTS (
				         SELECT 1 FROM streams s WHERE s.run_id = r.id AND s.type IN ('root', 'child') AND s.claim > 0))`,
		},
		{
			row: "K12", name: "active-runs", rule: "one run of an integration and class is under way, and one of equal parameters is open",
			over: "integrations", key: "r.integration_id", open: openRunsOnly,
			query: `
				SELECT   'integration ' || r.integration_id AS what
				FROM     runs r
				WHERE    {page} AND r.state IN ('pending', 'processing', 'delayed')
				GROUP BY r.integration_id, r.class
				HAVING   count(CASE WHEN r.state = 'processing' THEN 1 END) > 1 OR count(*) <> count(DISTINCT r.params_sum)`,
		},
		{
			row: "K08", name: "run-data", rule: "what a run prepared and warned of leaves with the run",
			over: "run_data", key: "d.run_id",
			query: `
				SELECT 'prepared data of run ' || d.run_id AS what
				FROM   run_data d
				WHERE  {page} AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = d.run_id)
				  AND  NOT EXISTS (SELECT 1 FROM leaving_runs l WHERE l.run_id = d.run_id)`,
		},
		{
			row: "K08", name: "run-of-warning", rule: "a warning leaves with its run",
			over: "warnings", key: "w.id",
			query: `
				SELECT 'warning ' || w.id AS what
				FROM   warnings w
				WHERE  {page} AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = w.run_id)
				  AND  NOT EXISTS (SELECT 1 FROM leaving_runs l WHERE l.run_id = w.run_id)`,
		},
	}
}

func streamInvariants() []invariant {
	const over, key = "streams", "s.id"
	const ofOpenRuns = "s.run_id IN (SELECT r.id FROM runs r WHERE " + openRunsOnly + ")"
	return []invariant{
		{
			row: "I06", name: "waiting-stream", rule: "a stream waits only while its run is open",
			over: over, key: key,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND s.state IN ('pending', 'delayed')
				  AND  NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = s.run_id AND r.state IN ('pending', 'processing', 'delayed'))
				  AND  NOT EXISTS (SELECT 1 FROM leaving_runs l WHERE l.run_id = s.run_id)
				  AND  NOT EXISTS (SELECT 1 FROM cancelling_runs c WHERE c.run_id = s.run_id)`,
		},
		{
			row: "I05", name: "busy-stream", rule: "a stream is at work only in an open run whose lane is held",
			over: over, key: key, open: allOfThem,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND s.state = 'processing'
				  AND  NOT EXISTS (
				       SELECT 1
				       FROM   runs r JOIN lanes l ON l.integration_id = r.integration_id AND l.class = r.class
				       WHERE  r.id = s.run_id AND r.state IN ('processing', 'delayed') AND l.owner IS NOT NULL)`,
		},
		{
			row: "I01", name: "stream-records", rule: "each record that a stream read was added, updated, deleted, unchanged or stale",
			over: over, key: key, open: ofOpenRuns,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND s.read <> s.added + s.updated + s.deleted + s.unchanged + s.stale`,
		},
		{
			row: "I01", name: "stream-pages", rule: "each page of a stream is a segment of its own, and the last tokens are remembered",
			over: over, key: key, open: ofOpenRuns,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND (s.pages > s.seq OR coalesce(length(s.page_history), 0) % 8 <> 0
				    OR coalesce(length(s.page_history), 0) > 8 * min(s.pages, 64))`,
		},
		{
			row: "I04", name: "stream-end", rule: "a stream has the time of its end when it is processed",
			over: over, key: key,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND (s.processed_at IS NOT NULL) <> (s.state = 'processed')`,
		},
		{
			row: "K08", name: "stream-family", rule: "a stream belongs to a run of its integration, and a child to a stream of its run",
			over: over, key: key,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND NOT EXISTS (SELECT 1 FROM leaving_runs v WHERE v.run_id = s.run_id) AND (
				       NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = s.run_id AND r.integration_id = s.integration_id)
				    OR (s.type = 'child') <> (s.parent_id IS NOT NULL)
				    OR s.parent_id IS NOT NULL AND NOT EXISTS (
				       SELECT 1 FROM streams p WHERE p.id = s.parent_id AND p.run_id = s.run_id AND p.depth = s.depth - 1))
				  AND  NOT EXISTS (SELECT 1 FROM leaving_runs l WHERE l.run_id = s.run_id)`,
		},
		{
			row: "K11", name: "stream-claims", rule: "a stream was interrupted at most as often as it was claimed, and progressed only when claimed",
			over: over, key: key, open: ofOpenRuns,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND (s.interrupts > s.claim OR s.interrupts < 0 OR s.attempts < 0
				    OR s.claim = 0 AND (s.seq > 0 OR s.state IN ('processing', 'processed', 'error')))`,
		},
		{
			row: "K14", name: "stream-limit-key", rule: "a stream has its limit key from birth",
			over: over, key: key,
			query: `
				SELECT 'stream ' || s.id AS what
				FROM   streams s
				WHERE  {page} AND s.limit_key = ''`,
		},
		{
			row: "K03", name: "stream-partition", rule: "one stream of a run owns a partition",
			over: "runs", key: "s.run_id", page: 500, open: ofOpenRuns,
			query: `
				SELECT   'run ' || s.run_id || ', partition ' || s.partition AS what
				FROM     streams s
				WHERE    {page} AND s.partition <> ''
				GROUP BY s.run_id, s.connector, s.partition
				HAVING   count(*) > 1`,
		},
	}
}

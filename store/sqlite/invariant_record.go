package sqlite

// positionInvariants are those of cursors and watermarks (I02, K03).
func positionInvariants() []invariant {
	return []invariant{
		{
			row: "I02", name: "cursor-aside", rule: "a cursor waits aside only for a forced run that can still succeed",
			over: "cursors", key: "c.rowid", open: "c.next_run IS NOT NULL",
			query: `
				SELECT 'cursor of integration ' || c.integration_id || ', ' || c.connector || ', ' || c.partition AS what
				FROM   cursors c
				WHERE  {page} AND ((c.next IS NULL) <> (c.next_run IS NULL)
				    OR c.next_run IS NOT NULL AND NOT EXISTS (
				       SELECT 1
				       FROM   runs r
				       WHERE  r.id = c.next_run AND r.integration_id = c.integration_id AND r.force = 1
				         AND  (r.state NOT IN ('processed', 'cancelled') OR r.id IN (SELECT run_id FROM cancelling_runs)))
				    AND NOT EXISTS (SELECT 1 FROM leaving_runs v WHERE v.run_id = c.next_run))`,
		},
		{
			row: "I02", name: "cursor-owner", rule: "a cursor belongs to a partition of an integration that there is",
			over: "cursors", key: "c.rowid",
			query: `
				SELECT 'cursor of integration ' || c.integration_id || ', ' || c.connector || ', ' || c.partition AS what
				FROM   cursors c
				WHERE  {page} AND (c.partition = '' OR NOT EXISTS (SELECT 1 FROM integrations i WHERE i.id = c.integration_id))`,
		},
		{
			row: "K03", name: "watermark", rule: "a watermark is the start of a whole run that processed every stream planned for its connector",
			over: "watermarks", key: "w.rowid",
			// The run may have left since.
			query: `
				SELECT 'watermark of integration ' || w.integration_id || ', ' || w.connector AS what
				FROM   watermarks w
				JOIN   runs r ON r.id = w.run_id
				WHERE  {page} AND (
				       r.integration_id <> w.integration_id OR r.started_at <> w.at OR r.params_sum <> '' OR r.kind = 'manual'
				    OR r.planned_at IS NULL
				    OR EXISTS (
				       SELECT 1 FROM streams s
				       WHERE  s.run_id = r.id AND s.connector = w.connector AND s.type = 'root' AND s.state IN ('error', 'cancelled')))`,
		},
	}
}

func recordInvariants() []invariant {
	const over, key = "records", "r.id"
	return []invariant{
		{
			row: "K05", name: "record-shape", rule: "a record has data unless it is deleted, and a hash of 16 bytes",
			over: over, key: key,
			query: `
				SELECT 'record ' || r.id AS what
				FROM   records r
				WHERE  {page} AND (r.deleted NOT IN (0, 1) OR (r.deleted = 1) <> (r.data IS NULL) OR coalesce(length(r.hash), 16) <> 16)`,
		},
		{
			row: "I02", name: "record-position", rule: "a record was born at its first position, and positions are given away before they are used",
			over: over, key: key,
			query: `
				SELECT 'record ' || r.id AS what
				FROM   records r
				WHERE  {page} AND (r.pos < r.id OR r.pos > (SELECT m.value FROM meta m WHERE m.name = 'position'))`,
		},
		{
			row: "I02", name: "feed-position", rule: "each change of an integration has a position of its own",
			over: "integrations", key: "r.integration_id", page: 5,
			query: `
				SELECT   'integration ' || r.integration_id || ', position ' || r.pos AS what
				FROM     records r
				WHERE    {page}
				GROUP BY r.integration_id, r.pos
				HAVING   count(*) > 1`,
		},
		{
			row: "I09", name: "record-owner", rule: "a record belongs to an integration that there is",
			over: over, key: key,
			query: `
				SELECT 'record ' || r.id AS what
				FROM   records r
				WHERE  {page} AND NOT EXISTS (SELECT 1 FROM integrations i WHERE i.id = r.integration_id)`,
		},
		{
			row: "I09", name: "member-tenant", rule: "what a member is made of is of the member's tenant",
			over: "member_sources", key: "s.record_id",
			query: `
				SELECT 'record ' || s.record_id AS what
				FROM   member_sources s
				WHERE  {page} AND (EXISTS (SELECT 1 FROM integrations i WHERE i.id = s.integration_id AND i.tenant_id <> s.tenant_id)
				    OR EXISTS (SELECT 1 FROM members m WHERE m.id = s.member_id AND m.tenant_id <> s.tenant_id))`,
		},
		{
			row: "I09", name: "claim-tenant", rule: "an identity is claimed in the tenant of the record that claims it",
			over: "member_claims", key: "c.rowid",
			query: `
				SELECT 'record ' || c.record_id AS what
				FROM   member_claims c
				WHERE  {page} AND EXISTS (
				       SELECT 1 FROM records r JOIN integrations i ON i.id = r.integration_id
				       WHERE  r.id = c.record_id AND i.tenant_id <> c.tenant_id)`,
		},
	}
}

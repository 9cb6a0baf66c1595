package sqlite

func laneInvariants() []invariant {
	const over, key = "lanes", "l.id"
	const held = "l.owner IS NOT NULL"
	return []invariant{
		{
			row: "I05", name: "lane-lease", rule: "a lane is held under a lease, by this opening of the store, and no two under one name",
			over: over, key: key, open: held,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				WHERE  {page} AND (
				       (l.owner IS NULL) <> (l.lease_until IS NULL)
				    OR l.owner NOT LIKE (SELECT m.value FROM meta m WHERE m.name = 'host_epoch') || '-%'
				    OR l.owner IN (SELECT o.owner FROM lanes o WHERE o.owner IS NOT NULL AND o.id <> l.id))`,
		},
		{
			row: "I05", name: "lane-of-integration", rule: "an integration has one lane for its runs, of its plugin",
			over: "integrations", key: "i.id",
			query: `
				SELECT 'integration ' || i.id AS what
				FROM   integrations i
				WHERE  {page} AND (SELECT count(*) FROM lanes l WHERE l.integration_id = i.id AND l.class = 'pull' AND l.plugin = i.plugin) <> 1`,
		},
		{
			row: "K09", name: "lane-of-open-run", rule: "the lane of an integration with an open run is held, or due at some time",
			over: "runs", key: "r.id", open: openRunsOnly,
			query: `
				SELECT 'run ' || r.id AS what
				FROM   runs r
				JOIN   integrations i ON i.id = r.integration_id
				JOIN   lanes l ON l.integration_id = r.integration_id AND l.class = r.class
				WHERE  {page} AND r.state IN ('pending', 'processing', 'delayed') AND (i.state IN ('active', 'error', 'needs-reconnect') OR i.finishing = 1)
				  AND  l.owner IS NULL AND l.wake_at IS NULL`,
		},
		{
			row: "K09", name: "lane-of-schedule", rule: "a lane that waits for its schedule alone is due by then, or soon if that has come",
			over: over, key: key, late: true,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				JOIN   integrations i ON i.id = l.integration_id
				WHERE  {page} AND l.class = 'pull' AND l.owner IS NULL AND i.state IN ('active', 'error') AND i.next_check_at IS NOT NULL
				  AND  (l.wake_at IS NULL OR l.wake_at > i.next_check_at AND l.wake_at > $3)
				  AND  NOT EXISTS (
				       SELECT 1 FROM runs r
				       WHERE  r.integration_id = l.integration_id AND r.class = l.class AND r.state IN ('pending', 'processing', 'delayed'))`,
		},
		{
			row: "K10", name: "lane-disabled", rule: "the lane of a disabled integration is free and never due, but for a run that goes on to its end",
			over: over, key: key, open: held,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				JOIN   integrations i ON i.id = l.integration_id
				WHERE  {page} AND i.state = 'disabled' AND (
				       i.finishing = 0 AND (l.wake_at IS NOT NULL OR l.owner IS NOT NULL)
				    OR i.finishing = 1 AND l.owner IS NULL AND l.wake_at IS NOT NULL AND NOT EXISTS (
				       SELECT 1 FROM runs r
				       WHERE  r.integration_id = l.integration_id AND r.class = l.class AND r.state IN ('pending', 'processing', 'delayed')))`,
		},
		{
			row: "K13", name: "lane-class", rule: "a lane is in one of the priority classes",
			over: over, key: key, open: held,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				WHERE  {page} AND l.prio NOT IN (0, 1, 2)`,
		},
		{
			row: "K13", name: "lane-head", rule: "the first free lane of a tenant is known",
			over: over, key: key,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				WHERE  {page} AND l.owner IS NULL AND l.wake_at IS NOT NULL AND NOT EXISTS (
				       SELECT 1 FROM lane_heads h
				       WHERE  h.plugin = l.plugin AND h.shard = l.shard AND h.prio = l.prio AND h.tenant_id = l.tenant_id AND h.wake_at <= l.wake_at)`,
		},
		{
			row: "K13", name: "head-lane", rule: "what is known as a tenant's first free lane is one",
			over: "lane_heads", key: "h.rowid",
			query: `
				SELECT 'tenant ' || h.tenant_id || ', plugin ' || h.plugin AS what
				FROM   lane_heads h
				WHERE  {page} AND NOT EXISTS (
				       SELECT 1 FROM lanes l
				       WHERE  l.plugin = h.plugin AND l.shard = h.shard AND l.prio = h.prio AND l.tenant_id = h.tenant_id
				         AND  l.owner IS NULL AND l.wake_at = h.wake_at)`,
		},
		{
			row: "I09", name: "lane-tenant", rule: "a lane is of the tenant of its integration",
			over: over, key: key,
			query: `
				SELECT 'lane ' || l.id AS what
				FROM   lanes l
				WHERE  {page} AND l.tenant_id <> (SELECT i.tenant_id FROM integrations i WHERE i.id = l.integration_id)`,
		},
		{
			row: "K22", name: "integration-removed", rule: "an integration that left its file is disabled and has an end of its data",
			over: "integrations", key: "i.id",
			query: `
				SELECT 'integration ' || i.id AS what
				FROM   integrations i
				WHERE  {page} AND (i.removed_at IS NOT NULL AND (i.state <> 'disabled' OR i.keep_until IS NULL)
				    OR (i.enabled = 0 OR i.hold IS NOT NULL OR i.finishing = 1) AND i.state <> 'disabled')`,
		},
	}
}

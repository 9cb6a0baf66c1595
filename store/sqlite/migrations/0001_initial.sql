-- Times are integer milliseconds UTC. Columns that say "sealed" hold ciphertext
-- only. What each column of the systems we replace became stands in README.md.
--
-- What each segment writes is checked by comparisons, not by IN with more than two
-- values: SQLite makes a table of those for each statement, which takes longer than the
-- statement.

CREATE TABLE meta (
  name  TEXT    NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;
INSERT INTO meta (name, value) VALUES
  ('host_epoch', 0), -- raised by each opening, under the lock of the directory
  ('position', 0);   -- positions of the feed up to here may have been given away

CREATE TABLE tenants (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER                 -- its rows are on their way out
) STRICT;

CREATE TABLE integrations (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  uid           TEXT    NOT NULL UNIQUE,
  tenant_id     INTEGER NOT NULL REFERENCES tenants (id),
  name          TEXT    NOT NULL,
  label         TEXT    NOT NULL DEFAULT '',
  description   TEXT    NOT NULL DEFAULT '',
  plugin        TEXT    NOT NULL, -- empty: it is of a template
  template      TEXT    NOT NULL DEFAULT '',
  callcenter    TEXT    NOT NULL DEFAULT '', -- of the template's, with host
  host          TEXT    NOT NULL DEFAULT '',
  info          TEXT,             -- JSON: instead of the template's
  iframe        TEXT,             -- likewise
  lookup        INTEGER NOT NULL DEFAULT 0, -- milliseconds that one may take; 0: as others say
  identifier    TEXT,             -- the remote system's name for the account, once a plugin tells it
  connectors    TEXT    NOT NULL, -- JSON array of the enabled ones, in order
  offered       TEXT    NOT NULL DEFAULT '[]', -- JSON array of those that it may have without being named
  every         INTEGER NOT NULL, -- ticks; negative: never
  cron          TEXT    NOT NULL DEFAULT '', -- instead of every
  timezone      TEXT    NOT NULL DEFAULT '', -- of cron
  concurrency   INTEGER NOT NULL DEFAULT 0,
  page_size     INTEGER NOT NULL DEFAULT 0,
  on_type_change TEXT   NOT NULL DEFAULT 'pass' CHECK (on_type_change IN ('pass', 'quarantine', 'halt')),
  enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  log_warnings  INTEGER NOT NULL DEFAULT 0 CHECK (log_warnings IN (0, 1)),
  finish_on_disable INTEGER NOT NULL DEFAULT 0 CHECK (finish_on_disable IN (0, 1)), -- its run, that is
  onboarding_max_age INTEGER NOT NULL DEFAULT 0, -- milliseconds; 0: none
  settings      BLOB,             -- sealed
  settings_sum  BLOB,             -- keyed hash of the settings in clear
  patch         BLOB,             -- sealed: what the plugin keeps of settings
  file          TEXT    NOT NULL DEFAULT '', -- that declares it
  line          INTEGER NOT NULL DEFAULT 0,
  created_by    TEXT    NOT NULL DEFAULT '', -- file that declared it first
  state         TEXT    NOT NULL CHECK (state IN ('active', 'disabled', 'parked', 'needs-reconnect', 'waiting-approval', 'error')),
  reason        TEXT    NOT NULL DEFAULT '',
  unfit         TEXT    NOT NULL DEFAULT '', -- why it is parked although its plugin is there
  hold          TEXT,             -- JSON: the command that disables it, with what it was
  finishing     INTEGER NOT NULL DEFAULT 0 CHECK (finishing IN (0, 1)), -- disabled, and its run goes on to its end
  revision      INTEGER NOT NULL DEFAULT 1,
  generation    INTEGER NOT NULL DEFAULT 1,
  limit_records INTEGER NOT NULL DEFAULT 0, -- 0: no limit
  limit_per     INTEGER NOT NULL DEFAULT 0, -- milliseconds; 0: each run has the limit for itself
  limit_factor  REAL    NOT NULL DEFAULT 0, -- of an onboarding; 0: as any other run
  limit_key     TEXT    NOT NULL DEFAULT '', -- shared among the tenant's integrations
  notified_at   INTEGER,          -- when people were told of the first outcome
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  onboarded_at  INTEGER,
  last_check_at INTEGER,
  next_check_at INTEGER,          -- NULL: never
  next_check_from INTEGER,        -- when next_check_at was computed; later than now: the clock was set back
  removed_at    INTEGER,          -- when it left its file
  keep_until    INTEGER,          -- its data
  forgotten     INTEGER NOT NULL DEFAULT 0 -- position of its newest deletion that the feed has no trace of
) STRICT;
CREATE UNIQUE INDEX integrations_name ON integrations (tenant_id, name) WHERE removed_at IS NULL;
CREATE INDEX integrations_tenant ON integrations (tenant_id);
CREATE INDEX integrations_plugin ON integrations (plugin, state);
CREATE INDEX integrations_template ON integrations (template) WHERE template <> '';

-- What files declare: integration types without code, and the calls that they can
-- make. Details that nothing is selected by are JSON.
CREATE TABLE templates (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  name        TEXT    NOT NULL UNIQUE,
  label       TEXT    NOT NULL,
  type        TEXT    NOT NULL CHECK (type IN ('CRM', 'SMS')),
  description TEXT    NOT NULL DEFAULT '',
  region      TEXT    NOT NULL DEFAULT '',
  info        TEXT    NOT NULL,
  iframe      TEXT,
  parameters  TEXT    NOT NULL,
  request     TEXT    NOT NULL,
  auth        TEXT    NOT NULL,
  file        TEXT    NOT NULL, -- that declares it
  sum         BLOB    NOT NULL, -- of the file
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE endpoints (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  template_id  INTEGER NOT NULL REFERENCES templates (id),
  place        INTEGER NOT NULL, -- in its template
  name         TEXT    NOT NULL,
  label        TEXT    NOT NULL DEFAULT '',
  type         TEXT    NOT NULL CHECK (type IN ('Auth', 'GetData', 'PostData', 'SendSMS')),
  method       TEXT    NOT NULL CHECK (method IN ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')),
  url          TEXT    NOT NULL,
  description  TEXT    NOT NULL DEFAULT '',
  trigger_at   TEXT    NOT NULL DEFAULT '', -- the event that it is called at
  response     TEXT    NOT NULL,
  hard_params  TEXT    NOT NULL,
  parameters   TEXT    NOT NULL,
  request      TEXT    NOT NULL, -- headers, body and how it is sent
  UNIQUE (template_id, name)
) STRICT;

CREATE TABLE lanes (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integrations (id),
  class          TEXT    NOT NULL,
  key            TEXT    NOT NULL DEFAULT '',
  plugin         TEXT    NOT NULL, -- copied, so that the claim index leads with it
  tenant_id      INTEGER NOT NULL, -- copied likewise
  shard          INTEGER NOT NULL DEFAULT 0,
  prio           INTEGER NOT NULL,
  wake_at        INTEGER,          -- NULL: never
  wake_from      INTEGER,          -- when wake_at was computed; later than now: the clock was set back
  lease_until    INTEGER,
  owner          TEXT,             -- NULL: free
  fence          INTEGER NOT NULL DEFAULT 0,
  nudges         INTEGER NOT NULL DEFAULT 0,
  quota          INTEGER NOT NULL DEFAULT 0, -- records drawn from quota_name and not imported; below zero: imported and not drawn
  quota_name     TEXT,
  quota_from     INTEGER,          -- begin of the period in which it was drawn
  UNIQUE (integration_id, class, key)
) STRICT;
-- Without the plugin first, the lanes of a plugin that is not loaded are walked
-- by every claim.
CREATE INDEX lanes_due  ON lanes (plugin, shard, prio, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX lanes_back ON lanes (plugin, shard, prio, wake_from) WHERE wake_at IS NOT NULL;
CREATE INDEX lanes_held ON lanes (lease_until) WHERE owner IS NOT NULL;
CREATE INDEX lanes_free ON lanes (plugin, shard, prio, tenant_id, wake_at) WHERE wake_at IS NOT NULL AND owner IS NULL;

-- The first free lane of each tenant, kept by triggers. A claim that passes over a
-- tenant with enough of the host passes over one row, however many lanes it has.
CREATE TABLE lane_heads (
  plugin    TEXT    NOT NULL,
  shard     INTEGER NOT NULL,
  prio      INTEGER NOT NULL,
  tenant_id INTEGER NOT NULL,
  wake_at   INTEGER NOT NULL,
  UNIQUE (plugin, shard, prio, tenant_id)
) STRICT;
CREATE INDEX lane_heads_due ON lane_heads (plugin, shard, prio, wake_at);

-- Records that integrations with a limit have imported. A lane draws its part in
-- advance, so that an apply touches no row that lanes share.
CREATE TABLE quotas (
  name    TEXT    NOT NULL PRIMARY KEY, -- integration:ID, or tenant:ID:KEY
  used    INTEGER NOT NULL,             -- since from_at, with what lanes have drawn
  from_at INTEGER NOT NULL,
  waiters INTEGER NOT NULL DEFAULT 0 CHECK (waiters IN (0, 1)) -- runs may sleep until it begins anew
) STRICT;

CREATE TABLE runs (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL,
  class          TEXT    NOT NULL,
  kind           TEXT    NOT NULL CHECK (kind = 'onboarding' OR kind = 'check' OR kind = 'manual'),
  state          TEXT    NOT NULL CHECK (state = 'pending' OR state = 'processing' OR state = 'delayed' OR state = 'processed' OR state = 'partial' OR state = 'error' OR state = 'cancelled'),
  phase          INTEGER NOT NULL DEFAULT 0 CHECK (phase BETWEEN 0 AND 999), -- 0 preprocess, 100 plan, 200 work by rank, 800 sweep, 900 postprocess
  connectors     TEXT    NOT NULL, -- JSON array
  ranks          TEXT,             -- JSON object: rank by connector; NULL: all beside each other
  params         TEXT,             -- JSON object
  params_sum     TEXT    NOT NULL DEFAULT '',
  force          INTEGER NOT NULL DEFAULT 0 CHECK (force IN (0, 1)),
  accept_deletes INTEGER NOT NULL DEFAULT 0 CHECK (accept_deletes IN (0, 1)),
  postprocess    INTEGER NOT NULL DEFAULT 0 CHECK (postprocess IN (0, 1)),
  created_at     INTEGER NOT NULL,
  started_at     INTEGER,
  planned_at     INTEGER,
  delayed_until  INTEGER,
  delay_reason   TEXT    NOT NULL DEFAULT '',
  limit_from     INTEGER NOT NULL DEFAULT 0, -- records read before it was continued, which its limit does not count
  delayed_from   INTEGER,          -- when delayed_until was computed
  aged_from      INTEGER,          -- when it was last continued; its age counts from there, else from its start
  stuck_since    INTEGER,          -- its last sign of life before it was helped on; NULL again with the next segment
  ended_at       INTEGER,
  updated_at     INTEGER NOT NULL,
  failure        TEXT,             -- JSON
  read           INTEGER NOT NULL DEFAULT 0, -- records that arrived, and what became of them
  added          INTEGER NOT NULL DEFAULT 0,
  updated        INTEGER NOT NULL DEFAULT 0,
  deleted        INTEGER NOT NULL DEFAULT 0,
  unchanged      INTEGER NOT NULL DEFAULT 0,
  stale          INTEGER NOT NULL DEFAULT 0,
  warnings       INTEGER NOT NULL DEFAULT 0,
  n_pending      INTEGER NOT NULL DEFAULT 0, -- streams by state, system streams left out
  n_processing   INTEGER NOT NULL DEFAULT 0,
  n_delayed      INTEGER NOT NULL DEFAULT 0,
  n_processed    INTEGER NOT NULL DEFAULT 0,
  n_error        INTEGER NOT NULL DEFAULT 0,
  n_cancelled    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX runs_active ON runs (integration_id, class) WHERE state = 'processing';
CREATE UNIQUE INDEX runs_open   ON runs (integration_id, class, params_sum) WHERE state IN ('pending', 'processing', 'delayed');
CREATE INDEX runs_integration   ON runs (integration_id, id);
CREATE INDEX runs_state         ON runs (state, id);
CREATE INDEX runs_ended         ON runs (ended_at) WHERE ended_at IS NOT NULL;

-- Runs that are gone, and whose streams and other rows are going.
CREATE TABLE leaving_runs (
  run_id INTEGER PRIMARY KEY
) STRICT;

-- Runs that were cancelled with more streams than one transaction cancels. The rest
-- follows in portions; to whoever reads one of them it is cancelled already (I06).
CREATE TABLE cancelling_runs (
  run_id INTEGER PRIMARY KEY
) STRICT;

-- What Preprocess made of the run's settings. Apart from the run, whose row is
-- written by every apply.
CREATE TABLE run_data (
  run_id       INTEGER PRIMARY KEY,
  preprocessed BLOB NOT NULL
) STRICT;

CREATE TABLE streams (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id         INTEGER NOT NULL,
  integration_id INTEGER NOT NULL,
  parent_id      INTEGER,          -- NULL: root or system stream
  depth          INTEGER NOT NULL DEFAULT 0,
  type           TEXT    NOT NULL CHECK (type = 'preprocess' OR type = 'plan' OR type = 'allow' OR type = 'root' OR type = 'child' OR type = 'sweep' OR type = 'postprocess'),
  phase          INTEGER NOT NULL CHECK (phase BETWEEN 0 AND 999), -- of the run in which it is worked on
  connector      TEXT    NOT NULL DEFAULT '',
  ident          TEXT    NOT NULL,
  partition      TEXT    NOT NULL DEFAULT '',
  limit_key      TEXT    NOT NULL,
  state          TEXT    NOT NULL CHECK (state = 'pending' OR state = 'processing' OR state = 'delayed' OR state = 'processed' OR state = 'error' OR state = 'cancelled'),
  seq            INTEGER NOT NULL DEFAULT 0,
  claim          INTEGER NOT NULL DEFAULT 0,
  pages          INTEGER NOT NULL DEFAULT 0,
  attempts       INTEGER NOT NULL DEFAULT 0,
  interrupts     INTEGER NOT NULL DEFAULT 0,
  crashes        INTEGER NOT NULL DEFAULT 0, -- of processes that it had to itself
  due_at         INTEGER NOT NULL,
  data           BLOB,
  page           BLOB,
  checkpoint     BLOB,
  page_history   BLOB,             -- hashes of the last page tokens, 8 bytes each
  began          BLOB,             -- mark of the first checkpoint of the last call of this page that did not end well
  last_record    TEXT,
  last_record_at INTEGER,
  failure        TEXT,             -- JSON
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  processed_at   INTEGER,
  read           INTEGER NOT NULL DEFAULT 0,
  added          INTEGER NOT NULL DEFAULT 0,
  updated        INTEGER NOT NULL DEFAULT 0,
  deleted        INTEGER NOT NULL DEFAULT 0,
  unchanged      INTEGER NOT NULL DEFAULT 0,
  stale          INTEGER NOT NULL DEFAULT 0,
  warnings       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX streams_ident     ON streams (run_id, connector, ident);
CREATE INDEX streams_run              ON streams (run_id);
CREATE UNIQUE INDEX streams_partition ON streams (run_id, connector, partition) WHERE partition <> '';
-- A stream that is done leaves these, and costs the claim nothing.
CREATE INDEX streams_due  ON streams (run_id, phase, limit_key, due_at, id) WHERE state IN ('pending', 'delayed');
CREATE INDEX streams_busy ON streams (run_id) WHERE state = 'processing';
CREATE INDEX streams_bad  ON streams (run_id) WHERE state IN ('error', 'cancelled');

-- A connector's part of a run, counted while it goes on: once a transaction and
-- connector, not once a stream, and without a look at all streams at the end.
CREATE TABLE connector_statuses (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL,
  run_id         INTEGER NOT NULL,
  connector      TEXT    NOT NULL,
  code           TEXT    NOT NULL DEFAULT '' CHECK (code = '' OR code = 'completed' OR code = 'partial' OR code = 'failed' OR code = 'skipped' OR code = 'cancelled'), -- empty: the run goes on
  message        TEXT    NOT NULL DEFAULT '',
  started_at     INTEGER,          -- claim of its first stream
  ended_at       INTEGER,          -- last sign of life until the run has ended
  n_processed    INTEGER NOT NULL DEFAULT 0,
  n_error        INTEGER NOT NULL DEFAULT 0, -- known when the run has ended
  n_cancelled    INTEGER NOT NULL DEFAULT 0, -- likewise
  read           INTEGER NOT NULL DEFAULT 0,
  added          INTEGER NOT NULL DEFAULT 0,
  updated        INTEGER NOT NULL DEFAULT 0,
  deleted        INTEGER NOT NULL DEFAULT 0,
  unchanged      INTEGER NOT NULL DEFAULT 0,
  stale          INTEGER NOT NULL DEFAULT 0,
  warnings       INTEGER NOT NULL DEFAULT 0,
  data           TEXT,             -- JSON
  UNIQUE (run_id, connector)
) STRICT;
CREATE INDEX connector_statuses_integration ON connector_statuses (integration_id, id);
CREATE INDEX connector_statuses_success     ON connector_statuses (integration_id, connector, id) WHERE code = 'completed';

CREATE TABLE warnings (
  id        INTEGER PRIMARY KEY,
  run_id    INTEGER NOT NULL,
  stream_id INTEGER NOT NULL,
  record_id TEXT    NOT NULL DEFAULT '',
  message   TEXT    NOT NULL,
  at        INTEGER NOT NULL
) STRICT;
CREATE INDEX warnings_run ON warnings (run_id, id);

CREATE TABLE cursors (
  integration_id INTEGER NOT NULL,
  connector      TEXT    NOT NULL,
  partition      TEXT    NOT NULL,
  cursor         BLOB,
  next           BLOB,             -- of a forced run that is not over
  next_run       INTEGER,
  updated_at     INTEGER NOT NULL,
  UNIQUE (integration_id, connector, partition)
) STRICT;
CREATE INDEX cursors_next ON cursors (next_run) WHERE next_run IS NOT NULL;

CREATE TABLE watermarks (
  integration_id INTEGER NOT NULL,
  connector      TEXT    NOT NULL,
  at             INTEGER NOT NULL, -- start of the last run that processed every stream of the connector
  run_id         INTEGER NOT NULL,
  UNIQUE (integration_id, connector)
) STRICT;

-- A rowid table with a unique key: without rowids, rows of a quarter page and
-- more are several times slower. The id is the position at which the record was
-- born, so that a count over the positions of an apply tells added from updated.
CREATE TABLE records (
  id             INTEGER PRIMARY KEY,
  integration_id INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  external_id    TEXT    NOT NULL,
  parent_kind    TEXT,
  parent_id      TEXT,
  version        BLOB,
  occurred_at    INTEGER,
  first_at       INTEGER,          -- of an activity that changed: occurred_at as it was told first
  deleted        INTEGER NOT NULL,
  hash           BLOB,
  pos            INTEGER NOT NULL, -- of the last change in the feed
  data           TEXT,             -- JSON as the plugin's SDK wrote it; NULL: deleted
  UNIQUE (integration_id, kind, external_id)
) STRICT;
CREATE INDEX records_feed    ON records (integration_id, pos);
CREATE INDEX records_deleted ON records (integration_id, kind) WHERE deleted = 1;
CREATE INDEX records_traces  ON records (pos) WHERE deleted = 1; -- of what was deleted, the oldest first

-- Where the feed was at a time: all changes up to the position are older.
CREATE TABLE feed_marks (
  position INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL
) STRICT;

-- Partial changes of records, which never touch the record itself. What is here
-- and has no record waits for it.
-- A full sync that will delete what it does not see: at most one of an integration.
CREATE TABLE sweeps (
  integration_id INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL,
  position       INTEGER NOT NULL, -- of the feed when the run began: what changed later stays
  kinds          TEXT    NOT NULL, -- JSON: the kinds that it lists completely, each with its connector
  share          REAL    NOT NULL, -- of a kind that may be deleted at once
  accept         INTEGER NOT NULL CHECK (accept IN (0, 1)) -- a person wants it whatever the share
) STRICT;

-- The records that the run of a sweep has met, or another one meanwhile.
CREATE TABLE seen (
  run_id INTEGER NOT NULL,
  key    INTEGER NOT NULL, -- hash of kind and external id
  PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID; -- a key and nothing else

CREATE TABLE overlays (
  integration_id INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  external_id    TEXT    NOT NULL,
  origin         TEXT    NOT NULL,
  field          TEXT    NOT NULL, -- JSON pointer
  version        BLOB,
  value          TEXT    NOT NULL, -- JSON; null removes
  updated_at     INTEGER NOT NULL,
  UNIQUE (integration_id, kind, external_id, origin, field)
) STRICT;

-- The types of fields, of integrations whose types are watched.
CREATE TABLE shapes (
  integration_id INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  fields         TEXT    NOT NULL, -- JSON object: type by field
  updated_at     INTEGER NOT NULL,
  UNIQUE (integration_id, kind)
) STRICT;

-- Members: a projection of the feed's records of that kind, a tenant at a time.
-- It can be thrown away and made anew; only member_splits cannot.
CREATE INDEX records_members ON records (integration_id, pos) WHERE kind = 'member';

CREATE TABLE member_cursors (
  tenant_id INTEGER PRIMARY KEY REFERENCES tenants (id),
  pos       INTEGER NOT NULL, -- negative: being cleared, to be made anew
  version   INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
  id        INTEGER PRIMARY KEY, -- its smallest source
  tenant_id INTEGER NOT NULL,
  sources   INTEGER NOT NULL
) STRICT;
CREATE INDEX members_tenant ON members (tenant_id, id);

CREATE TABLE member_sources (
  record_id      INTEGER PRIMARY KEY,
  tenant_id      INTEGER NOT NULL,
  member_id      INTEGER NOT NULL,
  integration_id INTEGER NOT NULL,
  external_id    TEXT    NOT NULL,
  redo           INTEGER NOT NULL DEFAULT 0 CHECK (redo IN (0, 1)) -- to be looked at again, though the feed does not say so
) STRICT;
CREATE INDEX member_sources_member ON member_sources (member_id);
CREATE INDEX member_sources_tenant ON member_sources (tenant_id, record_id);
CREATE INDEX member_sources_redo   ON member_sources (tenant_id, record_id) WHERE redo = 1;

CREATE TABLE member_claims (
  tenant_id INTEGER NOT NULL,
  platform  TEXT    NOT NULL,
  username  TEXT    NOT NULL,
  split     INTEGER NOT NULL,
  record_id INTEGER NOT NULL,
  UNIQUE (tenant_id, platform, username, split, record_id)
) STRICT;
CREATE INDEX member_claims_record ON member_claims (record_id);

CREATE TABLE member_merges (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id INTEGER NOT NULL,
  member_id INTEGER NOT NULL,
  merged_id INTEGER NOT NULL,
  sources   TEXT    NOT NULL, -- JSON array: of the merged member
  platform  TEXT    NOT NULL,
  username  TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  undone_at INTEGER
) STRICT;
CREATE INDEX member_merges_tenant ON member_merges (tenant_id, id);

-- What a person has taken apart. It names the source as the remote system does, so
-- that it holds for an import anew.
CREATE TABLE member_splits (
  tenant_id      INTEGER NOT NULL,
  integration_id INTEGER NOT NULL,
  external_id    TEXT    NOT NULL,
  platform       TEXT    NOT NULL,
  username       TEXT    NOT NULL,
  split          INTEGER NOT NULL, -- member_merges.id
  UNIQUE (tenant_id, integration_id, external_id, platform, username)
) STRICT;

-- What a plugin keeps for all integrations of a tenant.
CREATE TABLE services (
  tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
  plugin     TEXT    NOT NULL,
  key        TEXT    NOT NULL,
  sealed     BLOB    NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (tenant_id, plugin, key)
) STRICT;

CREATE TABLE throttles (
  plugin TEXT    NOT NULL,
  key    TEXT    NOT NULL,
  until  INTEGER NOT NULL,
  since  INTEGER NOT NULL, -- when until was computed
  UNIQUE (plugin, key)
) STRICT;
CREATE INDEX throttles_until ON throttles (until);

-- Ways to remote systems that are open: too much failed in a row. A row for each
-- limit key whose streams wait for it.
CREATE TABLE circuits (
  integration_id INTEGER NOT NULL,
  key            TEXT    NOT NULL,
  host           TEXT    NOT NULL,
  opened_at      INTEGER NOT NULL,
  until          INTEGER NOT NULL, -- when a probe goes ahead, or the one under way counts as lost
  opens          INTEGER NOT NULL,
  probing        INTEGER NOT NULL DEFAULT 0 CHECK (probing IN (0, 1)),
  message        TEXT    NOT NULL,
  UNIQUE (integration_id, key, host)
) STRICT;
CREATE INDEX circuits_probing ON circuits (integration_id) WHERE probing = 1;

-- Calls that plugins are granted one after another, over restarts.
CREATE TABLE buckets (
  scope   TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  next_at INTEGER NOT NULL, -- when the next turn begins that nobody has
  UNIQUE (scope, key)
) STRICT;
CREATE INDEX buckets_next ON buckets (scope, next_at);

CREATE TABLE credentials (
  integration_id INTEGER NOT NULL REFERENCES integrations (id),
  name           TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  sealed         BLOB    NOT NULL, -- token or refresh token
  expires_at     INTEGER,
  updated_at     INTEGER NOT NULL,
  UNIQUE (integration_id, name)
) STRICT;

-- Who may use the API. What opens it is told once and kept nowhere.
CREATE TABLE tokens (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL,
  tenant_id  INTEGER REFERENCES tenants (id), -- NULL: for all
  scopes     TEXT    NOT NULL, -- JSON array
  sum        BLOB    NOT NULL UNIQUE CHECK (length(sum) = 32), -- SHA-256
  created_at INTEGER NOT NULL,
  expires_at INTEGER,          -- NULL: never
  used_at    INTEGER,          -- to the hour
  revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_tenant ON tokens (tenant_id) WHERE tenant_id IS NOT NULL;

CREATE TABLE cache (
  scope      TEXT    NOT NULL,
  key        TEXT    NOT NULL,
  value      BLOB    NOT NULL,
  expires_at INTEGER NOT NULL,
  UNIQUE (scope, key)
) STRICT;
CREATE INDEX cache_expires ON cache (scope, expires_at);
CREATE INDEX cache_ends    ON cache (expires_at);

CREATE TABLE attribute_sets (
  id         INTEGER PRIMARY KEY,
  tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
  plugin     TEXT    NOT NULL,
  version    TEXT    NOT NULL, -- of the plugin's manifest
  created_at INTEGER NOT NULL,
  UNIQUE (tenant_id, plugin, version)
) STRICT;

CREATE TABLE attributes (
  tenant_id INTEGER NOT NULL REFERENCES tenants (id),
  plugin    TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  label     TEXT    NOT NULL,
  type      TEXT    NOT NULL,
  UNIQUE (tenant_id, plugin, name)
) STRICT;

-- Programs and plugins: where each is, and what happened, as events tell.
CREATE TABLE plugin_artifacts (
  digest  TEXT    NOT NULL PRIMARY KEY,
  plugin  TEXT    NOT NULL,
  version TEXT    NOT NULL,
  state   TEXT    NOT NULL CHECK (state IN ('seen', 'settling', 'verified', 'staged', 'probed', 'ready', 'rejected', 'unapproved', 'quarantined', 'withdrawn')),
  reason  TEXT    NOT NULL DEFAULT '', -- a code
  detail  TEXT    NOT NULL DEFAULT '',
  since   INTEGER NOT NULL
) STRICT;
CREATE INDEX plugin_artifacts_since ON plugin_artifacts (since);

-- Which version of opaque data a plugin wrote from when on. What was written when is
-- known of each cursor and stream.
CREATE TABLE plugin_states (
  plugin  TEXT    NOT NULL,
  since   INTEGER NOT NULL,
  version INTEGER NOT NULL, -- 0: its manifest says nothing of that
  UNIQUE (plugin, since)
) STRICT;

-- Cursors and watermarks as they were before a program began that writes what the one
-- before it does not read. They come back with that one.
CREATE TABLE kept_states (
  plugin TEXT    NOT NULL PRIMARY KEY,
  digest TEXT    NOT NULL, -- of the program that began
  at     INTEGER NOT NULL,
  whole  INTEGER NOT NULL CHECK (whole IN (0, 1)) -- all of it is copied
) STRICT;

CREATE TABLE kept_cursors (
  plugin         TEXT    NOT NULL,
  integration_id INTEGER NOT NULL,
  connector      TEXT    NOT NULL,
  partition      TEXT    NOT NULL,
  cursor         BLOB    NOT NULL,
  updated_at     INTEGER NOT NULL,
  UNIQUE (integration_id, connector, partition)
) STRICT;
CREATE INDEX kept_cursors_plugin ON kept_cursors (plugin);

CREATE TABLE kept_watermarks (
  plugin         TEXT    NOT NULL,
  integration_id INTEGER NOT NULL,
  connector      TEXT    NOT NULL,
  at             INTEGER NOT NULL,
  run_id         INTEGER NOT NULL,
  UNIQUE (integration_id, connector)
) STRICT;
CREATE INDEX kept_watermarks_plugin ON kept_watermarks (plugin);

CREATE TABLE plugin_services (
  plugin           TEXT    NOT NULL PRIMARY KEY,
  version          TEXT    NOT NULL,
  digest           TEXT    NOT NULL, -- of what serves
  state            TEXT    NOT NULL CHECK (state IN ('active', 'upgrading', 'draining', 'rolled_back', 'gone')),
  previous         TEXT    NOT NULL DEFAULT '', -- digest of what served before
  previous_version TEXT    NOT NULL DEFAULT '',
  probation        INTEGER, -- until then a failure brings the one before back
  since            INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  at             INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  integration_id INTEGER,
  run_id         INTEGER,
  data           TEXT                -- JSON
) STRICT;
CREATE INDEX events_integration ON events (integration_id, id);

-- The legal moves are those of store.RunTransitions and store.StreamTransitions;
-- a test compares every pair.
CREATE TRIGGER runs_birth BEFORE INSERT ON runs
WHEN new.state <> 'pending'
BEGIN
  SELECT RAISE(ABORT, 'a run is born pending');
END;

CREATE TRIGGER runs_move BEFORE UPDATE OF state ON runs
WHEN old.state <> new.state AND NOT CASE old.state
  WHEN 'pending' THEN new.state = 'processing' OR new.state = 'cancelled' OR new.state = 'error'
  WHEN 'processing' THEN new.state = 'processed' OR new.state = 'delayed' OR new.state = 'pending' OR new.state = 'partial' OR new.state = 'error' OR new.state = 'cancelled'
  WHEN 'delayed' THEN new.state = 'processing' OR new.state = 'pending' OR new.state = 'processed' OR new.state = 'partial' OR new.state = 'error' OR new.state = 'cancelled'
  WHEN 'processed' THEN new.state = 'pending'
  WHEN 'partial' THEN new.state = 'pending'
  WHEN 'error' THEN new.state = 'pending'
  ELSE 0 END
BEGIN
  SELECT RAISE(ABORT, 'illegal move of a run');
END;

CREATE TRIGGER streams_birth BEFORE INSERT ON streams
WHEN new.state <> 'pending'
BEGIN
  SELECT RAISE(ABORT, 'a stream is born pending');
END;

CREATE TRIGGER streams_move BEFORE UPDATE OF state ON streams
WHEN old.state <> new.state AND NOT CASE old.state
  WHEN 'pending' THEN new.state = 'processing' OR new.state = 'cancelled'
  WHEN 'processing' THEN new.state = 'processed' OR new.state = 'pending' OR new.state = 'delayed' OR new.state = 'error' OR new.state = 'cancelled'
  WHEN 'delayed' THEN new.state = 'processing' OR new.state = 'pending' OR new.state = 'cancelled'
  WHEN 'processed' THEN new.state = 'pending'
  WHEN 'error' THEN new.state = 'pending' OR new.state = 'cancelled'
  WHEN 'cancelled' THEN new.state = 'pending'
  ELSE 0 END
BEGIN
  SELECT RAISE(ABORT, 'illegal move of a stream');
END;

-- Heads: what was free leaves its place, then what is free takes one.
CREATE TRIGGER lanes_leave AFTER UPDATE OF plugin, shard, prio, tenant_id, wake_at, owner ON lanes
WHEN old.wake_at IS NOT NULL AND old.owner IS NULL AND (old.plugin, old.shard, old.prio, old.tenant_id, old.wake_at, old.owner IS NULL)
  IS NOT (new.plugin, new.shard, new.prio, new.tenant_id, new.wake_at, new.owner IS NULL)
BEGIN
  DELETE FROM lane_heads
  WHERE  plugin = old.plugin AND shard = old.shard AND prio = old.prio AND tenant_id = old.tenant_id AND wake_at >= old.wake_at;
  INSERT INTO lane_heads (plugin, shard, prio, tenant_id, wake_at)
  SELECT   plugin, shard, prio, tenant_id, wake_at
  FROM     lanes INDEXED BY lanes_free
  WHERE    plugin = old.plugin AND shard = old.shard AND prio = old.prio AND tenant_id = old.tenant_id AND wake_at IS NOT NULL AND owner IS NULL
  ORDER BY wake_at
  LIMIT    1
  ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER lanes_come AFTER UPDATE OF plugin, shard, prio, tenant_id, wake_at, owner ON lanes
WHEN new.wake_at IS NOT NULL AND new.owner IS NULL AND (old.plugin, old.shard, old.prio, old.tenant_id, old.wake_at, old.owner IS NULL)
  IS NOT (new.plugin, new.shard, new.prio, new.tenant_id, new.wake_at, new.owner IS NULL)
BEGIN
  INSERT INTO lane_heads (plugin, shard, prio, tenant_id, wake_at)
  VALUES (new.plugin, new.shard, new.prio, new.tenant_id, new.wake_at)
  ON CONFLICT (plugin, shard, prio, tenant_id) DO UPDATE
  SET    wake_at = excluded.wake_at
  WHERE  excluded.wake_at < lane_heads.wake_at;
END;

CREATE TRIGGER lanes_birth AFTER INSERT ON lanes
WHEN new.wake_at IS NOT NULL AND new.owner IS NULL
BEGIN
  INSERT INTO lane_heads (plugin, shard, prio, tenant_id, wake_at)
  VALUES (new.plugin, new.shard, new.prio, new.tenant_id, new.wake_at)
  ON CONFLICT (plugin, shard, prio, tenant_id) DO UPDATE
  SET    wake_at = excluded.wake_at
  WHERE  excluded.wake_at < lane_heads.wake_at;
END;

CREATE TRIGGER lanes_death AFTER DELETE ON lanes
WHEN old.wake_at IS NOT NULL AND old.owner IS NULL
BEGIN
  DELETE FROM lane_heads
  WHERE  plugin = old.plugin AND shard = old.shard AND prio = old.prio AND tenant_id = old.tenant_id AND wake_at >= old.wake_at;
  INSERT INTO lane_heads (plugin, shard, prio, tenant_id, wake_at)
  SELECT   plugin, shard, prio, tenant_id, wake_at
  FROM     lanes INDEXED BY lanes_free
  WHERE    plugin = old.plugin AND shard = old.shard AND prio = old.prio AND tenant_id = old.tenant_id AND wake_at IS NOT NULL AND owner IS NULL
  ORDER BY wake_at
  LIMIT    1
  ON CONFLICT DO NOTHING;
END;

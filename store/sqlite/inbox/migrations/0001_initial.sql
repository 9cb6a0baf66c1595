-- The file of what has to be answered at once. It has a writer of its own, so that
-- nobody waits behind the import of records (K16).
PRAGMA application_id = 1246120270; -- "JFIN": it is no store

CREATE TABLE meta (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO meta (name, value) VALUES ('host_epoch', 0), ('open_calls', 0);

-- A call, which is the lane of its events (K12).
CREATE TABLE calls (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    integration TEXT    NOT NULL, -- uid
    tenant      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    external    TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('ringing', 'connected', 'held', 'ended', 'closed')),
    details     TEXT    NOT NULL,
    log_id      TEXT,
    log_url     TEXT,
    context     TEXT,
    screen      TEXT,
    events      INTEGER NOT NULL DEFAULT 0,
    open        INTEGER NOT NULL DEFAULT 0 CHECK (open >= 0),
    unknown     INTEGER NOT NULL DEFAULT 0 CHECK (unknown >= 0),
    bytes       INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,          -- NULL: nothing waits, or it is worked on
    close_at    INTEGER NOT NULL,
    version     INTEGER NOT NULL DEFAULT 1,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    closed_at   INTEGER,
    CHECK ((closed_at IS NOT NULL) = (state = 'closed'))
) STRICT;
CREATE UNIQUE INDEX calls_external ON calls (integration, external);
CREATE INDEX calls_tenant  ON calls (tenant, id);
CREATE INDEX calls_due     ON calls (due_at)    WHERE due_at IS NOT NULL;
CREATE INDEX calls_close   ON calls (close_at)  WHERE closed_at IS NULL;
CREATE INDEX calls_closed  ON calls (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX calls_open    ON calls (id)        WHERE open > 0;
CREATE INDEX calls_unknown ON calls (id)        WHERE unknown > 0;

CREATE TABLE call_events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT    NOT NULL, -- the idempotency key of what it does outside (I08)
    call_id     INTEGER NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'skipped', 'failed', 'unknown')),
    writes      INTEGER NOT NULL CHECK (writes IN (0, 1)),
    body        TEXT    NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    steps       TEXT    NOT NULL DEFAULT '[]',
    answer      TEXT,
    error       TEXT,
    due_at      INTEGER, -- of the next attempt, or of the question what became of it
    received_at INTEGER NOT NULL,
    finished_at INTEGER,
    told        INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)), -- that it is unknown
    same        TEXT,    -- what is made once by all events that have it (G28)
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'skipped', 'failed')))
) STRICT;
CREATE UNIQUE INDEX call_events_uid  ON call_events (uid);
CREATE UNIQUE INDEX call_events_seq  ON call_events (call_id, seq);
CREATE INDEX call_events_open ON call_events (call_id, seq) WHERE state IN ('queued', 'running', 'unknown');
CREATE INDEX call_events_untold ON call_events (id) WHERE state = 'unknown' AND told = 0;
CREATE INDEX call_events_same ON call_events (same, id) WHERE same IS NOT NULL;
CREATE INDEX call_events_running ON call_events (id) WHERE state = 'running';

-- The same key and the same event have one effect and one answer (F22).
CREATE TABLE idempotency (
    integration TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    sum         BLOB    NOT NULL,
    event_id    INTEGER NOT NULL REFERENCES call_events (id) ON DELETE CASCADE,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (integration, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_old   ON idempotency (expires_at);
CREATE INDEX idempotency_event ON idempotency (event_id);

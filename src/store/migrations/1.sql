-- Times are UTC milliseconds. Keys are explicit; case folding is done by the program.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- One row per configured sync: what it is bound to, who may write, what its target was seen to do.
CREATE TABLE sync (
    name          TEXT PRIMARY KEY,
    epoch         INTEGER NOT NULL DEFAULT 0,
    runs          INTEGER NOT NULL DEFAULT 0,
    source_kind   TEXT,
    source_origin TEXT,
    source_app    TEXT,
    target_url    TEXT,
    profile       TEXT,
    paused_until  INTEGER,
    -- Runs that failed in a row, why, and when the last of them ended.
    failed_runs   INTEGER NOT NULL DEFAULT 0,
    failed_reason TEXT,
    failed_result TEXT,
    failed_at     INTEGER,
    -- 1 where either side refused the credentials.
    refused       INTEGER NOT NULL DEFAULT 0,
    -- A keyed digest over the secrets of the run that failed last.
    secrets       BLOB,
    -- When the workspace was last verified, and what was found (counts).
    verified_at   INTEGER,
    drift         TEXT,
    -- When the last scheduled verification failed, and why; empty after one that did not.
    verify_failed_at     INTEGER,
    verify_failed_reason TEXT,
    -- A keyed digest over each side's secret, and when a run first used it.
    source_secret       BLOB,
    source_secret_since INTEGER,
    target_secret       BLOB,
    target_secret_since INTEGER
) STRICT;

CREATE TABLE link (
    sync           TEXT NOT NULL REFERENCES sync (name),
    source_id      TEXT NOT NULL,
    target_url     TEXT NOT NULL,
    target_id      TEXT NOT NULL,
    user_name      TEXT NOT NULL,
    user_name_key  TEXT NOT NULL,
    acknowledged   TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('active', 'deactivated', 'inactive', 'gone')),
    state_since    INTEGER,
    digest         BLOB,
    memory         TEXT NOT NULL,
    billable       INTEGER NOT NULL,
    absent_since   INTEGER,
    observed_at    INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    UNIQUE (sync, source_id),
    UNIQUE (target_url, target_id)
) STRICT;
CREATE INDEX link_user_name ON link (sync, user_name_key);
CREATE INDEX link_memory ON link (sync) WHERE memory <> '{}';

CREATE TABLE run (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    sync        TEXT NOT NULL REFERENCES sync (name),
    epoch       INTEGER NOT NULL,
    trigger     TEXT NOT NULL,
    is_full     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    result      TEXT,
    active      INTEGER NOT NULL,
    facts       TEXT,
    -- The journal's last entry when it ended, and the chain there.
    chain_seq   INTEGER,
    chain_head  BLOB,
    -- The last intent it recorded: runs overlap, and the budgets are theirs together.
    last_intent INTEGER,
    -- The run that this one takes back, and who asked for it.
    undoes      INTEGER REFERENCES run (id),
    undone_by   TEXT,
    -- Where its lines about people for whom it did nothing are: 'some' = those that told_by names, 'all' = these, and
    -- of everybody else every line of told that was true then.
    told        TEXT CHECK (told IN ('all', 'some'))
) STRICT;
CREATE INDEX run_sync ON run (sync, started_at);
CREATE INDEX run_open ON run (sync) WHERE finished_at IS NULL;
CREATE INDEX run_intent ON run (sync, last_intent);
CREATE INDEX run_chain ON run (chain_seq);
CREATE INDEX run_undoes ON run (undoes) WHERE undoes IS NOT NULL;

-- The newest look at a person: what rests on an older one is not sent.
CREATE TABLE look (
    sync        TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    observed_at INTEGER NOT NULL,
    UNIQUE (sync, source_id)
) STRICT;

-- Append-only, numbered without a gap. `chain` covers the entry before it, this entry's number and every column but
-- source_id, payload and salt. Those are covered by `digest`, so that an erasure can empty them and the chain still
-- verifies. An 'event' is something that a person or rosterd did beside the runs; those of erasures name the entries
-- that they emptied, and the newest of the prunings names where the chain goes on from.
CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    run       INTEGER REFERENCES run (id),
    -- An event may be about the whole state.
    sync      TEXT,
    epoch     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('intent', 'outcome', 'event')),
    intent    INTEGER,
    verb      TEXT NOT NULL,
    -- The person; after an erasure a pseudonym, in an event about nobody in particular nothing.
    source_id TEXT NOT NULL,
    outcome   TEXT,
    -- What an intent counts for in the guards: an approved one for nothing, an adoption for what it changes.
    approved  INTEGER NOT NULL DEFAULT 0,
    -- Who released it; of an event, who did it.
    approved_by TEXT,
    rewrites  INTEGER NOT NULL DEFAULT 0,
    activates INTEGER NOT NULL DEFAULT 0,
    payload   TEXT,
    salt      BLOB NOT NULL,
    digest    BLOB NOT NULL,
    chain     BLOB NOT NULL
) STRICT;
CREATE INDEX journal_event ON journal (seq, verb) WHERE kind = 'event';
CREATE INDEX journal_person ON journal (sync, source_id, seq);
CREATE INDEX journal_time ON journal (sync, at);
CREATE INDEX journal_run ON journal (run);

-- Intents without an outcome: what a crash may have left behind.
CREATE TABLE in_flight (
    intent    INTEGER PRIMARY KEY REFERENCES journal (seq),
    sync      TEXT NOT NULL,
    source_id TEXT NOT NULL
) STRICT;

CREATE TABLE failing (
    sync        TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    user_name   TEXT NOT NULL,
    verb        TEXT NOT NULL,
    failures    INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    retry_run   INTEGER NOT NULL,
    detail      TEXT NOT NULL,
    UNIQUE (sync, source_id)
) STRICT;

-- What runs tell of people for whom nothing is done and who are not unchanged: one row for as long as the line stays
-- the same, so that a quiet run writes nothing. A line that differs only in words that change from run to run is the
-- same, and the row has the newest.
CREATE TABLE told (
    id            INTEGER PRIMARY KEY,
    sync          TEXT NOT NULL,
    source_id     TEXT NOT NULL,
    user_name     TEXT NOT NULL,
    user_name_key TEXT NOT NULL,
    first_run     INTEGER NOT NULL,
    -- The first run of which it was not true any more; NULL = it still is.
    until_run     INTEGER,
    record        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX told_now ON told (sync, source_id) WHERE until_run IS NULL;
CREATE INDEX told_person ON told (sync, source_id, first_run);
CREATE INDEX told_user_name ON told (sync, user_name_key);
CREATE INDEX told_closed ON told (until_run) WHERE until_run IS NOT NULL;

-- Which lines a run that was not about everybody told; of one that was, those that are about this run alone because a
-- newer one had told of the person before it.
CREATE TABLE told_by (
    run  INTEGER NOT NULL,
    told INTEGER NOT NULL REFERENCES told (id) ON DELETE CASCADE,
    PRIMARY KEY (run, told)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_line ON told_by (told);

CREATE TABLE hold (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    sync        TEXT NOT NULL,
    class       TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'released', 'rejected', 'expired', 'dropped')),
    reason      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    opened_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    decided_at  INTEGER,
    decided_by  TEXT,
    reminded_at INTEGER
) STRICT;
CREATE UNIQUE INDEX hold_open ON hold (sync, class) WHERE state = 'open';

CREATE TABLE hold_pair (
    hold      INTEGER NOT NULL REFERENCES hold (id),
    revision  INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    action    TEXT NOT NULL,
    user_name TEXT NOT NULL,
    -- Where the person stood at the source: a rejection lasts until that changes.
    digest    BLOB,
    state     TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'consumed', 'dropped')),
    joined_at   INTEGER NOT NULL,
    approved_at INTEGER,
    -- The run that was to be taken back, where a return held it.
    undoes      INTEGER,
    UNIQUE (hold, source_id)
) STRICT;

CREATE TABLE pin (
    sync       TEXT NOT NULL,
    source_id  TEXT NOT NULL,
    reason     TEXT NOT NULL,
    verb       TEXT,
    digest     BLOB,
    pinned_at  INTEGER NOT NULL,
    -- The return that pinned it, and what the account was known by.
    run        INTEGER,
    user_name  TEXT,
    target_id  TEXT,
    UNIQUE (sync, source_id)
) STRICT;

-- What verifications repaired: an attribute that drifts again and again is left alone.
CREATE TABLE drift_repair (
    sync        TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    path        TEXT NOT NULL,
    -- Keyed digest of the value that was repaired to.
    wanted      BLOB NOT NULL,
    repairs     INTEGER NOT NULL,
    repaired_at INTEGER NOT NULL,
    UNIQUE (sync, source_id, path)
) STRICT;

-- People whom events named and nobody has looked at since.
CREATE TABLE hint (
    sync       TEXT NOT NULL,
    source_id  TEXT NOT NULL,
    event_at   INTEGER NOT NULL,
    noted_at   INTEGER NOT NULL,
    membership INTEGER NOT NULL,
    UNIQUE (sync, source_id)
) STRICT;

CREATE TABLE cursor (
    sync     TEXT NOT NULL,
    stream   TEXT NOT NULL,
    position TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    UNIQUE (sync, stream)
) STRICT;

-- How long leavers kept their access, as the daemon measured it; the newest of each sync stay.
CREATE TABLE revocation (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    sync   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    millis INTEGER NOT NULL
) STRICT;
CREATE INDEX revocation_sync ON revocation (sync, id);

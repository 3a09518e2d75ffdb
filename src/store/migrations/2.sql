-- Order is a number (epoch, counter) instead of a time. What is stored already is older than every number.
ALTER TABLE link ADD COLUMN observed_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN observed_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN unattended INTEGER NOT NULL DEFAULT 1;
-- Who started it by hand.
ALTER TABLE run ADD COLUMN actor TEXT;

-- One sequence of epochs for the whole state.
CREATE TABLE epoch_sequence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch    INTEGER NOT NULL
) STRICT;
INSERT INTO epoch_sequence (only_row, epoch) SELECT 1, coalesce(max(epoch), 0) FROM sync;

-- When a complete read last listed the person, known once a later one has not.
ALTER TABLE link ADD COLUMN last_listed_at INTEGER;
-- 0: the deactivation was accepted and the target does not show whether the account is active.
ALTER TABLE link ADD COLUMN removal_seen INTEGER NOT NULL DEFAULT 1;
-- Why the person is not listed, as the last look at the person's own record showed it.
ALTER TABLE link ADD COLUMN cause TEXT;
CREATE INDEX link_login ON link (target_url, user_name_key);

-- Everything that is wanted and not acknowledged. The class 'look' is somebody whom an event named and at whom nobody
-- has looked since: what is wanted is not known yet.
CREATE TABLE owed (
    sync         TEXT NOT NULL,
    source_id    TEXT NOT NULL,
    class        TEXT NOT NULL CHECK (class IN ('removal', 'access', 'attributes', 'look')),
    user_name    TEXT NOT NULL,
    target_id    TEXT,
    verb         TEXT,
    cause        TEXT,
    since        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- Refusals of this account in a row while the rest of the workspace answered.
    refusals     INTEGER NOT NULL DEFAULT 0,
    tried_at     INTEGER,
    next_try_at  INTEGER,
    -- The full run that tries again, counted by sync.runs; only what is no removal waits for it.
    retry_run    INTEGER,
    waits_for    TEXT NOT NULL CHECK (waits_for IN ('look', 'retry', 'proof', 'unsettled', 'approval', 'seat',
                                                    'pause', 'switch', 'date', 'decision')),
    detail       TEXT NOT NULL DEFAULT '',
    -- Digest of the account to be: another value is tried at once.
    desired      BLOB,
    noted_number INTEGER NOT NULL DEFAULT 0,
    -- Of a look: the earliest event, and whether it was about an assignment.
    event_at     INTEGER,
    membership   INTEGER,
    -- What the event lets expect, and how often a look found the contrary of it.
    meaning      TEXT NOT NULL DEFAULT 'other',
    contradicted INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sync, source_id, class)
) STRICT;
CREATE INDEX owed_due ON owed (sync, next_try_at) WHERE next_try_at IS NOT NULL;

INSERT INTO owed (sync, source_id, class, user_name, verb, since, attempts, tried_at, retry_run, waits_for, detail)
SELECT sync, source_id,
       CASE WHEN verb IN ('deactivate', 'delete') THEN 'removal'
            WHEN verb IN ('create', 'adopt', 'reactivate') THEN 'access' ELSE 'attributes' END,
       user_name, verb, first_at, failures, last_at, retry_run, 'retry', detail
FROM failing;
INSERT INTO owed (sync, source_id, class, user_name, since, waits_for, event_at, membership)
SELECT sync, source_id, 'look', source_id, noted_at, 'look', event_at, membership FROM hint;
DROP TABLE failing;
DROP TABLE hint;

-- A full run that something asked for and that has not been done: an event about the whole app, a lost cursor, a
-- reload, the end of a pause.
CREATE TABLE full_look (
    sync         TEXT PRIMARY KEY,
    reason       TEXT NOT NULL,
    noted_at     INTEGER NOT NULL,
    noted_number INTEGER NOT NULL
) STRICT;

-- Who writes to an account, or sets a login, at this moment. A claim lasts until its intent is settled; then the link
-- is the claim.
CREATE TABLE claim (
    target_url TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('account', 'login')),
    value      TEXT NOT NULL,
    sync       TEXT NOT NULL,
    source_id  TEXT NOT NULL,
    intent     INTEGER NOT NULL REFERENCES journal (seq),
    UNIQUE (target_url, kind, value)
) STRICT;
CREATE INDEX claim_intent ON claim (intent);

-- People whose creation was answered with an account that is linked to somebody else: it is not sent again until where
-- they stand at the source changes, or that link goes.
CREATE TABLE taken_account (
    sync       TEXT NOT NULL,
    source_id  TEXT NOT NULL,
    target_id  TEXT NOT NULL,
    desired    BLOB,
    noted_at   INTEGER NOT NULL,
    UNIQUE (sync, source_id)
) STRICT;

-- An intent whose request is over and whose outcome nobody could tell: its own tries.
ALTER TABLE in_flight ADD COLUMN sent_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE in_flight ADD COLUMN request_over INTEGER NOT NULL DEFAULT 0;
ALTER TABLE in_flight ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE in_flight ADD COLUMN next_try_at INTEGER;
ALTER TABLE in_flight ADD COLUMN first_empty_at INTEGER;
ALTER TABLE in_flight ADD COLUMN reason TEXT;
-- The removal that went past it, once that is acknowledged: one look ten minutes later, and it is over.
ALTER TABLE in_flight ADD COLUMN overtaken_at INTEGER;

-- Holds of removals in two kinds, holds of a return by itself, and how many people a hold had at its largest.
ALTER TABLE hold ADD COLUMN kind TEXT NOT NULL DEFAULT '' CHECK (kind IN ('', 'terminated', 'unassigned'));
ALTER TABLE hold ADD COLUMN undoes INTEGER;
ALTER TABLE hold ADD COLUMN largest INTEGER NOT NULL DEFAULT 0;
UPDATE hold SET kind = 'unassigned' WHERE class IN ('deactivate', 'delete');
UPDATE hold SET largest = (SELECT count(*) FROM hold_pair WHERE hold = hold.id AND state = 'waiting');
DROP INDEX hold_open;
CREATE UNIQUE INDEX hold_open ON hold (sync, class, kind, coalesce(undoes, 0)) WHERE state = 'open';
-- Digest over exactly what would be sent; an approval is for this and nothing else.
ALTER TABLE hold_pair ADD COLUMN content BLOB;
ALTER TABLE hold_pair ADD COLUMN cause TEXT;
ALTER TABLE hold_pair ADD COLUMN target_id TEXT;
ALTER TABLE hold_pair ADD COLUMN joined_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold_pair ADD COLUMN approved_number INTEGER NOT NULL DEFAULT 0;

-- A decision binds one cause, and may have an end.
ALTER TABLE pin ADD COLUMN cause TEXT;
ALTER TABLE pin ADD COLUMN until INTEGER;
ALTER TABLE pin ADD COLUMN decided_by TEXT;
ALTER TABLE pin ADD COLUMN pinned_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pin ADD COLUMN reminded_at INTEGER;

-- When the pause was asked for: it lasts as long as was asked, whatever the clock did.
ALTER TABLE sync ADD COLUMN paused_at INTEGER;

-- The heartbeat of the workspace: when it last answered, and whose account was asked for.
ALTER TABLE sync ADD COLUMN target_answered_at INTEGER;
ALTER TABLE sync ADD COLUMN heartbeat_person TEXT;
-- When credentials of a side were first refused in the present row of refusals, when last, and in how many runs.
CREATE TABLE refused_credentials (
    sync       TEXT NOT NULL,
    side       TEXT NOT NULL CHECK (side IN ('source', 'target')),
    since      INTEGER NOT NULL,
    refused_at INTEGER NOT NULL,
    runs       INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    UNIQUE (sync, side)
) STRICT;

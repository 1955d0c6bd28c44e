-- The time before which a destination asked not to be sent a delivery again: Unix ms; 0 where it did not.
ALTER TABLE queue ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
-- The time since when a delivery waits: Unix ms, by the clock that deliveries are due by.
ALTER TABLE queue ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
-- 1 where it went to the fallback of its destination, if it could; 2 where that waits for this resolve of what was rejected.
ALTER TABLE queue ADD COLUMN fell_back INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET since = ifnull((SELECT received_at FROM requests WHERE seq = queue.id / 16384), 0);
CREATE INDEX queue_since ON queue (destination, fell_back, since);

-- Deliveries to the fallback of a destination that did not take an alert.
CREATE TABLE fallbacks (
    id          INTEGER PRIMARY KEY,    -- as queue.id
    of          INTEGER NOT NULL,       -- the delivery that it stands in for,
    destination INTEGER NOT NULL,       -- and where that was to go
    reason      TEXT NOT NULL           -- late | rejected; taken tells the fallback that the destination has it after all
) STRICT;

-- A group: one alert at the destination for many events. Each opening is a row, which goes with its last member.
CREATE TABLE groups (
    id            INTEGER PRIMARY KEY,
    source        INTEGER NOT NULL,
    key           TEXT NOT NULL,        -- as at the destination: group/error_code=30006
    destinations  TEXT NOT NULL,        -- JSON: where its alert goes
    state         TEXT NOT NULL,        -- JSON: count, first and last event, times
    opened_at     INTEGER NOT NULL,     -- Unix ms
    closed_at     INTEGER,              -- Unix ms; NULL while it is open
    look_at       INTEGER,              -- when time changes it next: Unix ms by the steady clock; NULL once it is closed
    resolve_after INTEGER NOT NULL      -- ms; look_at is never further ahead than that
) STRICT;
CREATE UNIQUE INDEX groups_open ON groups (source, key, destinations) WHERE look_at IS NOT NULL;
CREATE INDEX groups_look ON groups (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX groups_key ON groups (key);

-- Alerts that went into a group in place of a destination.
CREATE TABLE members (
    alert INTEGER PRIMARY KEY,
    grp   INTEGER NOT NULL
) STRICT;
CREATE INDEX members_group ON members (grp, alert);

-- The rate of each source whose events are grouped above a threshold only.
CREATE TABLE storms (
    source  INTEGER PRIMARY KEY,
    state   TEXT NOT NULL,              -- JSON: the rate, and since when it is calm
    look_at INTEGER                     -- Unix ms by the steady clock; NULL where there is no storm
) STRICT;

-- Sources whose keys are tracked, because some of their alerts were not delivered by themselves, or are resolved by the gateway.
CREATE TABLE tracked (
    source INTEGER PRIMARY KEY
) STRICT;

-- Where a key of a tracked source is open. A resolve goes where its trigger went.
CREATE TABLE keys (
    ordering_key INTEGER PRIMARY KEY,
    alert        INTEGER NOT NULL,      -- the newest alert of the key; they are removed together
    own          INTEGER NOT NULL,      -- 1: open at its destination, or may be
    grp          INTEGER,               -- the group in which it is open
    mute         INTEGER                -- the mute that holds its newest alert
) STRICT;
CREATE INDEX keys_mute ON keys (mute) WHERE mute IS NOT NULL;

-- Keys that the gateway resolves when no event of theirs comes for some time.
CREATE TABLE timers (
    ordering_key  INTEGER PRIMARY KEY,
    source        INTEGER NOT NULL,
    at            INTEGER NOT NULL,     -- Unix ms by the steady clock
    resolve_after INTEGER NOT NULL,     -- ms
    destinations  TEXT NOT NULL,        -- JSON: where the alert went
    json          TEXT NOT NULL         -- the plugin contract's Alert that resolves it
) STRICT;
CREATE INDEX timers_at ON timers (at);

-- Mutes: those that operators made at run time, and those of the configuration once an alert met them.
CREATE TABLE mutes (
    id         INTEGER PRIMARY KEY,
    name       TEXT UNIQUE,             -- of the configuration: its words; NULL where an operator made it
    conditions TEXT NOT NULL,           -- JSON: [[name, pattern], ...]; empty for one of the configuration
    from_at    INTEGER NOT NULL,        -- Unix ms
    until_at   INTEGER NOT NULL,        -- Unix ms
    why        TEXT NOT NULL,
    who        TEXT NOT NULL,
    ended_at   INTEGER,                 -- Unix ms; NULL while it may hold
    summed_up  INTEGER NOT NULL DEFAULT 1  -- 0: what it holds was not summed up yet
) STRICT;

-- Alerts that a mute kept from their destinations.
CREATE TABLE muted (
    alert INTEGER PRIMARY KEY,
    mute  INTEGER NOT NULL,
    held  TEXT                          -- JSON: where it would have gone; NULL once the mute has ended, or the key is resolved
) STRICT;
CREATE INDEX muted_mute ON muted (mute, alert);
CREATE INDEX muted_held ON muted (mute, alert) WHERE held IS NOT NULL;

-- The part of the request that a job is about: failed | dead; NULL: both.
ALTER TABLE jobs ADD COLUMN part TEXT;

-- The number of places that were masked before a request was stored; NULL: it stands as it came.
ALTER TABLE bodies ADD COLUMN redacted INTEGER;
-- JSON: the proof of the sender of a masked request, which fits the masked text no more; without what identifies it.
ALTER TABLE bodies ADD COLUMN proved TEXT;

-- Identities are written many at once, in the order of their hashes. All of the requests before this one are in their table;
-- a start reads those of the later ones from their alerts and proofs.
CREATE TABLE identified (
    id     INTEGER PRIMARY KEY,         -- 1
    before INTEGER NOT NULL
) STRICT;
INSERT INTO identified SELECT 1, ifnull(max(seq), 0) + 1 FROM requests;

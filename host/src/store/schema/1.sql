-- A plugin that has read requests: which wasm, exactly.
CREATE TABLE plugins (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    UNIQUE (sha256, name)
) STRICT;

-- A request as it came in.
CREATE TABLE requests (
    seq         INTEGER PRIMARY KEY,   -- order of acceptance
    id          TEXT NOT NULL UNIQUE,  -- UUIDv7, as answered to the sender
    source      TEXT NOT NULL,
    received_at INTEGER NOT NULL,      -- Unix ms
    state       TEXT NOT NULL,         -- read | failed; after a replay also rejected | ignored
    reason      TEXT,                  -- why it failed, was rejected or was ignored
    plugin      INTEGER NOT NULL REFERENCES plugins (id),
    duplicates  INTEGER NOT NULL,      -- events in it that were known already
    method      TEXT NOT NULL,
    url         TEXT NOT NULL,
    headers     TEXT NOT NULL,         -- JSON: [[name, value], ...]
    body        BLOB NOT NULL
) STRICT;
CREATE INDEX requests_failed ON requests (seq) WHERE state = 'failed';

-- Where an alert stands: small, because it changes.
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY,   -- seq of the request * 1024 + place in the request
    source      TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    destination TEXT NOT NULL,
    lane        INTEGER NOT NULL,      -- hash of source and key: within a destination, one at a time and in order
    state       TEXT NOT NULL,         -- pending | delivered | set_aside
    due_at      INTEGER,               -- Unix ms; NULL while settled or behind another of its lane
    attempts    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (event_id, source)
) STRICT;
CREATE INDEX alerts_due ON alerts (destination, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX alerts_lane ON alerts (lane) WHERE state = 'pending';
CREATE INDEX alerts_pending ON alerts (id) WHERE state = 'pending';
CREATE INDEX alerts_set_aside ON alerts (id) WHERE state = 'set_aside';

-- What an alert says: large, and never changed.
CREATE TABLE events (
    alert INTEGER PRIMARY KEY,
    json  TEXT NOT NULL                -- the plugin contract's Alert
) STRICT;

-- What became of each attempt at delivery.
CREATE TABLE attempts (
    alert       INTEGER NOT NULL,
    n           INTEGER NOT NULL,      -- 1, 2, ...
    at          INTEGER NOT NULL,      -- Unix ms
    duration    INTEGER NOT NULL,      -- microseconds
    outcome     TEXT NOT NULL,         -- accepted | later | blocked | refused
    status      INTEGER,               -- HTTP; NULL where there was no answer
    receipt     TEXT,                  -- the destination's id of the event
    fingerprint TEXT,                  -- the destination's word for the alert
    said        TEXT,                  -- why not
    PRIMARY KEY (alert, n)
) STRICT, WITHOUT ROWID;

-- What an operator asked to have done again; the gateway takes it from here.
CREATE TABLE replays (
    id       INTEGER PRIMARY KEY,
    request  INTEGER,                  -- seq of a request to read again or to send the set-aside alerts of; NULL: all set aside
    asked_at INTEGER NOT NULL          -- Unix ms
) STRICT;

-- How many there are, kept in step by every commit, because counting millions of rows takes seconds.
CREATE TABLE totals (
    state TEXT PRIMARY KEY,
    n     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO totals VALUES ('pending', 0), ('delivered', 0), ('set_aside', 0), ('failed', 0);

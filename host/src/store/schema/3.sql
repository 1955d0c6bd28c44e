-- A plugin that has read requests: which wasm, exactly.
CREATE TABLE plugins (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    UNIQUE (sha256, name)
) STRICT;

-- A source, by the number under which all other tables name it, and what is known of it beyond its requests.
CREATE TABLE sources (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    failed         INTEGER NOT NULL DEFAULT 0,  -- failed requests, kept in step by every commit
    unproven       INTEGER NOT NULL DEFAULT 0,  -- those of them whose sender has proved nothing,
    unproven_bytes INTEGER NOT NULL DEFAULT 0,  -- and the bytes of these
    last_seen      INTEGER,                     -- Unix ms; NULL where its sender was never heard of
    silence        INTEGER NOT NULL DEFAULT 0   -- ms for which the gateway has run since, and heard nothing
) STRICT;

-- A destination, by the number under which all other tables name it.
CREATE TABLE destinations (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A request that brought something new: small, because it is kept as long as what identifies its alerts.
CREATE TABLE requests (
    seq          INTEGER PRIMARY KEY,   -- order of acceptance
    id           BLOB NOT NULL UNIQUE,  -- UUIDv7 in 16 bytes, as answered to the sender
    source       INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,      -- Unix ms
    state        TEXT NOT NULL,         -- read | failed; after a replay also rejected | ignored; dismissed
    reason       TEXT,                  -- why it failed, was rejected, ignored or dismissed
    plugin       INTEGER NOT NULL REFERENCES plugins (id),
    duplicates   INTEGER NOT NULL,      -- events in it that were known already
    unproven     INTEGER,               -- bytes of a failed request whose sender has proved nothing; else NULL
    proofs       BLOB,                  -- hashes in identities by which its proofs are known, 16 bytes each
    proofs_until INTEGER                -- Unix ms, after which the proofs count no more; NULL: as long as the request is kept
) STRICT;
CREATE INDEX requests_failed ON requests (seq) WHERE state = 'failed';

-- A request as it came in: large, and the first to be evicted.
CREATE TABLE bodies (
    seq     INTEGER PRIMARY KEY,
    method  TEXT NOT NULL,
    url     TEXT NOT NULL,
    headers TEXT NOT NULL,              -- JSON: [[name, value], ...]
    body    BLOB NOT NULL
) STRICT;

-- An alert: small, and written once.
CREATE TABLE alerts (
    id           INTEGER PRIMARY KEY,   -- seq of the request * 1024 + place in the request
    source       INTEGER NOT NULL,
    event_id     ANY NOT NULL,          -- as text; of a long one, its hash in identities
    ordering_key INTEGER NOT NULL,      -- hash of source and key: for each destination, one at a time and in order
    priority     INTEGER NOT NULL,      -- 0 critical | 1 high | 2 medium | 3 low
    ignored      TEXT                   -- why it is delivered nowhere; else NULL
) STRICT;

-- What an alert says: large, never changed, and the second to be evicted.
CREATE TABLE events (
    alert INTEGER PRIMARY KEY,
    json  TEXT NOT NULL                 -- the plugin contract's Alert
) STRICT;

-- By what an event, or the proof that came with a request, is known again: the last to be removed.
CREATE TABLE identities (
    hash  BLOB PRIMARY KEY,             -- 16 bytes of SHA-256 over its kind, its source and itself
    alert INTEGER NOT NULL              -- the alert; of a proof, the first one of its request
) STRICT, WITHOUT ROWID;

-- The greatest order that was seen of an ordering key. What has a smaller one comes too late, and is ignored.
CREATE TABLE orders (
    ordering_key INTEGER PRIMARY KEY,
    greatest     INTEGER NOT NULL,
    alert        INTEGER NOT NULL       -- the last one that had it; they are removed together
) STRICT;

-- How often an event came again. Written at most once a second for each.
CREATE TABLE repeats (
    alert        INTEGER PRIMARY KEY,
    times        INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,      -- Unix ms
    last_request BLOB NOT NULL          -- as requests.id
) STRICT;

-- Deliveries that are pending: a small table, because all that changes is in it.
CREATE TABLE queue (
    id           INTEGER PRIMARY KEY,   -- id of the alert * 16 + place among its destinations
    destination  INTEGER NOT NULL,
    source       INTEGER NOT NULL,
    ordering_key INTEGER NOT NULL,
    priority     INTEGER NOT NULL,      -- of the alert, or of a more urgent one behind it
    due_at       INTEGER,               -- Unix ms; NULL behind another of its ordering key
    attempts     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queue_due ON queue (destination, priority, source, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX queue_order ON queue (ordering_key, destination);

-- Deliveries that the destination rejected for good: dead letters. What is neither here nor in the queue is settled.
CREATE TABLE dead (
    id          INTEGER PRIMARY KEY,    -- as queue.id
    destination INTEGER NOT NULL
) STRICT;

-- What became of each attempt at delivery. The last one of each is its receipt, and kept with the alert.
CREATE TABLE attempts (
    delivery    INTEGER NOT NULL,       -- as queue.id
    n           INTEGER NOT NULL,       -- 1, 2, ...
    destination INTEGER NOT NULL,
    at          INTEGER NOT NULL,       -- Unix ms
    duration    INTEGER NOT NULL,       -- microseconds
    outcome     TEXT NOT NULL,          -- accepted | retry | blocked | rejected; dismissed by an operator
    status      INTEGER,                -- HTTP; NULL where there was no answer
    receipt     TEXT,                   -- the destination's id of the event
    fingerprint TEXT,                   -- the destination's word for the alert
    said        TEXT,                   -- why not
    PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- What an operator asked to have done; the gateway takes it from here.
CREATE TABLE jobs (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,             -- replay | dismiss
    request  INTEGER,                   -- seq of the request that it is about; NULL: all dead letters
    asked_at INTEGER NOT NULL,          -- Unix ms
    why      TEXT                       -- the operator's reason
) STRICT;

-- Who did what.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,            -- Unix ms
    who    TEXT NOT NULL,
    origin TEXT NOT NULL,               -- command line, or the address that a request came from
    action TEXT NOT NULL,
    about  TEXT NOT NULL,               -- ids, as the operator gave them
    why    TEXT
) STRICT;

-- Which internal alerts are open, so that each is opened once and ended once.
CREATE TABLE conditions (
    key         TEXT PRIMARY KEY,       -- <topic>/<source or destination>
    destination TEXT NOT NULL,          -- where it was told, and where its end is to be told
    told_at     INTEGER NOT NULL        -- Unix ms
) STRICT, WITHOUT ROWID;

-- How many there are, kept in step by every commit, because counting millions of rows takes seconds.
CREATE TABLE totals (
    state TEXT PRIMARY KEY,
    n     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO totals VALUES ('pending', 0), ('delivered', 0), ('dead', 0), ('failed', 0), ('alerts', 0);

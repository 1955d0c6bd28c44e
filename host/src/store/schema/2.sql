-- What is known of a source beyond its requests. `failed` is kept in step by every commit; the rest is written now and then.
CREATE TABLE sources (
    name      TEXT PRIMARY KEY,
    failed    INTEGER NOT NULL DEFAULT 0,  -- requests kept raw because its plugin failed
    last_seen INTEGER,                     -- Unix ms; NULL where its sender was never heard of
    silence   INTEGER NOT NULL DEFAULT 0   -- ms for which the gateway has run since, and heard nothing
) STRICT, WITHOUT ROWID;
INSERT INTO sources (name, failed) SELECT source, count(*) FROM requests WHERE state = 'failed' GROUP BY source;

-- Which of the gateway's own alerts are open, so that each is opened once and ended once.
CREATE TABLE conditions (
    key         TEXT PRIMARY KEY,          -- <topic>/<source or destination>
    destination TEXT NOT NULL,             -- where it was told, and where its end is to be told
    told_at     INTEGER NOT NULL           -- Unix ms
) STRICT, WITHOUT ROWID;

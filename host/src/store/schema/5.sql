-- Timers stand in the row of their key, which each event of it writes anyway.

ALTER TABLE keys RENAME TO keys_4;

-- Where a key of a tracked source is open: a resolve goes where its trigger went. And when the gateway resolves it.
CREATE TABLE keys (
    ordering_key  INTEGER PRIMARY KEY,
    alert         INTEGER NOT NULL, -- the newest alert of the key; they are removed together, but for one with a timer
    own           INTEGER NOT NULL, -- 1: open at its destination, or may be
    grp           INTEGER,          -- the group in which it is open
    mute          INTEGER,          -- the mute that holds its newest alert
    at            INTEGER,          -- when the gateway resolves it, if no event of it comes before: Unix ms by the steady clock; else NULL
    resolve_after INTEGER,          -- ms
    timed         INTEGER,          -- the alert that is resolved then,
    source        INTEGER,          -- its source
    destinations  TEXT,             -- and JSON: where it went
    json          TEXT              -- the plugin contract's Alert that resolves it, once the alert's own words are gone
) STRICT;

INSERT INTO keys
    SELECT k.ordering_key, k.alert, k.own, k.grp, k.mute, t.at, t.resolve_after,
           CASE WHEN t.at IS NOT NULL THEN k.alert END, t.source, t.destinations, t.json
    FROM keys_4 k LEFT JOIN timers t ON t.ordering_key = k.ordering_key;
-- Retention removed a key and left its timer. No alert has the number 0.
INSERT INTO keys
    SELECT t.ordering_key, 0, 1, NULL, NULL, t.at, t.resolve_after, NULL, t.source, t.destinations, t.json
    FROM timers t WHERE t.ordering_key NOT IN (SELECT ordering_key FROM keys_4);

DROP TABLE keys_4;
DROP TABLE timers;
CREATE INDEX keys_mute ON keys (mute) WHERE mute IS NOT NULL;
CREATE INDEX keys_at ON keys (at) WHERE at IS NOT NULL;

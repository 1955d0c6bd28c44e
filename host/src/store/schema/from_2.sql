-- Copies a store of schema 2, attached as `old`, into an empty one of the newest schema. Functions in capitals are the gateway's own.
INSERT INTO plugins SELECT id, name, version, sha256 FROM old.plugins;

INSERT INTO sources (name)
    SELECT CAST(name AS TEXT) FROM old.sources UNION SELECT CAST(source AS TEXT) FROM old.requests WHERE source NOT NULL
    UNION SELECT CAST(source AS TEXT) FROM old.alerts WHERE source NOT NULL;
UPDATE sources SET failed = was.failed, last_seen = was.last_seen, silence = was.silence
    FROM old.sources AS was WHERE was.name = sources.name;
INSERT INTO destinations (name) SELECT DISTINCT CAST(destination AS TEXT) FROM old.alerts WHERE destination NOT NULL;

-- Rows that somebody wrote by hand are taken as far as they can be.
INSERT OR IGNORE INTO requests (seq, id, source, received_at, state, reason, plugin, duplicates)
    SELECT r.seq, REQUEST_ID(r.id), s.id, CAST(r.received_at AS INTEGER), CAST(r.state AS TEXT), CAST(r.reason AS TEXT),
           CAST(r.plugin AS INTEGER), CAST(r.duplicates AS INTEGER)
    FROM old.requests r JOIN sources s ON s.name = CAST(r.source AS TEXT) ORDER BY r.seq;
INSERT OR IGNORE INTO bodies (seq, method, url, headers, body)
    SELECT seq, CAST(method AS TEXT), CAST(url AS TEXT), CAST(headers AS TEXT), CAST(body AS BLOB)
    FROM old.requests ORDER BY seq;

INSERT OR IGNORE INTO alerts (id, source, event_id, ordering_key, priority)
    SELECT a.id, s.id, STORED_EVENT_ID(a.source, a.event_id), ifnull(CAST(a.lane AS INTEGER), 0), PRIORITY_OF(e.json)
    FROM old.alerts a JOIN sources s ON s.name = CAST(a.source AS TEXT)
    LEFT JOIN old.events e ON e.alert = a.id ORDER BY a.id;
INSERT OR IGNORE INTO events SELECT alert, CAST(json AS TEXT) FROM old.events ORDER BY alert;
-- Sorted, so that the table is written from left to right.
INSERT OR IGNORE INTO identities
    SELECT EVENT_IDENTITY(s.name, a.event_id) AS hash, a.id FROM alerts a JOIN sources s ON s.id = a.source ORDER BY hash;

INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts)
    SELECT was.id * 16, d.id, a.source, a.ordering_key, a.priority, CAST(was.due_at AS INTEGER),
           ifnull(CAST(was.attempts AS INTEGER), 0)
    FROM old.alerts was JOIN destinations d ON d.name = CAST(was.destination AS TEXT) JOIN alerts a ON a.id = was.id
    WHERE was.state NOT IN ('delivered', 'set_aside') ORDER BY was.id;
UPDATE queue SET since = ifnull((SELECT received_at FROM requests WHERE seq = queue.id / 16384), 0);
INSERT INTO dead
    SELECT was.id * 16, d.id FROM old.alerts was JOIN destinations d ON d.name = CAST(was.destination AS TEXT)
    WHERE was.state = 'set_aside' ORDER BY was.id;
INSERT OR IGNORE INTO attempts
    SELECT t.alert * 16, t.n, d.id, CAST(t.at AS INTEGER), CAST(t.duration AS INTEGER),
           CASE t.outcome WHEN 'later' THEN 'retry' WHEN 'refused' THEN 'rejected' ELSE CAST(t.outcome AS TEXT) END,
           CAST(t.status AS INTEGER), CAST(t.receipt AS TEXT), CAST(t.fingerprint AS TEXT), CAST(t.said AS TEXT)
    FROM old.attempts t JOIN old.alerts a ON a.id = t.alert JOIN destinations d ON d.name = CAST(a.destination AS TEXT)
    ORDER BY t.alert, t.n;

INSERT INTO jobs (id, kind, request, asked_at) SELECT id, 'replay', request, asked_at FROM old.replays;
INSERT INTO conditions SELECT key, destination, told_at FROM old.conditions;
INSERT OR REPLACE INTO totals
    SELECT 'pending', count(*) FROM queue UNION ALL SELECT 'dead', count(*) FROM dead
    UNION ALL SELECT 'delivered', count(*) FROM attempts WHERE outcome = 'accepted'
    UNION ALL SELECT 'failed', count(*) FROM requests WHERE state = 'failed'
    UNION ALL SELECT 'alerts', count(*) FROM alerts;
INSERT OR REPLACE INTO identified SELECT 1, ifnull(max(seq), 0) + 1 FROM requests;

//! What holds of the rows, however they came about: the promises of the store, as queries that must find nothing.

/// A rule: the query that names, in its first column, each row that breaks it; and what to say then.
pub struct Rule {
    pub broken: &'static str,
    pub what: &'static str,
    pub advice: &'static str,
    pub cure: Option<&'static str>,
}

pub const RULES: &[Rule] = &[
    Rule {
        broken: "SELECT name FROM (
                     SELECT 'pending' AS name, (SELECT count(*) FROM alerts WHERE state = 'pending') AS counted
                     UNION ALL SELECT 'delivered', (SELECT count(*) FROM alerts WHERE state = 'delivered')
                     UNION ALL SELECT 'set_aside', (SELECT count(*) FROM alerts WHERE state = 'set_aside')
                     UNION ALL SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed'))
                 WHERE counted IS NOT (SELECT n FROM totals WHERE state = name)",
        what: "totals that are not the number of rows",
        advice: "metrics show wrong figures; nothing else follows",
        cure: Some(
            "INSERT OR REPLACE INTO totals SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed') \
             UNION ALL SELECT 'pending', (SELECT count(*) FROM alerts WHERE state = 'pending') \
             UNION ALL SELECT 'delivered', (SELECT count(*) FROM alerts WHERE state = 'delivered') \
             UNION ALL SELECT 'set_aside', (SELECT count(*) FROM alerts WHERE state = 'set_aside')",
        ),
    },
    Rule {
        broken: "SELECT name FROM (SELECT name, failed FROM sources
                     UNION ALL SELECT DISTINCT source, 0 FROM requests
                     WHERE state = 'failed' AND source NOT IN (SELECT name FROM sources))
                 WHERE failed <> (SELECT count(*) FROM requests WHERE source = name AND state = 'failed')",
        what: "sources with a wrong count of requests that their plugin failed on",
        advice: "that the plugin is mended is told too early, or never",
        cure: Some(
            "INSERT INTO sources (name, failed) SELECT name, \
             (SELECT count(*) FROM requests WHERE source = name AND state = 'failed') \
             FROM (SELECT name FROM sources UNION SELECT source FROM requests WHERE state = 'failed') WHERE true \
             ON CONFLICT (name) DO UPDATE SET failed = excluded.failed",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM alerts WHERE state = 'pending' GROUP BY lane, destination HAVING count(due_at) = 0",
        what: "pending alerts, none of whose key is ever due",
        advice: "they and those behind them are never delivered",
        cure: Some(
            "UPDATE alerts SET due_at = 0 WHERE id IN (SELECT min(id) FROM alerts WHERE state = 'pending' \
             GROUP BY lane, destination HAVING count(due_at) = 0)",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM alerts WHERE state = 'pending' GROUP BY lane, destination HAVING count(due_at) > 1",
        what: "pending alerts with the same key that are due beside each other",
        advice: "they may be delivered out of order",
        cure: Some(
            "UPDATE alerts AS a SET due_at = NULL WHERE state = 'pending' AND EXISTS (SELECT 1 FROM alerts AS b \
             WHERE b.lane = a.lane AND b.destination = a.destination AND b.state = 'pending' AND b.due_at IS NOT NULL \
             AND b.id < a.id)",
        ),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE due_at IS NOT NULL AND state <> 'pending'",
        what: "settled alerts that are due",
        advice: "they are not sent again; only SQLite's index is longer than it need be",
        cure: Some("UPDATE alerts SET due_at = NULL WHERE state <> 'pending'"),
    },
    Rule {
        broken: "SELECT id FROM alerts
                 WHERE state = 'pending' AND due_at > (unixepoch() + 24 * 60 * 60) * 1000",
        what: "pending alerts that are not due for a day or more",
        advice: "nothing waits that long: the machine's clock was wrong when they were put off",
        cure: Some("UPDATE alerts SET due_at = 0 WHERE state = 'pending' AND due_at IS NOT NULL"),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE state NOT IN ('pending', 'delivered', 'set_aside')",
        what: "alerts in a state that there is not",
        advice: "nobody delivers them, and retention never removes them",
        cure: Some(
            "UPDATE alerts SET state = 'pending', due_at = NULL WHERE state NOT IN ('pending', 'delivered', 'set_aside')",
        ),
    },
    Rule {
        broken: "SELECT id FROM requests WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored')",
        what: "requests in a state that there is not",
        advice: "they are not read again",
        cure: Some("UPDATE requests SET state = 'failed' WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored')"),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE id NOT IN (SELECT alert FROM events)",
        what: "alerts of which nothing is kept but the id",
        advice: "they cannot be delivered, and are set aside when they are due; their request is kept (`events show`)",
        cure: None,
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE id / 1024 NOT IN (SELECT seq FROM requests)",
        what: "alerts outside the range of any request",
        advice: "they cannot be delivered, and are set aside when they are due",
        cure: None,
    },
    Rule {
        broken: "SELECT DISTINCT alert FROM attempts WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "attempts at delivering no alert",
        advice: "they take room, and nobody sees them",
        cure: Some("DELETE FROM attempts WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
    Rule {
        broken: "SELECT alert FROM events WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "events of no alert",
        advice: "they take room, and nobody sees them",
        cure: Some("DELETE FROM events WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
];

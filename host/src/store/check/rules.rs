//! The promises of the store, as queries that must find nothing.

/// A rule: the query names, in its first column, each row that breaks it. The rest is for the
/// operator.
pub struct Rule {
    pub broken: &'static str,
    pub what: &'static str,
    pub advice: &'static str,
    pub cure: Option<&'static str>,
}

pub const RULES: &[Rule] = &[
    Rule {
        broken: "SELECT name FROM (
                     SELECT 'pending' AS name, (SELECT count(*) FROM queue) AS counted
                     UNION ALL SELECT 'delivered', (SELECT count(*) FROM attempts WHERE outcome = 'accepted')
                     UNION ALL SELECT 'dead', (SELECT count(*) FROM dead)
                     UNION ALL SELECT 'alerts', (SELECT count(*) FROM alerts)
                     UNION ALL SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed'))
                 WHERE counted IS NOT (SELECT n FROM totals WHERE state = name)",
        what: "totals that are not the number of rows",
        advice: "metrics show wrong figures, and identities are bounded by them; nothing else follows",
        cure: Some(
            "INSERT OR REPLACE INTO totals SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed') \
             UNION ALL SELECT 'pending', (SELECT count(*) FROM queue) \
             UNION ALL SELECT 'delivered', (SELECT count(*) FROM attempts WHERE outcome = 'accepted') \
             UNION ALL SELECT 'alerts', (SELECT count(*) FROM alerts) \
             UNION ALL SELECT 'dead', (SELECT count(*) FROM dead)",
        ),
    },
    Rule {
        broken: "SELECT name FROM sources s WHERE (failed, unproven, unproven_bytes) <>
                 (SELECT count(*), count(unproven), ifnull(sum(unproven), 0) FROM requests
                  WHERE source = s.id AND state = 'failed')",
        what: "sources with a wrong count of requests that their plugin failed on",
        advice: "that the plugin is fixed is told too early, or never; or too many are kept",
        cure: Some(
            "UPDATE sources SET (failed, unproven, unproven_bytes) = \
             (SELECT count(*), count(unproven), ifnull(sum(unproven), 0) FROM requests \
             WHERE source = sources.id AND state = 'failed')",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM queue GROUP BY ordering_key, destination HAVING count(due_at) = 0",
        what: "pending alerts, none of whose key is ever due",
        advice: "they and those behind them are never delivered",
        cure: Some(
            "UPDATE queue SET due_at = 0 WHERE id IN (SELECT min(id) FROM queue \
             GROUP BY ordering_key, destination HAVING count(due_at) = 0)",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM queue GROUP BY ordering_key, destination HAVING count(due_at) > 1",
        what: "pending alerts with the same key that are due beside each other",
        advice: "they may be delivered out of order",
        cure: Some(
            "UPDATE queue AS a SET due_at = NULL WHERE EXISTS (SELECT 1 FROM queue AS b \
             WHERE b.ordering_key = a.ordering_key AND b.destination = a.destination AND b.due_at IS NOT NULL \
             AND b.id < a.id)",
        ),
    },
    Rule {
        broken: "SELECT id FROM queue WHERE due_at > (unixepoch() + 24 * 60 * 60) * 1000",
        what: "pending alerts that are not due for a day or more",
        advice: "nothing waits that long: the machine's clock was wrong when they were put off",
        cure: Some("UPDATE queue SET due_at = 0 WHERE due_at IS NOT NULL"),
    },
    Rule {
        broken: "SELECT id FROM dead WHERE id IN (SELECT id FROM queue)",
        what: "dead letters that are pending",
        advice: "they are delivered, and shown as both",
        cure: Some("DELETE FROM dead WHERE id IN (SELECT id FROM queue)"),
    },
    Rule {
        broken: "SELECT id FROM queue WHERE id / 16 NOT IN (SELECT id FROM alerts)
                 UNION ALL SELECT id FROM dead WHERE id / 16 NOT IN (SELECT id FROM alerts)",
        what: "deliveries of no alert",
        advice: "they cannot be delivered, and are dead letters when they are due",
        cure: Some(
            "DELETE FROM queue WHERE id / 16 NOT IN (SELECT id FROM alerts); \
             DELETE FROM dead WHERE id / 16 NOT IN (SELECT id FROM alerts)",
        ),
    },
    Rule {
        broken: "SELECT seq FROM requests WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored', 'dismissed')",
        what: "requests in a state that there is not",
        advice: "they are not read again",
        cure: Some(
            "UPDATE requests SET state = 'failed' \
             WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored', 'dismissed')",
        ),
    },
    Rule {
        broken: "SELECT seq FROM requests WHERE state = 'failed' AND seq NOT IN (SELECT seq FROM bodies)",
        what: "failed requests of which nothing is kept but the id",
        advice: "they cannot be read again: dismiss them (`events dismiss`)",
        cure: None,
    },
    Rule {
        broken: "SELECT id FROM queue WHERE id / 16 IN (SELECT id FROM alerts) AND id / 16 NOT IN (SELECT alert FROM events)",
        what: "pending alerts of which nothing is kept but the id",
        advice: "they cannot be delivered, and are dead letters when they are due; their request is kept (`events show`)",
        cure: None,
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE id / 1024 NOT IN (SELECT seq FROM requests)",
        what: "alerts outside the range of any request",
        advice: "they cannot be delivered, and are dead letters when they are due",
        cure: None,
    },
    Rule {
        broken: "SELECT a.id FROM alerts a LEFT JOIN sources s ON s.id = a.source WHERE s.id IS NULL
                 UNION ALL SELECT seq FROM requests WHERE source NOT IN (SELECT id FROM sources)",
        what: "rows of a source that there is not",
        advice: "`events` does not show them, and they cannot be delivered. Another program wrote them",
        cure: None,
    },
    Rule {
        broken: "SELECT a.id FROM alerts a JOIN sources s ON s.id = a.source
                 WHERE a.id / 1024 < ifnull((SELECT before FROM identified), 0)
                 AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.hash = event_identity(s.name, a.event_id))",
        what: "alerts whose event is not known again",
        advice: "a repeat of them opens again",
        cure: None,
    },
    Rule {
        broken: "SELECT hex(hash) FROM identities WHERE alert NOT IN (SELECT id FROM alerts)
                 AND alert / 1024 NOT IN (SELECT seq FROM requests)",
        what: "identities of no alert",
        advice: "what has them counts as a repeat of something that is not kept",
        cure: Some(
            "DELETE FROM identities WHERE alert NOT IN (SELECT id FROM alerts) \
             AND alert / 1024 NOT IN (SELECT seq FROM requests)",
        ),
    },
    Rule {
        broken: "SELECT DISTINCT delivery FROM attempts WHERE delivery / 16 NOT IN (SELECT id FROM alerts)",
        what: "attempts at delivering no alert",
        advice: "they take room, and are shown nowhere",
        cure: Some("DELETE FROM attempts WHERE delivery / 16 NOT IN (SELECT id FROM alerts)"),
    },
    Rule {
        broken: "SELECT id FROM fallbacks WHERE id / 16 NOT IN (SELECT id FROM alerts) OR id / 16 <> of / 16",
        what: "fallbacks of no alert",
        advice: "they take room, and are shown nowhere",
        cure: Some(
            "DELETE FROM fallbacks WHERE id / 16 NOT IN (SELECT id FROM alerts) OR id / 16 <> of / 16",
        ),
    },
    Rule {
        broken: "SELECT alert FROM events WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "events of no alert",
        advice: "they take room, and are shown nowhere",
        cure: Some("DELETE FROM events WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
    Rule {
        broken: "SELECT ordering_key FROM orders WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "orders of no alert",
        advice: "what has a smaller order is ignored, though nothing greater is kept",
        cure: Some("DELETE FROM orders WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
    Rule {
        broken: "SELECT alert FROM members WHERE alert NOT IN (SELECT id FROM alerts)
                 OR grp NOT IN (SELECT id FROM groups)
                 UNION ALL SELECT alert FROM keys WHERE at IS NULL AND alert NOT IN (SELECT id FROM alerts)
                 UNION ALL SELECT alert FROM muted WHERE alert NOT IN (SELECT id FROM alerts)
                 OR mute NOT IN (SELECT id FROM mutes)",
        what: "members of no group, alerts of no mute, or rows about alerts that are not there",
        advice: "they take room, and are shown nowhere",
        cure: Some(
            "DELETE FROM members WHERE alert NOT IN (SELECT id FROM alerts) OR grp NOT IN (SELECT id FROM groups); \
             DELETE FROM keys WHERE at IS NULL AND alert NOT IN (SELECT id FROM alerts); \
             DELETE FROM muted WHERE alert NOT IN (SELECT id FROM alerts) OR mute NOT IN (SELECT id FROM mutes)",
        ),
    },
    Rule {
        broken: "SELECT alert FROM members m JOIN alerts a ON a.id = m.alert WHERE a.ignored IS NULL
                 AND EXISTS (SELECT 1 FROM queue q WHERE q.id BETWEEN a.id * 16 AND a.id * 16 + 15)",
        what: "members of a group that are delivered by themselves as well",
        advice: "the destination shows the event twice. Another program wrote them",
        cure: None,
    },
    Rule {
        broken: "SELECT id FROM groups WHERE (look_at IS NULL) <> (closed_at IS NOT NULL)
                 OR source NOT IN (SELECT id FROM sources)",
        what: "groups that are neither open nor resolved",
        advice: "they are shown as what they are not. Another program wrote them",
        cure: None,
    },
    Rule {
        broken: "SELECT seq FROM bodies WHERE seq NOT IN (SELECT seq FROM requests)
                 UNION ALL SELECT alert FROM repeats WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "bodies of no request, or repeats of no alert",
        advice: "they take room, and are shown nowhere",
        cure: Some(
            "DELETE FROM bodies WHERE seq NOT IN (SELECT seq FROM requests); \
             DELETE FROM repeats WHERE alert NOT IN (SELECT id FROM alerts)",
        ),
    },
];

//! The senders' words for priorities and for statuses: one table of each, gathered from the
//! vendors' documentation.
//!
//! | vendor | priorities | statuses |
//! |---|---|---|
//! | Alertmanager, Grafana, Mimir | critical, warning, info, none | firing, resolved; Alerting, Normal, NoData |
//! | AppDynamics | | POLICY_OPEN_CRITICAL, POLICY_CLOSE_CRITICAL |
//! | Argo CD, Flux, Kubernetes | info, error | Synced, OutOfSync, Degraded; ReconciliationSucceeded, HealthCheckFailed |
//! | Azure Monitor | Sev0 … Sev4 | Fired, Activated, Resolved, Deactivated |
//! | Better Stack, Pingdom, StatusCake, Site24x7 | HIGH, LOW | down, up, trouble; Started, acknowledged, resolved |
//! | Cloudflare | | ALERT_STATE_EVENT_START, ALERT_STATE_EVENT_END |
//! | CloudWatch | | ALARM, OK |
//! | Datadog | P1 … P5, error, warning, success | Triggered, Re-Triggered, No Data, Warn, Recovered |
//! | Dynatrace | AVAILABILITY, ERROR, PERFORMANCE, RESOURCE_CONTENTION | OPEN, RESOLVED |
//! | Elastic | low … critical; red, yellow, green | active, recovered |
//! | Google Cloud | DEBUG … EMERGENCY, No severity | open, closed |
//! | Honeybadger, Rollbar, Oh Dear | | check_in_missing, check_in_reporting; resolved_item; uptimeCheckRecoveredNotification |
//! | Jenkins, GitHub | | FAILURE, UNSTABLE, SUCCESS, timed_out |
//! | Nagios, Icinga, Checkmk | OK, WARNING, CRITICAL, DOWN | PROBLEM, RECOVERY, ACKNOWLEDGEMENT, UNREACHABLE |
//! | Netdata | CRITICAL, WARNING, CLEAR | the same |
//! | New Relic | CRITICAL … LOW | CREATED, ACTIVATED, ACKNOWLEDGED, CLOSED, DEACTIVATED |
//! | ntfy, Gotify | max, high, default, low, min | |
//! | Opsgenie, PagerDuty, Splunk On-Call | P1 … P5; critical, error, warning, info | incident.triggered, incident.resolved, Create, Close, UnAcknowledge |
//! | Oracle Cloud, NinjaOne | | OK_TO_FIRING, FIRING_TO_OK, REPEAT, RESET |
//! | Sentry | fatal, error, warning, info, debug | triggered, unresolved, resolved |
//! | Splunk, CVSS, ServiceNow | info, low, medium, high, critical; `1 - Critical`, `5 - Planning` | anomalous, manually resolved |
//! | Statuspage | none, minor, major, critical | investigating, identified, monitoring, resolved; major_outage, operational |
//! | Sumo Logic | | Critical, MissingData, ResolvedCritical, ResolvedMissingData |
//! | syslog | emerg … debug | |
//! | Zabbix | Disaster, High, Average, Warning, Information, Not classified | PROBLEM, RESOLVED |
//!
//! Two rules. A word never means its opposite: what ends with another word in front of it (`not
//! ok`, `unresolved`) is not read as the end. And what several vendors mean differently has the
//! more urgent meaning: Azure's `Sev1` is an error, and everybody else's is the worst there is. A
//! word that is not here means nothing: the caller takes a default no lower than a known word's,
//! and adds a [`Note`](crate::contract::Note).

use crate::contract::{Priority, Status};

/// Words without their spaces and punctuation, in lower case, and what they mean: `c`ritical,
/// `h`igh, `m`edium or `l`ow. One flat table, because the code of several would be larger than they
/// are.
static PRIORITIES: [(&str, u8); 111] = [
    ("critical", b'c'),
    ("crit", b'c'),
    ("fatal", b'c'),
    ("emergency", b'c'),
    ("emerg", b'c'),
    ("panic", b'c'),
    ("alert", b'c'),
    ("disaster", b'c'),
    ("catastrophic", b'c'),
    ("urgent", b'c'),
    ("blocker", b'c'),
    ("highest", b'c'),
    ("veryhigh", b'c'),
    ("severe", b'c'),
    ("extreme", b'c'),
    ("page", b'c'),
    ("max", b'c'),
    ("outage", b'c'),
    ("majoroutage", b'c'),
    ("down", b'c'),
    ("availability", b'c'),
    ("red", b'c'),
    ("p0", b'c'),
    ("p1", b'c'),
    ("sev0", b'c'),
    ("sev1", b'c'),
    ("s0", b'c'),
    ("s1", b'c'),
    ("severity0", b'c'),
    ("severity1", b'c'),
    ("priority0", b'c'),
    ("priority1", b'c'),
    ("high", b'h'),
    ("error", b'h'),
    ("err", b'h'),
    ("errors", b'h'),
    ("major", b'h'),
    ("important", b'h'),
    ("serious", b'h'),
    ("failure", b'h'),
    ("failed", b'h'),
    ("alarm", b'h'),
    ("unreachable", b'h'),
    ("partialoutage", b'h'),
    ("monitoringunavailable", b'h'),
    ("trouble", b'h'),
    ("customalert", b'h'),
    ("orange", b'h'),
    ("p2", b'h'),
    ("sev2", b'h'),
    ("s2", b'h'),
    ("severity2", b'h'),
    ("priority2", b'h'),
    ("medium", b'm'),
    ("med", b'm'),
    ("moderate", b'm'),
    ("warning", b'm'),
    ("warn", b'm'),
    ("minor", b'm'),
    ("average", b'm'),
    ("normal", b'm'),
    ("degraded", b'm'),
    ("degradedperformance", b'm'),
    ("performance", b'm'),
    ("resourcecontention", b'm'),
    ("unstable", b'm'),
    ("default", b'm'),
    ("unspecified", b'm'),
    ("noseverity", b'm'),
    ("nopriority", b'm'),
    ("ticket", b'm'),
    ("yellow", b'm'),
    ("amber", b'm'),
    ("p3", b'm'),
    ("sev3", b'm'),
    ("s3", b'm'),
    ("severity3", b'm'),
    ("priority3", b'm'),
    ("low", b'l'),
    ("lowest", b'l'),
    ("info", b'l'),
    ("information", b'l'),
    ("informational", b'l'),
    ("notice", b'l'),
    ("debug", b'l'),
    ("trace", b'l'),
    ("verbose", b'l'),
    ("trivial", b'l'),
    ("none", b'l'),
    ("ok", b'l'),
    ("success", b'l'),
    ("clear", b'l'),
    ("green", b'l'),
    ("p4", b'l'),
    ("p5", b'l'),
    ("sev4", b'l'),
    ("sev5", b'l'),
    ("s4", b'l'),
    ("s5", b'l'),
    ("severity4", b'l'),
    ("severity5", b'l'),
    ("priority4", b'l'),
    ("priority5", b'l'),
    ("verylow", b'l'),
    ("min", b'l'),
    ("planning", b'l'),
    ("recovery", b'l'),
    ("recovered", b'l'),
    ("resolved", b'l'),
    ("maintenance", b'l'),
    ("notclassified", b'l'),
];

/// Words without a meaning beside a known one: `High priority`, `1 - Critical`.
static NOISE: [&str; 10] = [
    "priority",
    "prio",
    "severity",
    "sev",
    "risk",
    "criticality",
    "level",
    "urgency",
    "impact",
    "importance",
];

static TRIGGERS: [&str; 113] = [
    "trigger",
    "triggered",
    "triggering",
    "retriggered",
    "firing",
    "fired",
    "fire",
    "refiring",
    "alerting",
    "alert",
    "alerted",
    "alarm",
    "alarming",
    "active",
    "activated",
    "open",
    "opened",
    "reopen",
    "reopened",
    "new",
    "create",
    "created",
    "raise",
    "raised",
    "problem",
    "down",
    "offline",
    "unreachable",
    "unavailable",
    "fail",
    "failed",
    "failure",
    "failing",
    "failures",
    "error",
    "errored",
    "errors",
    "critical",
    "crit",
    "fatal",
    "emergency",
    "disaster",
    "warning",
    "warn",
    "warned",
    "unhealthy",
    "nodata",
    "renodata",
    "rewarn",
    "unknown",
    "outage",
    "majoroutage",
    "partialoutage",
    "degraded",
    "degradedperformance",
    "trouble",
    "broken",
    "bad",
    "red",
    "yellow",
    "unstable",
    "timeout",
    "timedout",
    "startupfailure",
    "unresolved",
    "notresolved",
    "notok",
    "nok",
    "unsolved",
    "unfixed",
    "recovering",
    "ongoing",
    "investigating",
    "identified",
    "monitoring",
    "acknowledge",
    "acknowledged",
    "acknowledgement",
    "ack",
    "acked",
    "unacknowledge",
    "unacknowledged",
    "escalate",
    "unconfirmeddown",
    "assigned",
    "escalated",
    "inprogress",
    "stillfiring",
    "stillfailing",
    "reminder",
    "renotify",
    "flapping",
    "flappingstart",
    "breached",
    "exceeded",
    "started",
    "start",
    "detected",
    "triage",
    "anomalous",
    "missingdata",
    "outofsync",
    "notready",
    "notresponding",
    "crashed",
    "crashloopbackoff",
    "checkinmissing",
    "openwarning",
    "opencritical",
    "continueswarning",
    "continuescritical",
    "oktofiring",
    "repeat",
];

static RESOLVES: [&str; 59] = [
    "resolve",
    "resolved",
    "ok",
    "okay",
    "closed",
    "close",
    "up",
    "recovered",
    "recovery",
    "recover",
    "success",
    "successful",
    "succeeded",
    "passed",
    "passing",
    "pass",
    "healthy",
    "normal",
    "backtonormal",
    "fixed",
    "cleared",
    "clear",
    "inactive",
    "deactivated",
    "green",
    "operational",
    "online",
    "available",
    "restored",
    "solved",
    "completed",
    "complete",
    "ended",
    "done",
    "good",
    "autoresolved",
    "autoclosed",
    "reachable",
    "postmortem",
    "nowok",
    "isup",
    "backonline",
    "isok",
    "nodatarecovered",
    "warnrecovered",
    "end",
    "reset",
    "ready",
    "synced",
    "manuallyresolved",
    "resolvedcritical",
    "resolvedwarning",
    "resolvedmissingdata",
    "closewarning",
    "closecritical",
    "canceledwarning",
    "canceledcritical",
    "firingtook",
    "checkinreporting",
];

/// Words before a status that do not change it, one or several: `incident.resolved`,
/// `ALERT_DEGRADED_RECOVERY`; and behind one that ends with `-ed`: `resolved_item`.
static NOUNS: [&str; 48] = [
    "incident",
    "alert",
    "monitor",
    "issue",
    "event",
    "problem",
    "alarm",
    "check",
    "metric",
    "case",
    "ticket",
    "error",
    "service",
    "host",
    "status",
    "state",
    "warning",
    "degraded",
    "failure",
    "outage",
    "build",
    "job",
    "pipeline",
    "workflow",
    "deployment",
    "backup",
    "node",
    "server",
    "site",
    "website",
    "instance",
    "device",
    "component",
    "endpoint",
    "violation",
    "trigger",
    "item",
    "group",
    "notification",
    "policy",
    "threshold",
    "metrics",
    "health",
    "uptime",
    "reconciliation",
    "install",
    "upgrade",
    "artifact",
];

/// The letters and digits of a word, in lower case.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The parts of a text between spaces and punctuation, in lower case, but for the empty ones.
fn parts(word: &str) -> Vec<String> {
    word.split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The text with a space before each capital that follows a small letter: `CheckFailed`.
fn spaced(word: &str) -> String {
    let mut spaced = String::with_capacity(word.len() + 4);
    for char in word.chars() {
        if char.is_uppercase() && spaced.ends_with(char::is_lowercase) {
            spaced.push(' ');
        }
        spaced.push(char);
    }
    spaced
}

/// Symbols that people put beside the end of an alert, and beside its beginning.
static GOOD: [char; 5] = ['✅', '✔', '🟢', '💚', '\u{fe0f}'];
static BAD: [char; 9] = ['🔴', '🚨', '🔥', '❌', '🟠', '🟡', '⚠', '🛑', '\u{fe0f}'];

impl Priority {
    /// The priority that a word for a severity means, however it is written: `critical`, `Sev 0`,
    /// `P1 – Critical`, `Disaster`, `warn`. `None` for a word that nobody has agreed upon, and for
    /// a number alone, because scales run both ways.
    pub fn from_word(word: &str) -> Option<Self> {
        if word.len() > MAX_BYTES {
            return None;
        }
        if let Some(priority) = of_plain(&plain(word)) {
            return Some(priority);
        }
        let mut found = None;
        for part in parts(word) {
            let is_noise =
                NOISE.contains(&&*part) || part.bytes().all(|byte| byte.is_ascii_digit());
            match of_plain(&part) {
                // The contract orders priorities from the most urgent down.
                Some(priority) => {
                    found = Some(found.map_or(priority, |found: Self| found.min(priority)))
                }
                None if is_noise => {}
                None => return None,
            }
        }
        found
    }
}

/// A longer text is no word.
const MAX_BYTES: usize = 60;

fn of_plain(word: &str) -> Option<Priority> {
    let (_, letter) = PRIORITIES.iter().find(|(known, _)| *known == word)?;
    Some(match letter {
        b'c' => Priority::Critical,
        b'h' => Priority::High,
        b'm' => Priority::Medium,
        _ => Priority::Low,
    })
}

impl Status {
    /// The status that a word means, however it is written: `firing`, `No Data`,
    /// `incident.resolved`, `✅ OK`. `None` for a word that nobody has agreed upon, such as
    /// `pending`, and for a number or a truth, because they run both ways.
    pub fn from_word(word: &str) -> Option<Self> {
        if word.len() > MAX_BYTES {
            return None;
        }
        let word = word.trim();
        let word = word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'))
            .unwrap_or(word);
        for (status, symbols) in [(Self::Resolve, &GOOD[..]), (Self::Trigger, &BAD[..])] {
            let bare = word.trim_matches(|c| symbols.contains(&c));
            if bare.len() < word.len() {
                return of_status(bare).filter(|found| *found == status);
            }
        }
        of_status(word)
    }
}

/// The status of a word without symbols.
fn of_status(word: &str) -> Option<Status> {
    // A list, a question or a word with a slip in it closes nothing.
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if !word.chars().all(|c| c.is_alphanumeric() || is_separator(c)) {
        return None;
    }
    let of = |word: &str| {
        if RESOLVES.contains(&word) {
            Some(Status::Resolve)
        } else {
            TRIGGERS.contains(&word).then_some(Status::Trigger)
        }
    };
    let parts = parts(&spaced(word));
    let is_noun = |part: &&String| NOUNS.contains(&&***part);
    // `restored: degraded` tells of the state after it, and not of the one that is over.
    let is_thing = |part: &&String| is_noun(part) && **part != "degraded";
    let before = parts.iter().take_while(is_noun).count();
    let (_, rest) = parts.split_at(before.min(parts.len().saturating_sub(1)));
    let behind = rest[1.min(rest.len())..]
        .iter()
        .rev()
        .take_while(is_thing)
        .count();
    let bare = &rest[..rest.len() - behind];
    of(&plain(word)).or_else(|| of(&rest.concat())).or_else(|| {
        let is_past = bare.last().is_some_and(|last| last.ends_with("ed"));
        of(&bare.concat()).filter(|_| behind > 0 && is_past)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_own_words_mean_themselves() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_word(priority.as_str()), Some(priority));
        }
        for status in [Status::Trigger, Status::Resolve] {
            assert_eq!(Status::from_word(status.as_str()), Some(status));
        }
    }

    #[test]
    fn words_stand_once_and_plain() {
        let mut priorities: Vec<&str> = PRIORITIES.iter().map(|(word, _)| *word).collect();
        let mut statuses: Vec<&str> = TRIGGERS.iter().chain(&RESOLVES).copied().collect();
        for words in [&mut priorities, &mut statuses] {
            assert!(words.iter().all(|word| plain(word) == *word));
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count, "a word has two meanings");
        }
    }

    /// Each vendor's scale, the most urgent first.
    #[test]
    fn no_scale_of_a_vendor_is_inverted() {
        for scale in [
            &["P0", "P1", "P2", "P3", "P4", "P5"][..],
            &["Sev0", "Sev1", "Sev2", "Sev3", "Sev4", "Sev5"],
            &["SEV-1", "SEV-2", "SEV-3"],
            &[
                "Disaster",
                "High",
                "Average",
                "Warning",
                "Information",
                "Not classified",
            ],
            &[
                "Severity 1",
                "Severity 2",
                "Severity 3",
                "Severity 4",
                "Severity 5",
            ],
            &["S1", "S2", "S3", "S4", "S5"],
            &["Priority 1", "Priority 3", "Priority 4", "Priority 5"],
            &["DOWN", "TROUBLE"],
            &["critical", "major", "minor", "maintenance"],
            &["page", "ticket"],
            &[
                "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
            ],
            &[
                "EMERGENCY",
                "ALERT",
                "CRITICAL",
                "ERROR",
                "WARNING",
                "NOTICE",
                "INFO",
                "DEBUG",
            ],
            &["critical", "error", "warning", "info"],
            &["critical", "major", "minor", "none"],
            &[
                "major_outage",
                "partial_outage",
                "degraded_performance",
                "operational",
            ],
            &["fatal", "error", "warning", "info", "debug"],
            &["CRITICAL", "HIGH", "MEDIUM", "LOW"],
            &["AVAILABILITY", "ERROR", "PERFORMANCE"],
            &["Highest", "High", "Medium", "Low", "Lowest"],
            &["Blocker", "Major", "Minor", "Trivial"],
            &[
                "1 - Critical",
                "2 - High",
                "3 - Moderate",
                "4 - Low",
                "5 - Planning",
            ],
            &["max", "high", "default", "low", "min"],
            &["red", "yellow", "green"],
            &["DOWN", "WARNING", "OK"],
            &["urgent", "high", "normal", "low"],
        ] {
            let read: Vec<Priority> = scale
                .iter()
                .filter_map(|word| Priority::from_word(word))
                .collect();
            let known = scale.iter().filter(|word| **word != "operational").count();
            assert_eq!(read.len(), known, "{scale:?}");
            assert!(read.is_sorted(), "{scale:?}: {read:?}");
            assert_eq!(read[0], Priority::Critical, "{scale:?}");
        }
    }

    #[test]
    fn priorities_are_read_however_they_are_written() {
        for (word, priority) in [
            (" Fatal ", Some(Priority::Critical)),
            ("Sev 0", Some(Priority::Critical)),
            ("P1 – Critical", Some(Priority::Critical)),
            ("P3 (High)", Some(Priority::High)),
            ("High priority", Some(Priority::High)),
            ("priority: 2", Some(Priority::High)),
            ("ERROR", Some(Priority::High)),
            ("Warning", Some(Priority::Medium)),
            ("notice", Some(Priority::Low)),
            ("prio: low", Some(Priority::Low)),
            ("Low risk", Some(Priority::Low)),
            ("No severity", Some(Priority::Medium)),
            ("SEVERITY_UNSPECIFIED", Some(Priority::Medium)),
            ("purple", None),
            ("not critical", None),
            ("1", None),
            ("", None),
            ("–", None),
        ] {
            assert_eq!(Priority::from_word(word), priority, "{word:?}");
        }
    }

    #[test]
    fn statuses_are_read_however_they_are_written() {
        for word in [
            "Firing",
            "PROBLEM",
            "Re-Triggered",
            "No Data",
            "no_data",
            "ALARM",
            "Activated",
            "incident.triggered",
            "alert_created",
            "in_progress",
            "timed_out",
            "startup_failure",
            "major_outage",
            "unresolved",
            "not resolved",
            "NOT OK",
            "Acknowledged",
            "issue.reopened",
            "ALERT_FAILURE",
            "down",
            "Re-Warn",
            "build failed",
            "ALERT_DEGRADED_FAILURE",
            "Started",
            "ALERT_STATE_EVENT_START",
            "HealthCheckFailed",
            "NotReady",
            "OutOfSync",
            "OK_TO_FIRING",
            "POLICY_OPEN_CRITICAL",
            "POLICY_CONTINUES_WARNING",
            "MissingData",
            "check_in_missing",
            "reopened_item",
            "uptimeCheckFailedNotification",
            "monitor.no_data",
            "alert not ok",
            "🔴 Down",
            "[FIRING]",
            "⚠️ warning",
        ] {
            assert_eq!(Status::from_word(word), Some(Status::Trigger), "{word}");
        }
        for word in [
            " OK ",
            "Resolved",
            "RECOVERY",
            "incident.resolved",
            "alert.closed",
            "Deactivated",
            "up",
            "CLEAR",
            "Normal",
            "Auto-Resolved",
            "back to normal",
            "Back online",
            "SUCCESS",
            "ALERT_RECOVERY",
            "warning cleared",
            "Warn Recovered",
            "No Data Recovered",
            "ALERT_DEGRADED_RECOVERY",
            "build fixed",
            "host check recovered",
            "incident.auto_resolved",
            "alert group resolved",
            "service is up",
            "ALERT_STATE_EVENT_END",
            "ReconciliationSucceeded",
            "resolved_item",
            "Closed Alert",
            "uptimeCheckRecoveredNotification",
            "POLICY_CLOSE_CRITICAL",
            "POLICY_CANCELED_WARNING",
            "FIRING_TO_OK",
            "RESET",
            "manually resolved",
            "ResolvedMissingData",
            "check_in_reporting",
            "metrics threshold recovered",
            "✅ Resolved",
            "🟢 Up",
            "✔️ OK",
            "[RESOLVED]",
        ] {
            assert_eq!(Status::from_word(word), Some(Status::Resolve), "{word}");
        }
        for word in [
            "pending",
            "",
            "1",
            "0",
            "true",
            "cancelled",
            "archived",
            "not yet up",
            "up and down",
            "partially resolved",
            "never ok",
            "alert not resolved yet",
            "incident nearly resolved",
            "service",
            "insufficient_data",
            "skipped",
            "[\"ok\"]",
            "ok?",
            "!ok",
            "re(solved)",
            "r&esolved",
            "✅ Down",
            "🔴 Up",
            "✅",
            "[ok, ok]",
            "restored: degraded",
            "recovery failed",
            "recovery issue",
            "failed to recover",
            "disaster recovery",
            "escalation ended",
            "maintenance_ended",
            "DowntimeEnd",
            "FLAPPINGSTOP",
            "Up to Down",
            "RollbackSucceeded",
            &"ok ".repeat(40),
        ] {
            assert_eq!(Status::from_word(word), None, "{word}");
        }
    }
}

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
//! | PRTG | Down, Unusual | Down (Acknowledged), Down ended (now: Up) |
//! | Sentry | fatal, error, warning, info, debug | triggered, unresolved, resolved |
//! | Splunk, CVSS, ServiceNow | info, low, medium, high, critical; `1 - Critical`, `5 - Planning` | anomalous, manually resolved |
//! | Statuspage | none, minor, major, critical | investigating, identified, monitoring, resolved; major_outage, operational |
//! | Sumo Logic | | Critical, MissingData, ResolvedCritical, ResolvedMissingData |
//! | syslog | emerg … debug | |
//! | VMware | ALERT_CRITICALITY_LEVEL_IMMEDIATE | |
//! | Zabbix | Disaster, High, Average, Warning, Information, Not classified | PROBLEM, RESOLVED |
//! | senders that follow their user's language | kritisch, haute, baja, 严重 | behoben, résolu, cerrado, 已恢复 |
//!
//! Two rules. A word never means its opposite: what ends with another word in front of it (`not
//! ok`, `unresolved`) is not read as the end. And what several vendors mean differently has the
//! more urgent meaning: Azure's `Sev1` is an error, and everybody else's is the worst there is. A
//! word that is not here means nothing: the caller takes a default no lower than a known word's,
//! and adds a [`Note`](crate::contract::Note).

use crate::contract::{Priority, Status};

/// Words without their spaces, punctuation and accents, in lower case, and what they mean: `c`ritical,
/// `h`igh, `m`edium or `l`ow. One flat table, because the code of several would be larger than they
/// are.
static PRIORITIES: [(&str, u8); 175] = [
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
    ("immediate", b'h'),
    ("unusual", b'm'),
    ("caution", b'm'),
    ("minimal", b'l'),
    ("informative", b'l'),
    ("kritisch", b'c'),
    ("kritiek", b'c'),
    ("critique", b'c'),
    ("critico", b'c'),
    ("critica", b'c'),
    ("hochste", b'c'),
    ("hoechste", b'c'),
    ("dringend", b'c'),
    ("urgente", b'c'),
    ("严重", b'c'),
    ("紧急", b'c'),
    ("致命", b'c'),
    ("緊急", b'c'),
    ("重大", b'c'),
    ("hoch", b'h'),
    ("haute", b'h'),
    ("eleve", b'h'),
    ("elevee", b'h'),
    ("alto", b'h'),
    ("alta", b'h'),
    ("hoog", b'h'),
    ("fehler", b'h'),
    ("erreur", b'h'),
    ("errore", b'h'),
    ("erro", b'h'),
    ("fout", b'h'),
    ("高", b'h'),
    ("重要", b'h'),
    ("mittel", b'm'),
    ("moyen", b'm'),
    ("moyenne", b'm'),
    ("medio", b'm'),
    ("media", b'm'),
    ("gemiddeld", b'm'),
    ("warnung", b'm'),
    ("avertissement", b'm'),
    ("advertencia", b'm'),
    ("aviso", b'm'),
    ("avviso", b'm'),
    ("waarschuwing", b'm'),
    ("中", b'm'),
    ("次要", b'm'),
    ("警告", b'm'),
    ("niedrig", b'l'),
    ("niedrigste", b'l'),
    ("gering", b'l'),
    ("faible", b'l'),
    ("basse", b'l'),
    ("baja", b'l'),
    ("bajo", b'l'),
    ("baixa", b'l'),
    ("baixo", b'l'),
    ("bassa", b'l'),
    ("basso", b'l'),
    ("laag", b'l'),
    ("低", b'l'),
    ("提示", b'l'),
    ("信息", b'l'),
    ("情報", b'l'),
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

static TRIGGERS: [&str; 177] = [
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
    "unacked",
    "missing",
    "worse",
    "stillunstable",
    "assign",
    "infrastructurefail",
    "unkn",
    "unreach",
    "thresholdmet",
    "querymatched",
    "violated",
    "breach",
    "tripped",
    "disconnected",
    "notconnected",
    "overdue",
    "stalled",
    "impaired",
    "disrupted",
    "disruption",
    "unusual",
    "fault",
    "faulty",
    "dead",
    "abovethreshold",
    "outofrange",
    "repeated",
    "escalation",
    "fehler",
    "storung",
    "stoerung",
    "ausgefallen",
    "ausfall",
    "warnung",
    "kritisch",
    "offen",
    "probleme",
    "panne",
    "ouvert",
    "ouverte",
    "alerte",
    "erreur",
    "problema",
    "abierto",
    "abierta",
    "aberto",
    "aberta",
    "caido",
    "caida",
    "alerta",
    "alarma",
    "alarme",
    "aperto",
    "aperta",
    "allarme",
    "storing",
    "告警",
    "报警",
    "故障",
    "异常",
    "触发",
    "障害",
    "異常",
    "発生",
];

static RESOLVES: [&str; 132] = [
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
    "autoresolve",
    "autoclose",
    "automaticallyresolved",
    "resolvedautomatically",
    "automaticallyclosed",
    "closedautomatically",
    "manuallyclosed",
    "closedmanually",
    "resolvedmanually",
    "allclear",
    "nolongerfiring",
    "nolongeractive",
    "nolongeralerting",
    "notfiring",
    "notalerting",
    "upagain",
    "okagain",
    "onlineagain",
    "nowup",
    "nowonline",
    "backtook",
    "backtohealthy",
    "backtostable",
    "stable",
    "connected",
    "reconnected",
    "alive",
    "remediated",
    "rectified",
    "normalized",
    "returntonormal",
    "returnedtonormal",
    "belowthreshold",
    "snitchreporting",
    "behoben",
    "gelost",
    "geloest",
    "erledigt",
    "geschlossen",
    "beendet",
    "resolu",
    "resolue",
    "termine",
    "terminee",
    "ferme",
    "fermee",
    "retabli",
    "retablie",
    "resuelto",
    "resuelta",
    "cerrado",
    "cerrada",
    "recuperado",
    "recuperada",
    "resolvido",
    "resolvida",
    "fechado",
    "fechada",
    "risolto",
    "risolta",
    "chiuso",
    "chiusa",
    "opgelost",
    "gesloten",
    "hersteld",
    "恢复",
    "已恢复",
    "已解决",
    "已关闭",
    "正常",
    "復旧",
    "解決",
    "解決済み",
];

/// Words before a status that do not change it, one or several: `incident.resolved`,
/// `ALERT_DEGRADED_RECOVERY`; and behind one that ends with `-ed`: `resolved_item`.
static NOUNS: [&str; 59] = [
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
    "snitch",
    "limit",
    "problema",
    "probleme",
    "alerta",
    "alerte",
    "alarma",
    "alarme",
    "incidente",
    "storung",
    "fehler",
];

/// Words that name the matter rather than its urgency, where another word does:
/// `ALERT_CRITICALITY_LEVEL_WARNING`.
static WEAK: [&str; 2] = ["alert", "alarm"];

/// The scales whose names stand before a number: `Prio 1`, `Severity Level 2`.
static SCALES: [&str; 4] = ["severitylevel", "prioritylevel", "prio", "pri"];

/// The letters and digits of a word, in lower case and without accents.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .map(unaccented)
        .collect()
}

/// The parts of a text between spaces and punctuation, each as [`plain`] has it.
fn parts(word: &str) -> Vec<String> {
    word.split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(plain)
        .collect()
}

/// Senders write words of the same language with accents and without.
fn unaccented(letter: char) -> char {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' => 'e',
        'ì' | 'í' => 'i',
        'ò' | 'ó' | 'ô' | 'ö' => 'o',
        'ù' | 'ú' | 'ü' => 'u',
        letter => letter,
    }
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
static GOOD: [char; 10] = [
    '✅', '✔', '✓', '☑', '🟢', '🟩', '💚', '🆗', '👍', '\u{fe0f}',
];
static BAD: [char; 19] = [
    '🔴', '🚨', '🔥', '❌', '🟠', '🟡', '🟥', '🟧', '🟨', '⚠', '🛑', '❗', '‼', '⛔', '🆘', '💥',
    '✖', '✗', '\u{fe0f}',
];

/// Marks that people put around a status.
static AROUND: [(char, char); 4] = [('[', ']'), ('(', ')'), ('*', '*'), ('`', '`')];

/// Marks between a state and the one after it.
static ARROWS: [&str; 4] = ["->", "=>", "→", "➔"];

impl Priority {
    /// The priority that a word for a severity means, however it is written: `critical`, `Sev 0`,
    /// `P1 – Critical`, `Disaster`, `warn`. `None` for a word that nobody has agreed upon, and for
    /// a number alone, because scales run both ways.
    pub fn from_word(word: &str) -> Option<Self> {
        if word.len() > MAX_BYTES {
            return None;
        }
        let whole = plain(word);
        if let Some(priority) = of_plain(&whole) {
            return Some(priority);
        }
        let number = SCALES.iter().find_map(|scale| whole.strip_prefix(scale));
        if let Some(priority) = number.and_then(|number| of_plain(&format!("p{number}"))) {
            return Some(priority);
        }
        let mut found = None;
        let mut weak = None;
        for part in parts(&spaced(word)) {
            let is_noise =
                NOISE.contains(&&*part) || part.bytes().all(|byte| byte.is_ascii_digit());
            match of_plain(&part) {
                Some(priority) if WEAK.contains(&&*part) => weak = Some(priority),
                // The contract orders priorities from the most urgent down.
                Some(priority) => {
                    found = Some(found.map_or(priority, |found: Self| found.min(priority)))
                }
                None if is_noise => {}
                None => return None,
            }
        }
        found.or(weak)
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
        let mut word = word.trim();
        for (left, right) in AROUND {
            let within = word.strip_prefix(left);
            let within = within.and_then(|word| word.strip_suffix(right));
            word = within.unwrap_or(word);
        }
        for (status, symbols) in [(Self::Resolve, &GOOD[..]), (Self::Trigger, &BAD[..])] {
            let bare = word.trim_matches(|c| symbols.contains(&c));
            if bare.len() < word.len() {
                return of_words(bare).filter(|found| *found == status);
            }
        }
        of_words(word)
    }
}

/// The status of words without symbols: of one, of a change, or of one with another beside it.
fn of_words(words: &str) -> Option<Status> {
    let words = words.trim().trim_end_matches('!');
    // The state after a change is the one that counts.
    let now = words.strip_suffix(')').and_then(|words| {
        let (_, now) = words.rsplit_once('(')?;
        now.strip_prefix("now:").or(now.strip_prefix("jetzt:"))
    });
    let changed = ARROWS.iter().find_map(|arrow| words.rsplit_once(arrow));
    if let Some(now) = now.or(changed.map(|(_, now)| now)) {
        return of_status(now);
    }
    // `Down (Acknowledged)` is down, and `OK (pending)` may be anything.
    let beside = words
        .strip_suffix(')')
        .and_then(|words| words.split_once('('));
    if let Some((first, beside)) = beside {
        if beside.starts_with("was ") {
            return of_status(first);
        }
        let other = of_status(beside);
        return of_status(first).filter(|status| {
            let may_be_unknown = *status == Status::Trigger;
            other == Some(*status) || (other.is_none() && may_be_unknown)
        });
    }
    // `recovered from CRITICAL`
    if let Some((now, before)) = words.split_once(" from ") {
        return of_status(now).filter(|now| of_status(before).is_some_and(|before| before != *now));
    }
    // `FIRING:2`, as Alertmanager's titles count.
    let counted = words
        .rsplit_once(':')
        .filter(|(_, count)| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()));
    match counted {
        Some((word, _)) => of_status(word).filter(|status| *status == Status::Trigger),
        None => of_status(words),
    }
}

/// The status of a word, which may have others around it.
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
    // Several words for the end are one: `Resolved - Closed`.
    if parts.len() > 1 && parts.iter().all(|part| RESOLVES.contains(&&**part)) {
        return Some(Status::Resolve);
    }
    let is_noun = |part: &&String| NOUNS.contains(&&***part);
    // `restored: degraded` tells of the state after it, and not of the one that is over.
    let is_thing = |part: &&String| is_noun(part) && **part != "degraded";
    let before = parts.iter().take_while(is_noun).count();
    let (nouns, rest) = parts.split_at(before.min(parts.len().saturating_sub(1)));
    // A limit that was passed is no test that was, and an upgrade that there is restores nothing.
    let noun = nouns.last().map_or("", |noun| &**noun);
    let is_passed =
        |word: Option<&String>| matches!(word.map(|word| &**word), Some("passed" | "pass"));
    let is_limit =
        |word: Option<&String>| matches!(word.map(|word| &**word), Some("threshold" | "limit"));
    let limit_passed = is_passed(parts.last()) && is_limit(nouns.last())
        || is_passed(parts.first()) && is_limit(parts.last());
    if limit_passed || matches!((noun, &*rest.concat()), ("upgrade", "available" | "ready")) {
        return None;
    }
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
            ("Prio 1", Some(Priority::Critical)),
            ("PRI-2", Some(Priority::High)),
            ("Severity Level: 3", Some(Priority::Medium)),
            ("HighPriority", Some(Priority::High)),
            ("ALERT_CRITICALITY_LEVEL_WARNING", Some(Priority::Medium)),
            ("P5 alert", Some(Priority::Low)),
            ("Critical alert", Some(Priority::Critical)),
            ("alert", Some(Priority::Critical)),
            ("1 - Kritisch", Some(Priority::Critical)),
            ("Priorité élevée", None),
            ("Élevée", Some(Priority::High)),
            ("ELEVEE", Some(Priority::High)),
            ("严重", Some(Priority::Critical)),
            ("Prio", None),
            ("prio 9", None),
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
            "[FIRING:2]",
            "⚠️ warning",
            "🟥 DOWN!",
            "Down (Acknowledged)",
            "Down (Partial)",
            "Down ended (now: Warning)",
            "OK -> ALARM",
            "Störung",
            "[🔴 Down]",
            "UNACKED",
            "threshold met",
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
            "✓ resolved",
            "RESOLVED ✓",
            "Resolved!",
            "*Resolved*",
            "[✅ Up]",
            "[RESOLVED]",
            "Down ended (now: Up)",
            "Fehler beendet (jetzt: OK)",
            "CRITICAL → OK",
            "OK (recovered)",
            "OK (was CRITICAL)",
            "recovered from CRITICAL",
            "Störung behoben",
            "Problema resuelto",
            "Resolved - Closed",
            "résolu",
            "RESOLU",
            "已恢复",
            "snitch.reporting",
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
            "OK (pending)",
            "changed from ok",
            "up from here",
            "recovered from ok to critical",
            "Normal (NoData)",
            "OK -> ?",
            "-> OK -> soon",
            "[RESOLVED:1]",
            "FIRING:1, RESOLVED:1",
            "threshold passed",
            "metric threshold passed",
            "Passed threshold",
            "passed limit",
            "Passed uptime threshold",
            "upgrade available",
            "nicht behoben",
            "~resolved~",
            "!!",
            "()",
            &"ok ".repeat(40),
        ] {
            assert_eq!(Status::from_word(word), None, "{word}");
        }
    }
}

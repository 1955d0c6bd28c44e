//! Mutes: those of the configuration and those of operators; making and ending them.

use hyper::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::readers::PATIENCE;
use super::act::reason;
use super::groups::Reason;
use crate::clock::{rfc3339, wall_ms};
use crate::config::{self, CONFIGURATION, Condition, Schedule, parse_duration};
use crate::policy::{matches, unknown_source};
use crate::store::{Entry, MuteRecord, NewMute};

/// The time of which a preview tells.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A mute, and how it stands.
#[derive(Debug, Clone, Serialize)]
pub struct MuteState {
    /// Its number; none for one of the configuration that no alert has met.
    pub id: Option<i64>,
    /// `active`, `planned`, or `ended`.
    pub state: &'static str,
    /// The alerts that it holds: `source=twilio-prod error_code=30006|30007`.
    pub when: String,
    /// The same as pairs of a name and a pattern; none for one of the configuration.
    pub conditions: Vec<(String, String)>,
    /// RFC 3339; none where it holds in a part of every week.
    pub from: Option<String>,
    /// The end of this time: RFC 3339.
    pub until: Option<String>,
    /// The part of every week, as it is written.
    pub weekly: Option<String>,
    /// The time at which an operator ended it: RFC 3339.
    pub ended_at: Option<String>,
    /// The reason.
    pub why: String,
    /// The operator, or `configuration`.
    pub who: String,
    /// The number of kept alerts that it has held.
    pub events: i64,
    /// True if it holds alerts now.
    pub holds: bool,
}

/// The body that makes a mute.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// As `when` in the configuration: names of fields or labels, each with a pattern, or a list of
    /// which one must match; `not` and `labels` hold such objects.
    pub when: Map<String, Value>,
    /// For so long from now on.
    #[serde(default, rename = "for")]
    pub time: Option<String>,
    /// Until then: RFC 3339.
    #[serde(default)]
    pub until: Option<String>,
    /// The reason.
    pub why: String,
    /// True if it is only asked what it would hold.
    #[serde(default)]
    pub preview: bool,
}

/// The alerts that a mute would have held.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// Always true.
    pub preview: bool,
    /// The alerts that it would hold, as a mute shows them.
    pub when: String,
    /// The newest alerts of the last day that were looked at.
    pub looked_at: u64,
    /// The time when the oldest of them was received: RFC 3339.
    pub since: Option<String>,
    /// The number of those that it would have held.
    pub matched: u64,
    /// The newest of these.
    pub newest: Vec<Match>,
    /// The advice where the condition asks for a source that there is not.
    pub note: Option<String>,
}

/// An alert that a mute would have held.
#[derive(Debug, Clone, Serialize)]
pub struct Match {
    /// The request's id.
    pub request: String,
    /// RFC 3339.
    pub received_at: String,
    /// The title.
    pub title: String,
}

/// The mutes: those of now and of the future, and with `all` those of the past.
pub async fn list(desk: &Desk, query: &[u8]) -> Result<Vec<MuteState>, Problem> {
    let query = Query::parse(query, &["all"])?;
    let all = match query.get("all") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::wrong("all: write true or false")),
    };
    let records = desk.readers.read(|history| history.mutes(true)).await?;
    Ok(list_with(desk, &records, all))
}

/// The same, with those that the store has; none where it cannot be read.
pub fn list_with(desk: &Desk, records: &[MuteRecord], all: bool) -> Vec<MuteState> {
    let catalogue = desk.catalogue();
    let now_ms = wall_ms();
    let configured = catalogue.mutes.iter().map(|mute| {
        let record = records
            .iter()
            .find(|one| one.name.as_ref() == Some(&mute.name));
        of_configuration(mute, record, now_ms)
    });
    let mut mutes: Vec<MuteState> = configured.collect();
    let is_configured = |record: &MuteRecord| {
        catalogue
            .mutes
            .iter()
            .any(|one| Some(&one.name) == record.name.as_ref())
    };
    let stored = records.iter().filter(|record| !is_configured(record));
    mutes.extend(stored.map(|record| of_store(record, now_ms)));
    mutes.retain(|mute| all || mute.state != "ended" || mute.holds);
    mutes.sort_by_key(|mute| match mute.state {
        "active" => 0,
        "planned" => 1,
        _ => 2,
    });
    mutes
}

fn of_configuration(mute: &config::Mute, record: Option<&MuteRecord>, now_ms: i64) -> MuteState {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let active_until = mute.schedule.active_until(now);
    let shown = |time: Timestamp| rfc3339(time.as_millisecond());
    let (from, until, weekly) = match &mute.schedule {
        Schedule::Once { from, until } => {
            let from = (*from != Timestamp::MIN).then(|| shown(*from));
            (from, Some(shown(*until)), None)
        }
        Schedule::Weekly(weekly) => (None, active_until.map(shown), Some(weekly.to_string())),
    };
    let state = match active_until {
        Some(_) => "active",
        None if mute.schedule.is_over(now) => "ended",
        None => "planned",
    };
    MuteState {
        id: record.map(|record| record.id),
        state,
        when: mute.when.to_string(),
        conditions: Vec::new(),
        from,
        until,
        weekly,
        ended_at: None,
        why: mute.why.clone(),
        who: CONFIGURATION.to_owned(),
        events: record.map_or(0, |record| record.events),
        holds: record.is_some_and(|record| record.holds),
    }
}

fn of_store(record: &MuteRecord, now_ms: i64) -> MuteState {
    let pairs = record.conditions.iter();
    let pairs = pairs.map(|(name, pattern)| (name.as_str(), pattern.as_str()));
    let when = Condition::of_pairs(pairs).map_or_else(|error| error, |when| when.to_string());
    let is_gone = record.name.is_some();
    let state = if is_gone || record.ended_ms.is_some() || record.until_ms <= now_ms {
        "ended"
    } else if record.from_ms > now_ms {
        "planned"
    } else {
        "active"
    };
    MuteState {
        id: Some(record.id),
        state,
        when: record.name.clone().unwrap_or(when),
        conditions: record.conditions.clone(),
        from: (!is_gone).then(|| rfc3339(record.from_ms)),
        until: (!is_gone).then(|| rfc3339(record.until_ms)),
        weekly: None,
        ended_at: record.ended_ms.map(rfc3339),
        why: record.why.clone(),
        who: record.who.clone(),
        events: record.events,
        holds: record.holds,
    }
}

impl Asking {
    fn pairs(&self) -> Result<Vec<(String, String)>, Problem> {
        let mut pairs = Vec::new();
        flatten("", &self.when, &mut pairs)?;
        Ok(pairs)
    }

    fn until_ms(&self, now_ms: i64) -> Result<i64, Problem> {
        let wrong = || Problem::wrong("for: write a duration, as in 30m or 2h");
        match (&self.time, &self.until) {
            (Some(time), None) => {
                let time = parse_duration(time.trim()).ok_or_else(wrong)?;
                Ok(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
            }
            (None, Some(until)) => {
                let until = until.trim().parse::<Timestamp>().map_err(|_| {
                    Problem::wrong("until: write a time, as in 2026-12-24T18:00:00+01:00")
                })?;
                Ok(until.as_millisecond())
            }
            _ => Err(Problem::wrong("write either for or until")),
        }
    }
}

/// Adds the patterns of an object to `pairs`, with the names of the objects around them and dots
/// before their own.
fn flatten(
    within: &str,
    object: &Map<String, Value>,
    pairs: &mut Vec<(String, String)>,
) -> Result<(), Problem> {
    for (name, value) in object {
        let name = format!("{within}{name}");
        let patterns = match value {
            Value::Object(inner) => {
                flatten(&format!("{name}."), inner, pairs)?;
                continue;
            }
            Value::Array(patterns) => patterns.as_slice(),
            pattern => std::slice::from_ref(pattern),
        };
        for pattern in patterns {
            let pattern = match pattern {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => pattern.to_string(),
                _ => {
                    return Err(Problem::wrong(
                        "when: write texts, or lists of texts, as in {\"error_code\": [\"30006\", \"30007\"], \"not\": {\"team\": \"voice\"}}",
                    ));
                }
            };
            pairs.push((name.clone(), pattern));
        }
    }
    Ok(())
}

/// Returns the mute that is asked for, and the alerts that it is to hold.
fn asked(asking: &Asking, caller: &Caller) -> Result<(NewMute, Condition), Problem> {
    let now_ms = wall_ms();
    let mute = NewMute {
        conditions: asking.pairs()?,
        from_ms: now_ms,
        until_ms: asking.until_ms(now_ms)?,
        why: asking.why.trim().to_owned(),
        who: caller.who.clone(),
    };
    let when = mute.checked().map_err(Problem::wrong)?;
    Ok((mute, when))
}

/// Says what a mute would have held of the last day.
pub async fn preview(desk: &Desk, asking: &Asking, caller: &Caller) -> Result<Preview, Problem> {
    let (mute, when) = asked(asking, caller)?;
    let shown = when.to_string();
    let sources = desk.sources();
    let names: Vec<&str> = sources.iter().map(|source| &*source.name).collect();
    let note = unknown_source(&when, &names);
    let since_ms = mute.from_ms - DAY_MS;
    let tried = desk
        .readers
        .read(move |history| {
            history.tried(since_ms, PATIENCE, |source, alert| {
                matches(&when, source, alert)
            })
        })
        .await?;
    let newest = tried.newest.into_iter();
    Ok(Preview {
        preview: true,
        when: shown,
        looked_at: tried.looked_at,
        since: tried.since,
        matched: tried.matched,
        newest: newest
            .map(|(request, received_at, title)| Match {
                request,
                received_at,
                title,
            })
            .collect(),
        note,
    })
}

/// Makes a mute.
pub async fn add(desk: &Desk, asking: &Asking, caller: &Caller) -> Result<MuteState, Problem> {
    let (mute, _) = asked(asking, caller)?;
    let now_ms = mute.from_ms;
    let until_ms = mute.until_ms;
    let why = mute.why.clone();
    let mut record = MuteRecord {
        id: 0,
        name: None,
        conditions: mute.conditions.clone(),
        from_ms: now_ms,
        until_ms,
        why: why.clone(),
        who: caller.who.clone(),
        ended_ms: None,
        events: 0,
        holds: false,
    };
    let shown = of_store(&record, now_ms).when;
    let about = format!("{shown} until {}", rfc3339(until_ms));
    let entry = entry(caller, "mute", about, Some(why), now_ms);
    record.id = desk.about.store.add_mute(mute, entry).await?;
    Ok(of_store(&record, now_ms))
}

/// Ends a mute of an operator before its time.
pub async fn end(
    desk: &Desk,
    id: &str,
    what: &Reason,
    caller: &Caller,
) -> Result<MuteState, Problem> {
    let missing = || {
        let id: String = id.chars().take(40).collect();
        Problem::missing(format!("no mute has the number {id:?}"))
    };
    let number: i64 = id.parse().map_err(|_| missing())?;
    let now_ms = wall_ms();
    let why = reason(what.reason.as_deref())?;
    let entry = entry(caller, "unmute", number.to_string(), why, now_ms);
    let ended = desk.about.store.stop_mute(number, entry).await?;
    let records = desk.readers.read(|history| history.mutes(true)).await?;
    let record = records.iter().find(|record| record.id == number);
    let record = record.ok_or_else(missing)?;
    if ended {
        return Ok(of_store(record, now_ms));
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        if record.name.is_some() {
            "it stands in the configuration: end it there, and reload"
        } else {
            "it has ended already"
        },
    ))
}

fn entry(caller: &Caller, action: &str, about: String, why: Option<String>, at_ms: i64) -> Entry {
    Entry {
        at_ms,
        who: caller.who.clone(),
        origin: caller.origin.clone(),
        action: action.to_owned(),
        about,
        why,
    }
}

//! `mute`: holds alerts back for a time, at run time.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::audit::{entry, user};
use super::{Failure, Outcome, Place, block_on, columns, owner, plain};
use crate::clock::{rfc3339, wall_ms};
use crate::config::{self, CONFIGURATION, Condition, Config, parse_duration};
use crate::policy::unknown_source;
use crate::store::{self, History, MuteRecord, NewMute};

/// The commands for mutes.
#[derive(Debug, Subcommand)]
pub enum Mute {
    /// Hold alerts back for a time
    ///
    /// They are stored and listed as muted, and their senders are answered as always. At the end
    /// each source is sent one summary, and what is still open is delivered. A resolve of a muted
    /// alert closes it silently; one of an alert that was delivered before is delivered. A gateway
    /// that runs takes it up within a second. `[[mutes]]` in the configuration does the same for
    /// times that are known before.
    Add(Add),
    /// List the mutes that hold now, or will
    List(List),
    /// End a mute before its time
    End(End),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway mute add --when source=twilio-prod --for 2h --why \"moving to the new number\"
  alert-gateway mute add --when source=twilio-prod --when not.error_code=11200 --for 2h --why \"only 11200 matters tonight\"
  alert-gateway mute add --when error_code=30006 --when error_code=30007 --until 2026-12-24T18:00:00+01:00 --why \"carrier outage\"")]
pub struct Add {
    #[command(flatten)]
    place: Place,
    /// The alerts, as `when` of a rule has them: source, priority, title or a label, with a text, a
    /// glob or a range; not.NAME for what must not match, labels.NAME for a label that is called
    /// like a field. All names must match; of a name that is given twice, one of the patterns
    #[arg(long, value_name = "NAME=PATTERN", required = true, value_parser = pair)]
    when: Vec<(String, String)>,
    /// For so long from now on, as in 30m or 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "until", conflicts_with = "until")]
    time: Option<Duration>,
    /// Until then: RFC 3339, with its offset
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// The reason, for whoever looks at it later
    #[arg(long, value_name = "TEXT", alias = "reason")]
    why: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway mute list
  alert-gateway mute list --all --json | jq -r .why
  alert-gateway mute list --remote https://gateway.example.com:9090")]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Those that have ended as well
    #[arg(long)]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway mute end 3
  alert-gateway mute end 3 --why \"moved\" --remote https://gateway.example.com:9090")]
pub struct End {
    #[command(flatten)]
    place: Place,
    /// The number of the mute, as `mute add` and `mute list` print it
    #[arg(value_name = "ID")]
    id: i64,
    /// The reason
    #[arg(long, value_name = "TEXT", alias = "reason")]
    why: Option<String>,
}

pub fn mute(what: &Mute) -> Outcome {
    match what {
        Mute::Add(what) => add(what),
        Mute::List(what) => list(what),
        Mute::End(what) => end(what),
    }
}

fn add(what: &Add) -> Outcome {
    let now_ms = wall_ms();
    let until_ms = match (what.until, what.time) {
        (Some(until), _) => until.as_millisecond(),
        (None, Some(time)) => {
            now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
        }
        (None, None) => now_ms,
    };
    let mute = NewMute {
        conditions: what.when.clone(),
        from_ms: now_ms,
        until_ms,
        why: what.why.trim().to_owned(),
        who: user(),
    };
    let meant = mute.checked().map_err(Failure::Usage)?;
    if let Some(client) = what.place.remote()? {
        let mut when: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, pattern) in &what.when {
            when.entry(name).or_default().push(pattern);
        }
        let until = rfc3339(until_ms);
        let body = serde_json::json!({ "when": when, "until": until, "why": what.why });
        let made = block_on(client.act::<There>("/mutes", body))?;
        let made = made.map_err(|why| anyhow!(why))?;
        told(made.id.unwrap_or_default(), until_ms)?;
        // It is made; the names are for the warning alone.
        if let Ok(Sources { sources }) = block_on(client.get("/sources")) {
            let names = sources.iter().map(|source| source.name.as_str());
            warn_of_unknown_source(&meant, names);
        }
        return Ok(());
    }
    let store = what.place.file.store()?;
    // Where the configuration cannot be read, no name is known.
    if let Ok(config) = Config::load_without_secrets(&what.place.file.path()?, "unknown") {
        let names = config.sources.iter().map(|source| source.name.as_str());
        warn_of_unknown_source(&meant, names);
    }
    owner::become_owner(store.folder())?;
    let about = format!("{} until {}", shown(&mute.conditions), rfc3339(until_ms));
    let entry = entry("mute", about, Some(mute.why.clone()), now_ms);
    let id = store::add_mute(&store, &mute, &entry)?;
    told(id, until_ms)
}

/// Warns where a mute asks for a source that is none of these.
fn warn_of_unknown_source<'n>(when: &Condition, names: impl Iterator<Item = &'n str>) {
    if let Some(help) = unknown_source(when, &names.collect::<Vec<_>>()) {
        eprintln!("warning: no source is called so, and the mute holds nothing; {help}");
    }
}

/// Says that a mute was made.
fn told(id: i64, until_ms: i64) -> Outcome {
    let said = format!(
        "mute {id} holds until {}; end it before: alert-gateway mute end {id}",
        rfc3339(until_ms)
    );
    Ok(writeln!(std::io::stdout(), "{said}")?)
}

/// The mutes of another gateway.
#[derive(Deserialize)]
struct Mutes {
    mutes: Vec<There>,
}

/// The sources of another gateway.
#[derive(Deserialize)]
struct Sources {
    sources: Vec<Named>,
}

/// The name of a source.
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// A mute of another gateway.
#[derive(Deserialize)]
struct There {
    id: Option<i64>,
    when: String,
    conditions: Vec<(String, String)>,
    from: Option<String>,
    until: Option<String>,
    ended_at: Option<String>,
    why: String,
    who: String,
    events: i64,
    holds: bool,
}

impl There {
    /// Returns it as the store there has it, or will.
    fn record(self) -> MuteRecord {
        let ms = |time: Option<String>| {
            let time = time?.parse::<Timestamp>().ok()?;
            Some(time.as_millisecond())
        };
        MuteRecord {
            id: self.id.unwrap_or(NO_ID),
            name: self.conditions.is_empty().then_some(self.when),
            conditions: self.conditions,
            from_ms: ms(self.from).unwrap_or_default(),
            until_ms: ms(self.until).unwrap_or_default(),
            why: self.why,
            who: self.who,
            ended_ms: ms(self.ended_at),
            events: self.events,
            holds: self.holds,
        }
    }
}

/// The number of a mute of the configuration that no alert has met: the store has none yet.
const NO_ID: i64 = 0;

/// A mute of the configuration that no alert has met.
fn not_met(mute: &config::Mute) -> MuteRecord {
    MuteRecord {
        id: NO_ID,
        name: Some(mute.name.clone()),
        conditions: Vec::new(),
        from_ms: 0,
        until_ms: 0,
        why: mute.why.clone(),
        who: CONFIGURATION.to_owned(),
        ended_ms: None,
        events: 0,
        holds: false,
    }
}

/// Returns the mutes, newest first.
fn mutes(what: &List) -> Result<Vec<MuteRecord>, Failure> {
    let Some(client) = what.place.remote()? else {
        let store = what.place.file.store()?;
        owner::become_owner(store.folder())?;
        // Without those of the past, the store counts no events.
        let mut records = History::open(&store)?.mutes(true)?;
        // Where the configuration cannot be read, the store knows of those that held something.
        let config = Config::load_without_secrets(&what.place.file.path()?, "unknown");
        let configured = config.map(|config| config.mutes).unwrap_or_default();
        for mute in &configured {
            let is_it = |record: &MuteRecord| record.name.as_ref() == Some(&mute.name);
            if !records.iter().any(is_it) {
                records.push(not_met(mute));
            }
        }
        let now = Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
        let is_over = |record: &MuteRecord| match &record.name {
            Some(name) => !configured
                .iter()
                .any(|mute| mute.name == *name && !mute.schedule.is_over(now)),
            None => record.ended_ms.is_some(),
        };
        records.retain(|record| what.all || record.holds || !is_over(record));
        return Ok(records);
    };
    let path = format!("/mutes?all={}", what.all);
    let Mutes { mutes } = block_on(client.get(&path))?;
    let mut records: Vec<_> = mutes.into_iter().map(There::record).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.id));
    Ok(records)
}

fn list(what: &List) -> Outcome {
    let mutes = mutes(what)?;
    let mut out = std::io::stdout().lock();
    if what.json {
        for mute in &mutes {
            let mut json = serde_json::to_value(mute)?;
            if mute.id == NO_ID {
                json["id"] = serde_json::Value::Null;
            }
            writeln!(out, "{}", plain::json(&json.to_string()))?;
        }
        return Ok(());
    }
    if mutes.is_empty() {
        return Ok(writeln!(out, "no mutes")?);
    }
    let zone = TimeZone::system();
    let until = format!("UNTIL ({})", columns::zone_name(wall_ms(), &zone));
    let header = ["ID", "ALERTS", &until, "EVENTS", "WHO", "WHY"];
    columns::print(
        &mut out,
        header,
        mutes.iter().map(|mute| cells(mute, &zone)),
    )?;
    Ok(())
}

/// Returns the number, alerts, end, events, maker and reason of a mute, as a person reads them.
fn cells(mute: &MuteRecord, zone: &TimeZone) -> [String; 6] {
    let (words, until) = match &mute.name {
        Some(name) => (name.clone(), "in the configuration".to_owned()),
        None => (
            shown(&mute.conditions),
            match mute.ended_ms {
                Some(ended) => format!("ended {}", columns::local(ended, zone)),
                None => columns::local(mute.until_ms, zone),
            },
        ),
    };
    let id = match mute.id {
        NO_ID => "-".to_owned(),
        id => id.to_string(),
    };
    [
        id,
        words,
        until,
        mute.events.to_string(),
        mute.who.clone(),
        mute.why.clone(),
    ]
}

fn end(what: &End) -> Outcome {
    let said =
        "ended; what it holds is summed up and opened within a second, or when the gateway starts";
    if let Some(client) = what.place.remote()? {
        let body = serde_json::json!({ "reason": what.why });
        let path = format!("/mutes/{}/end", what.id);
        let ended = block_on(client.act::<IgnoredAny>(&path, body))?;
        ended.map_err(|why| anyhow!("mute {} was not ended: {why}", what.id))?;
        return Ok(writeln!(std::io::stdout(), "{said}")?);
    }
    let store = what.place.file.store()?;
    owner::become_owner(store.folder())?;
    let entry = entry("unmute", what.id.to_string(), what.why.clone(), wall_ms());
    if !store::end_mute(&store, what.id, &entry)? {
        let records = History::open(&store)?.mutes(true)?;
        let why = match records.iter().find(|record| record.id == what.id) {
            None => "there is no such mute; see: alert-gateway mute list --all",
            Some(record) if record.name.is_some() => {
                "it stands in the configuration: end it there, and reload"
            }
            Some(_) => "it has ended already",
        };
        return Err(anyhow!("mute {} was not ended: {why}", what.id).into());
    }
    Ok(writeln!(std::io::stdout(), "{said}")?)
}

fn shown(conditions: &[(String, String)]) -> String {
    let shown: Vec<_> = conditions
        .iter()
        .map(|(name, pattern)| format!("{name}={pattern}"))
        .collect();
    shown.join(" ")
}

fn pair(text: &str) -> anyhow::Result<(String, String)> {
    let (name, pattern) = text
        .split_once('=')
        .filter(|(name, pattern)| !name.is_empty() && !pattern.is_empty())
        .context("write a name and a pattern, as in source=twilio-prod")?;
    Ok((name.to_owned(), pattern.to_owned()))
}

fn time(text: &str) -> anyhow::Result<Timestamp> {
    let time = text.parse().ok();
    time.context("write a time with its offset, as in 2026-12-24T18:00:00+01:00")
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .context("write a duration, as in 30m or 2h")
}

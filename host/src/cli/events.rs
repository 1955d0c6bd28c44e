//! `events`: what came in and what became of it. It reads the store beside a gateway that runs, or one that does not.

mod export;

use std::io::Write;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{ConfigFile, Failure, Outcome, plain};
use crate::clock;
use crate::config::{Config, OWN_SOURCE};
use crate::store::{self, Entry, Filter, History, JobKind, JobTarget, ListedState, RequestRecord};

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// The newest events, newest first
    List(List),
    /// One request or event, from the sender to ITOC360's receipt: did the page go out?
    Show(Show),
    /// Have requests read again that their plugin failed on, and alerts sent again that ITOC360 refused
    ///
    /// It may be done while the gateway runs, and twice: an event that ITOC360 has taken is not sent again. The gateway does it
    /// within a second, or as soon as it starts.
    ///
    /// What is replayed comes after what was delivered meanwhile. An old resolve then ends what a younger alert with the same
    /// key opened, and an old alert opens again what is over: look first whether it still says how things are.
    Replay(Replay),
    /// Give up failed requests and dead letters on purpose, with a reason
    ///
    /// They are kept and shown as dismissed, with the reason, and retention removes them like what was delivered. The reason
    /// and the user stand in the store's audit. The gateway does it within a second, or as soon as it starts.
    Dismiss(Dismiss),
    /// Make a test case of a kept request, for the author of its plugin
    ///
    /// Writes the request and the plugin's answer as `cases/<NAME>.http` and `cases/<NAME>.json`. Credentials are replaced,
    /// and the request is signed anew with a test token where the way it is signed is known. It needs no secret, and reads
    /// none.
    Export(export::Export),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only this state
    #[arg(long)]
    state: Option<State>,
    /// Only what came in since: a duration, as in 90min, 24h or 7d, or a time, as in 2026-01-31T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// At most so many lines
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    file: ConfigFile,
    /// A request's id, as it was answered to the sender, or an event's, such as Twilio's NO…
    #[arg(value_name = "ID|EVENT_ID")]
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    file: ConfigFile,
    /// Requests' ids, or events' ids
    #[arg(value_name = "ID", required_unless_present = "dead")]
    ids: Vec<String>,
    /// Every alert that is set aside
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
}

#[derive(Debug, Args)]
pub struct Dismiss {
    #[command(flatten)]
    file: ConfigFile,
    /// Requests' ids, or events' ids
    #[arg(value_name = "ID", required_unless_present_any = ["failed", "dead"])]
    ids: Vec<String>,
    /// Every failed request
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    /// Every dead letter
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    /// With --failed or --dead, only what came in at this source
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    source: Option<String>,
    /// With --failed or --dead, only what came in before: a duration, as in 24h or 7d, or a time
    #[arg(long, value_name = "WHEN", value_parser = since, conflicts_with = "ids")]
    older_than: Option<Timestamp>,
    /// The reason, for whoever looks at it later
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Waits to be delivered
    Pending,
    /// ITOC360 has it
    Delivered,
    /// ITOC360 refused it
    Dead,
    /// Kept raw, because its plugin failed
    Failed,
    /// An alert that is delivered nowhere, as a rule says
    Ignored,
    /// Given up by an operator
    Dismissed,
}

pub fn events(what: &Events) -> Outcome {
    match what {
        Events::List(list) => self::list(list),
        Events::Show(show) => self::show(show),
        Events::Replay(replay) => self::replay(replay),
        Events::Dismiss(dismiss) => self::dismiss(dismiss),
        Events::Export(export) => export::export(export),
    }
}

fn list(what: &List) -> Outcome {
    let history = open(&what.file)?;
    let lines = history.list(&Filter {
        source: what.source.clone(),
        state: what.state.map(State::listed),
        since_ms: what.since.map_or(i64::MIN, Timestamp::as_millisecond),
        limit: what.limit,
    })?;
    let mut out = std::io::stdout().lock();
    if what.json {
        for line in &lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        return Ok(());
    }
    if lines.is_empty() {
        writeln!(out, "no events")?;
    }
    for line in &lines {
        let priority = line.priority.map_or("-", |priority| priority.as_str());
        let id = line.event_id.as_deref().unwrap_or(&line.request);
        let (at, state, source, title) = (&line.received_at, &line.state, &line.source, &line.title);
        let title = plain::line(title);
        write!(out, "{at}  {state:<9}  {priority:<8}  {source}  {}  {title}", plain::line(id))?;
        if let Some(last_at) = &line.last_at {
            write!(out, "  (repeated {} times, last at {last_at})", line.repeated)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn show(what: &Show) -> Outcome {
    let found = find(&open(&what.file)?, &what.id)?;
    let mut out = std::io::stdout().lock();
    if what.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
        return Ok(());
    }
    for request in &found {
        chain(&mut out, request)?;
    }
    Ok(())
}

/// The receipt chain of one request.
pub fn chain(out: &mut impl Write, request: &RequestRecord) -> std::io::Result<()> {
    writeln!(out, "request   {}", request.id)?;
    if request.source == OWN_SOURCE {
        writeln!(out, "          {} by the gateway itself, {}", request.received_at, request.plugin_version)?;
    } else {
        writeln!(out, "          {} to source {}, {}", request.received_at, request.source, request.state)?;
    }
    if let Some(reason) = &request.reason {
        writeln!(out, "          {}", plain::line(reason))?;
    }
    if request.state == "failed" {
        writeln!(out, "          once the plugin is mended: alert-gateway events replay {}", request.id)?;
    }
    if request.source != OWN_SOURCE {
        let plugin = format!("{} {}, sha256 {}", request.plugin, request.plugin_version, request.plugin_sha256);
        writeln!(out, "plugin    {}", plain::line(&plugin))?;
    }
    if let Some(evicted) = &request.evicted {
        writeln!(out, "content   URL, headers and body: {evicted}")?;
    }
    if request.duplicates > 0 {
        writeln!(out, "known     {} of its events had come before, and were dropped", request.duplicates)?;
    }
    for alert in &request.alerts {
        let event = &alert.event;
        let (priority, status) = (event.priority.as_str(), event.status.as_str());
        writeln!(out, "alert     {} {priority} {status}: {}", plain::line(&event.event_id), plain::line(&event.title))?;
        let own = if alert.source == OWN_SOURCE { ", told by the gateway itself" } else { "" };
        if alert.deliveries.is_empty() {
            writeln!(out, "          {}{own}", alert.state)?;
        }
        for delivery in &alert.deliveries {
            writeln!(out, "          {} for destination {}{own}", delivery.state, delivery.destination)?;
        }
        if let Some(note) = &alert.note {
            writeln!(out, "          {}", plain::line(note))?;
        }
        if let Some(last_at) = &alert.last_at {
            let request = alert.last_request.as_deref().unwrap_or_default();
            writeln!(out, "          repeated {} times, last at {last_at} by request {request}", alert.repeated)?;
        }
        for attempt in &alert.attempts {
            let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let ms = attempt.duration_us as f64 / 1000.0;
            writeln!(out, "attempt   {} {}, {status} after {ms:.1} ms", attempt.at, attempt.outcome)?;
            if let Some(said) = &attempt.said {
                let no_receipt = if attempt.outcome == "accepted" { "no receipt; the answer was: " } else { "" };
                writeln!(out, "          {no_receipt}{}", plain::line(said))?;
            }
            if let Some(receipt) = attempt.receipt.as_ref().filter(|receipt| !receipt.is_empty()) {
                write!(out, "receipt   {}", plain::line(receipt))?;
                if let Some(fingerprint) = &attempt.fingerprint {
                    write!(out, " (fingerprint {})", plain::line(fingerprint))?;
                }
                writeln!(out)?;
            }
        }
        if alert.state == "pending" {
            match &alert.due_at {
                Some(due_at) => writeln!(out, "next      {due_at}")?,
                None => writeln!(out, "next      after the alert with the same key that is before it")?,
            }
        }
    }
    Ok(())
}

fn replay(what: &Replay) -> Outcome {
    let data_dir = Config::data_dir(&what.file.config)?;
    let targets = if what.dead {
        vec![JobTarget::AllDead]
    } else {
        let history = open(&what.file)?;
        let mut targets = Vec::new();
        for id in &what.ids {
            let requests = find(&history, id)?;
            targets.extend(
                requests.iter().filter(|request| is_open(request)).map(|request| JobTarget::Request(request.seq)),
            );
        }
        targets
    };
    if targets.is_empty() {
        let nothing = "nothing to do: none of these failed, and none of their alerts are set aside";
        return Ok(writeln!(std::io::stdout(), "{nothing}")?);
    }
    store::ask_for(&store::file(&data_dir), &JobKind::Replay, &targets, clock::wall_ms(), None)?;
    let asked = "asked for; the gateway does it within a second, or when it starts. See: alert-gateway events list";
    Ok(writeln!(std::io::stdout(), "{asked}")?)
}

fn dismiss(what: &Dismiss) -> Outcome {
    let history = open(&what.file)?;
    let mut requests = Vec::new();
    for id in &what.ids {
        requests.extend(find(&history, id)?);
    }
    for (wanted, state) in [(what.failed, ListedState::Failed), (what.dead, ListedState::Dead)] {
        if wanted {
            let (source, state) = (what.source.clone(), Some(state));
            let lines = history.list(&Filter { source, state, since_ms: i64::MIN, limit: usize::MAX >> 1 })?;
            let before = what.older_than.map(|time| format!("{time:.3}"));
            for line in lines.iter().filter(|line| before.as_ref().is_none_or(|before| line.received_at < *before)) {
                requests.extend(history.find(&line.request)?);
            }
        }
    }
    let mut targets: Vec<_> =
        requests.iter().filter(|request| is_open(request)).map(|request| JobTarget::Request(request.seq)).collect();
    targets.dedup();
    if targets.is_empty() {
        let nothing = "nothing to do: none of these failed, and none of their alerts is a dead letter";
        return Ok(writeln!(std::io::stdout(), "{nothing}")?);
    }
    let about = match (what.failed, what.dead) {
        (false, false) => what.ids.join(" "),
        (failed, dead) => {
            let which = if failed && dead {
                "failed, dead"
            } else if failed {
                "failed"
            } else {
                "dead"
            };
            format!("{} of state {which}, source {}", targets.len(), what.source.as_deref().unwrap_or("any"))
        }
    };
    let at_ms = clock::wall_ms();
    let entry = Entry {
        at_ms,
        who: std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "unknown".to_owned()),
        origin: "command line".to_owned(),
        action: "dismiss".to_owned(),
        about,
        why: Some(what.why.clone()),
    };
    let kind = JobKind::Dismiss { why: what.why.clone() };
    store::ask_for(&store::file(&Config::data_dir(&what.file.config)?), &kind, &targets, at_ms, Some(&entry))?;
    let asked = "asked for; the gateway does it within a second, or when it starts. See: alert-gateway events list";
    Ok(writeln!(std::io::stdout(), "{} {asked}", targets.len())?)
}

/// Whether a replay would change anything.
fn is_open(request: &RequestRecord) -> bool {
    request.state == "failed" || request.alerts.iter().any(|alert| alert.state == "dead")
}

fn open(file: &ConfigFile) -> Result<History, Failure> {
    Ok(History::open(&Config::data_dir(&file.config)?)?)
}

fn find(history: &History, id: &str) -> anyhow::Result<Vec<RequestRecord>> {
    let found = history.find(id)?;
    if found.is_empty() {
        return Err(anyhow!("no request and no event has the id {id}; see: alert-gateway events list"));
    }
    Ok(found)
}

fn since(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let duration = crate::config::parse_duration(text)
        .ok_or_else(|| anyhow!("write a duration, as in 24h, or a time, as in 2026-01-31T08:00:00Z"))?;
    let now = Timestamp::from_millisecond(clock::wall_ms()).context("the machine's clock is not set")?;
    now.checked_sub(duration).context("that is too long ago")
}

impl State {
    fn listed(self) -> ListedState {
        match self {
            Self::Pending => ListedState::Pending,
            Self::Delivered => ListedState::Delivered,
            Self::Dead => ListedState::Dead,
            Self::Failed => ListedState::Failed,
            Self::Ignored => ListedState::Ignored,
            Self::Dismissed => ListedState::Dismissed,
        }
    }
}

//! `events`: what came in and what became of it. It reads the store beside a gateway that runs, or one that does not.

mod export;

use std::io::Write;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{ConfigFile, Failure, Outcome, plain};
use crate::clock;
use crate::config::{Config, OWN_SOURCE};
use crate::store::{self, Filter, History, ListedState, ReplayTarget, RequestRecord};

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
    #[arg(value_name = "ID", required_unless_present = "set_aside")]
    ids: Vec<String>,
    /// Every alert that is set aside
    #[arg(long, conflicts_with = "ids")]
    set_aside: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Waits to be delivered
    Pending,
    /// ITOC360 has it
    Delivered,
    /// ITOC360 refused it
    SetAside,
    /// Kept raw, because its plugin failed
    Failed,
}

pub fn events(what: &Events) -> Outcome {
    match what {
        Events::List(list) => self::list(list),
        Events::Show(show) => self::show(show),
        Events::Replay(replay) => self::replay(replay),
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
        writeln!(out, "{at}  {state:<9}  {priority:<8}  {source}  {}  {}", plain::line(id), plain::line(title))?;
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
    if request.duplicates > 0 {
        writeln!(out, "known     {} of its events had come before, and were dropped", request.duplicates)?;
    }
    for alert in &request.alerts {
        let event = &alert.event;
        let (priority, status) = (event.priority.as_str(), event.status.as_str());
        writeln!(out, "alert     {} {priority} {status}: {}", plain::line(&event.event_id), plain::line(&event.title))?;
        let own = if alert.source == OWN_SOURCE { ", told by the gateway itself" } else { "" };
        writeln!(out, "          {} for destination {}{own}", alert.state, alert.destination)?;
        for attempt in &alert.attempts {
            let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let ms = attempt.duration_us as f64 / 1000.0;
            writeln!(out, "attempt   {} {}, {status} after {ms:.1} ms", attempt.at, attempt.outcome)?;
            if let Some(said) = &attempt.said {
                let no_receipt = if attempt.outcome == "accepted" { "no receipt; the answer was: " } else { "" };
                writeln!(out, "          {no_receipt}{}", plain::line(said))?;
            }
            if let (Some(receipt), Some(fingerprint)) = (&attempt.receipt, &attempt.fingerprint)
                && !receipt.is_empty()
            {
                writeln!(out, "receipt   {} (fingerprint {})", plain::line(receipt), plain::line(fingerprint))?;
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
    let targets = if what.set_aside {
        vec![ReplayTarget::AllSetAside]
    } else {
        let history = open(&what.file)?;
        let mut targets = Vec::new();
        for id in &what.ids {
            let requests = find(&history, id)?;
            targets.extend(
                requests.iter().filter(|request| is_open(request)).map(|request| ReplayTarget::Request(request.seq)),
            );
        }
        targets
    };
    if targets.is_empty() {
        let nothing = "nothing to do: none of these failed, and none of their alerts are set aside";
        return Ok(writeln!(std::io::stdout(), "{nothing}")?);
    }
    store::ask_replay(&store::file(&data_dir), &targets, clock::wall_ms())?;
    let asked = "asked for; the gateway does it within a second, or when it starts. See: alert-gateway events list";
    Ok(writeln!(std::io::stdout(), "{asked}")?)
}

/// Whether a replay would change anything.
fn is_open(request: &RequestRecord) -> bool {
    request.state == "failed" || request.alerts.iter().any(|alert| alert.state == "set_aside")
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
            Self::SetAside => ListedState::SetAside,
            Self::Failed => ListedState::Failed,
        }
    }
}

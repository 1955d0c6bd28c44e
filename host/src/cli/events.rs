//! `events`: shows requests and the outcome of their alerts. It reads the store, whether the
//! gateway runs or not.

mod act;
pub mod choice;
mod difference;
mod export;
mod lines;
mod list;
mod memory;
mod tail;

use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde::Deserialize;

use super::remote::segment;
use super::{ConfigFile, Failure, Outcome, Place, block_on, owner, plain};
use crate::config::OWN_SOURCE;
use crate::health::HeldUp;
use crate::store::{
    DeliveryRecord, FallsBack, History, RequestRecord, SameKey, Traced, UnderRules,
};

pub use list::cells;

/// The time that a look for the events of one key may take.
const KEY_PATIENCE: Duration = Duration::from_millis(500);

/// The commands for events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// List the newest events, newest first
    List(list::List),
    /// Print events as they come in, and again when their state changes
    Tail(tail::Tail),
    /// Show one request or event, from the sender to ITOC360's receipt: did the page go out?
    Show(Show),
    /// Have failed requests read again, and dead letters sent again
    ///
    /// It may be done while the gateway runs, and twice: an event that ITOC360 has accepted is not
    /// sent again. The gateway does it within a second, or as soon as it starts.
    ///
    /// A replayed alert comes after those delivered meanwhile. So an old resolve ends the incident
    /// of a younger alert with the same key, and an old alert reopens one that is over: look first
    /// whether it is still true.
    ///
    /// With --diff nothing is sent: stored requests are read once more, by the plugin and the rules
    /// of the configuration or by another plugin, and the alerts before and after are compared.
    Replay(act::Replay),
    /// Give up failed requests and dead letters on purpose, with a reason
    ///
    /// They are kept and shown as dismissed, with the reason, and retention removes them like what
    /// was delivered. The reason and the user stand in the store's audit. The gateway does it
    /// within a second, or as soon as it starts.
    Dismiss(act::Dismiss),
    /// Make a test case of a stored request, for the author of its plugin
    ///
    /// Writes the request and the plugin's answer as `cases/<NAME>.http` and `cases/<NAME>.json`.
    /// Credentials are replaced wherever their value stands, in every spelling; headers of proxies
    /// are left out, and named; and the request is signed anew with a test token where the way it
    /// is signed is known. It needs no secret. Those that it can read, it looks for.
    Export(export::Export),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events show NO0123456789abcdef0123456789abcdef
  alert-gateway events show 01890a5d-ac96-774b-bcce-b302099a8057 --json")]
pub struct Show {
    #[command(flatten)]
    place: Place,
    /// A request's id, as it was answered to the sender, or an event's, such as Twilio's NO…
    #[arg(value_name = "ID|EVENT_ID")]
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn events(what: &Events) -> Outcome {
    match what {
        Events::List(what) => list::list(what),
        Events::Tail(what) => tail::tail(what),
        Events::Show(show) => self::show(show),
        Events::Replay(replay) => act::replay(replay),
        Events::Dismiss(dismiss) => act::dismiss(dismiss),
        Events::Export(export) => export::export(export),
    }
}

/// All that is known of an id.
#[derive(Debug, Deserialize)]
struct Found {
    requests: Vec<RequestRecord>,
    traced: Vec<Traced>,
}

impl Found {
    /// Looks for an id, in the store and in the memory of the gateway.
    async fn of(what: &Show) -> Result<Self, Failure> {
        if let Some(client) = what.place.remote()? {
            return client.get(&format!("/events/{}", segment(&what.id))).await;
        }
        let data_dir = what.place.file.data_dir()?;
        let history = open(&what.place.file)?;
        let mut requests = history.find(&what.id)?;
        history.add_keys(&mut requests, KEY_PATIENCE)?;
        memory::add_outlook(&data_dir, &mut requests).await;
        memory::add_answers(&data_dir, &mut requests).await;
        let mut traced = Vec::new();
        if requests.is_empty() {
            traced = memory::traced(&data_dir).await.unwrap_or_default();
            traced.retain(|one| one.trace.request == what.id);
        }
        if requests.is_empty() && traced.is_empty() {
            return Err(unknown(&what.id).into());
        }
        Ok(Self { requests, traced })
    }
}

fn show(what: &Show) -> Outcome {
    let Found { requests, traced } = block_on(Found::of(what))?;
    let mut out = std::io::stdout().lock();
    if what.json {
        let shown = if traced.is_empty() {
            serde_json::to_string_pretty(&requests)?
        } else if requests.is_empty() {
            serde_json::to_string_pretty(&traced)?
        } else {
            serde_json::to_string_pretty(&(requests, traced))?
        };
        writeln!(out, "{}", plain::json(&shown))?;
        return Ok(());
    }
    for request in &requests {
        chain(&mut out, request)?;
    }
    for traced in &traced {
        refused(&mut out, traced)?;
    }
    Ok(())
}

/// Prints a request that only memory has.
fn refused(out: &mut impl Write, traced: &Traced) -> std::io::Result<()> {
    let clean = |text: &str| plain::line(text);
    let at = clean(&traced.received_at);
    let state = clean(&traced.state);
    let to = match &*traced.trace.source {
        "" => "no source".to_owned(),
        source => format!("source {}", clean(source)),
    };
    writeln!(out, "request   {}", clean(&traced.trace.request))?;
    writeln!(out, "          {at} to {to}, {state}")?;
    writeln!(out, "          {}", clean(&traced.trace.reason))?;
    if let Some(help) = &traced.trace.help {
        writeln!(out, "          {}", clean(help))?;
    }
    let outcome = clean(&traced.trace.outcome);
    writeln!(
        out,
        "client    {}, answered as {outcome}",
        clean(&traced.trace.client)
    )?;
    let method = clean(&traced.trace.method);
    writeln!(out, "url       {method} {}", clean(&traced.trace.url))?;
    for (name, value) in &traced.trace.headers {
        writeln!(out, "header    {}: {}", clean(name), clean(value))?;
    }
    let body = match traced.trace.body_bytes {
        Some(bytes) => format!(
            "; its body of {bytes} bytes: GET /api/v1/events/{}/body at the admin listener",
            clean(&traced.trace.request)
        ),
        None => " without its body".to_owned(),
    };
    writeln!(
        out,
        "content   in memory{body}; a restart of the gateway forgets it"
    )
}

/// Prints the receipt chain of one request.
pub fn chain(out: &mut impl Write, request: &RequestRecord) -> std::io::Result<()> {
    let clean = |text: &str| plain::line(text);
    writeln!(out, "request   {}", clean(&request.id))?;
    if request.source == OWN_SOURCE {
        writeln!(
            out,
            "          {} by the gateway itself, {}",
            clean(&request.received_at),
            clean(&request.plugin_version)
        )?;
    } else {
        let at = clean(&request.received_at);
        let source = clean(&request.source);
        let state = clean(&request.state);
        writeln!(out, "          {at} to source {source}, {state}")?;
    }
    if let Some(reason) = &request.reason {
        writeln!(out, "          {}", clean(reason))?;
    }
    if request.state == "failed" {
        writeln!(
            out,
            "          once the plugin is fixed: alert-gateway events replay {}",
            clean(&request.id)
        )?;
    }
    if let Some(sender) = &request.sender {
        let from = sender.client.as_deref();
        let from = from.map_or_else(String::new, |client| format!("from {}; ", clean(client)));
        writeln!(out, "sender    {from}proof: {}", clean(&sender.proof()))?;
    }
    if let Some(wait) = request.wait() {
        writeln!(out, "answer    {}", clean(&wait.replace('\u{a0}', " ")))?;
    }
    if request.source != OWN_SOURCE {
        let plugin = format!(
            "{} {}, sha256 {}",
            request.plugin, request.plugin_version, request.plugin_sha256
        );
        writeln!(out, "plugin    {}", clean(&plugin))?;
    }
    if let Some(evicted) = &request.evicted {
        writeln!(out, "content   URL, headers and body: {evicted}")?;
    }
    if let Some(places) = request.redacted {
        writeln!(
            out,
            "content   redacted before it was stored, in {places} places: its signature fits no more, and a replay reads what is left"
        )?;
    }
    if request.duplicates > 0 {
        writeln!(
            out,
            "known     {} of its events had come before, and were dropped",
            request.duplicates
        )?;
    }
    for alert in &request.alerts {
        let event = &alert.event;
        let priority = event.priority.as_str();
        let status = event.status.as_str();
        writeln!(
            out,
            "alert     {} {priority} {status}: {}",
            clean(&event.event_id),
            clean(&event.title)
        )?;
        let own = if alert.source == OWN_SOURCE {
            ", told by the gateway itself"
        } else {
            ""
        };
        if alert.deliveries.is_empty() {
            writeln!(out, "          {}{own}", clean(&alert.state))?;
        }
        rules(out, &alert.under)?;
        if let Some(group) = &alert.group {
            let key = clean(&group.key);
            let state = clean(&group.state);
            writeln!(
                out,
                "group     {} {key}, {state}, of {} kept events",
                group.id, group.members
            )?;
        }
        if let Some(mute) = &alert.mute {
            let why = clean(&mute.why);
            let who = clean(&mute.who);
            let held = if mute.holds { "holds it" } else { "held it" };
            writeln!(out, "mute      {} {held}: {why} ({who})", mute.id)?;
        }
        for delivery in &alert.deliveries {
            write!(
                out,
                "          {} for destination {}{own}",
                clean(&delivery.state),
                clean(&delivery.destination)
            )?;
            if let (Some(first), Some(reason)) = (&delivery.fallback_for, &delivery.fallback_reason)
            {
                write!(
                    out,
                    ", the fallback for {} ({})",
                    clean(first),
                    clean(reason)
                )?;
            }
            writeln!(out)?;
        }
        if let Some(note) = &alert.note {
            writeln!(out, "          {}", clean(note))?;
        }
        if let Some(last_at) = &alert.last_at {
            let request = alert.last_request.as_deref().unwrap_or_default();
            writeln!(
                out,
                "          repeated {} times, last at {last_at} by request {request}",
                alert.repeated
            )?;
        }
        for attempt in &alert.attempts {
            let status = attempt
                .status
                .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let ms = attempt.duration_us as f64 / 1000.0;
            let at = clean(&attempt.at);
            let outcome = clean(&attempt.outcome);
            let destination = clean(&attempt.destination);
            writeln!(
                out,
                "attempt   {at} {destination}: {outcome}, {status} after {ms:.1} ms"
            )?;
            if let Some(said) = &attempt.said {
                let no_receipt = if attempt.outcome == "accepted" {
                    "no receipt; the answer was: "
                } else {
                    ""
                };
                writeln!(out, "          {no_receipt}{}", clean(said))?;
            }
            if let Some(receipt) = attempt
                .receipt
                .as_ref()
                .filter(|receipt| !receipt.is_empty())
            {
                write!(out, "receipt   {}", clean(receipt))?;
                let fingerprint = attempt.fingerprint.as_ref();
                if let Some(fingerprint) = fingerprint.filter(|it| !it.is_empty()) {
                    write!(out, " (fingerprint {})", clean(fingerprint))?;
                }
                writeln!(out)?;
            }
        }
        let waits = alert.deliveries.iter().filter(|one| one.state == "pending");
        for delivery in waits {
            writeln!(out, "next      {}", clean(&next(delivery)))?;
            if let Some(FallsBack { destination, at }) = &delivery.falls_back {
                writeln!(
                    out,
                    "fallback  {}: {at}, if it still waits then",
                    clean(destination)
                )?;
            }
        }
        if let Some(key) = &alert.same_key {
            same_key(out, key)?;
        }
    }
    Ok(())
}

/// Prints the rules of an alert, each with its changes.
fn rules(out: &mut impl Write, under: &UnderRules) -> std::io::Result<()> {
    if !under.rules.is_empty() {
        let rules: Vec<_> = under.rules.iter().map(ToString::to_string).collect();
        writeln!(out, "rules     {} of its source applied", rules.join(", "))?;
    }
    for change in &under.changes {
        let changed = plain::line(&change.to_string());
        writeln!(out, "          rule {}: {changed}", change.rule)?;
    }
    if under.masked > 0 {
        writeln!(out, "          masked in {} places", under.masked)?;
    }
    Ok(())
}

/// Returns when a delivery that waits is tried next.
fn next(delivery: &DeliveryRecord) -> String {
    let destination = &delivery.destination;
    let Some(due_at) = &delivery.due_at else {
        return format!("{destination}: after the alert of the same key that waits before it");
    };
    let Some(held_up) = &delivery.held_up else {
        return format!("{destination}: {due_at}");
    };
    let HeldUp {
        state,
        since,
        why,
        next_attempt,
    } = held_up;
    let tried = match next_attempt {
        Some(at) => format!("one alert is tried at {at}"),
        None => "one alert is being tried".to_owned(),
    };
    let why = why.as_deref().unwrap_or("no reason is known");
    format!(
        "{destination}: once it takes alerts again; it is {state} since {since}, {tried}: {why}"
    )
}

/// Prints the events of a key, and whether it is open.
fn same_key(out: &mut impl Write, key: &SameKey) -> std::io::Result<()> {
    let is_open = match key.is_open {
        Some(true) => "open",
        Some(false) => "resolved",
        None => "its newest event is kept no longer",
    };
    let timer = key.resolves_at.as_ref().zip(key.resolve_after.as_ref());
    let timer = timer.map_or_else(String::new, |(at, after)| {
        format!("; resolves by itself at {at}, {after} after its last event")
    });
    writeln!(out, "key       {}: {is_open}{timer}", plain::line(&key.key))?;
    let more = if key.more { " or more" } else { "" };
    for (number, line) in (1..).zip(&key.events) {
        let status = line.status.map_or("-", |status| status.as_str());
        let words = [&*line.received_at, status, &line.state, &line.request];
        let words = words.map(plain::line).join(" ");
        let is_last = number == key.events.len();
        writeln!(out, "          {words}{}", if is_last { more } else { "" })?;
    }
    Ok(())
}

/// Opens the store of the configuration, as its owner.
fn open(file: &ConfigFile) -> Result<History, Failure> {
    let store = file.store()?;
    owner::become_owner(store.folder())?;
    Ok(History::open(&store)?)
}

fn find(history: &History, id: &str) -> anyhow::Result<Vec<RequestRecord>> {
    let found = history.find(id)?;
    if found.is_empty() {
        return Err(unknown(id));
    }
    Ok(found)
}

fn unknown(id: &str) -> anyhow::Error {
    let id = plain::line(id);
    anyhow!("no request and no event has the id {id}; see: alert-gateway events list")
}

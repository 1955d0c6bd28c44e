//! `events list`: the newest events as a table, or as one JSON object a line.

use std::io::{IsTerminal, Write};

use anyhow::{Context, anyhow};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::{ConfigFile, Failure, Outcome, plain};
use crate::clock;
use crate::config::{Config, OWN_SOURCE, did_you_mean, listed, parse_duration};
use crate::store::{Filter, Line, ListedState};

/// The width of a terminal that does not say it.
const WIDTH: u16 = 80;

/// The arguments of `events list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events list
  alert-gateway events list --source twilio-prod --since 24h
  alert-gateway events list --state failed --limit 500
  alert-gateway events list --group group/error_code=30006
  alert-gateway events list --json | jq -r .event_id")]
pub struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only this state: pending, delivered, dead, failed, ignored, grouped, muted or
    /// dismissed
    #[arg(long, value_parser = state)]
    state: Option<ListedState>,
    /// Only members of this group: its number, or its key, as in group/error_code=30006
    #[arg(long, value_name = "KEY|ID")]
    group: Option<String>,
    /// Only what this mute has held
    #[arg(long, value_name = "ID")]
    mute: Option<i64>,
    /// Only what came in since: a duration, as in 90min, 24h or 7d, or a time, as in
    /// 2026-01-31T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// One JSON object a line, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Prints the newest events.
pub fn list(what: &List) -> Outcome {
    let history = super::open(&what.file)?;
    let mut lines = history.list(&Filter {
        source: what.source.clone(),
        state: what.state,
        group: what.group.clone(),
        mute: what.mute,
        since_ms: what.since.map_or(i64::MIN, Timestamp::as_millisecond),
        // One more, to know whether there are more.
        limit: what.limit.saturating_add(1),
        ..Filter::default()
    })?;
    let is_cut = lines.len() > what.limit;
    lines.truncate(what.limit);
    if lines.is_empty()
        && let Some(source) = &what.source
    {
        is_known(source, &what.file)?;
    }
    let mut out = std::io::stdout().lock();
    if what.json {
        for line in &lines {
            writeln!(out, "{}", plain::json(&serde_json::to_string(line)?))?;
        }
    } else if lines.is_empty() {
        writeln!(out, "no events")?;
    } else {
        let width = out
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(&out).map_or(WIDTH, |size| size.ws_col));
        writeln!(out, "{}", table(&lines, &TimeZone::system(), width))?;
    }
    if is_cut {
        out.flush()?;
        eprintln!(
            "there are more: these are the newest {}; see --limit, --since, --source and --state",
            what.limit
        );
    }
    Ok(())
}

/// Returns the lines as a table, each on one line and none wider than a terminal of `width`.
fn table(lines: &[Line], zone: &TimeZone, width: Option<u16>) -> String {
    let newest = lines
        .first()
        .and_then(|line| line.received_at.parse::<Timestamp>().ok())
        .unwrap_or_default();
    let zone_name = newest
        .to_zoned_datetime(zone.clone())
        .strftime("%Z")
        .to_string();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    let received = format!("RECEIVED ({})", plain::line(&zone_name));
    table.set_header([
        received.as_str(),
        "STATE",
        "PRIORITY",
        "SOURCE",
        "ID",
        "TITLE",
    ]);
    for line in lines {
        let cells = cells(line, zone).map(|cell| plain::line(&cell));
        table.add_row(cells.map(|cell| cell.trim_end().to_owned()));
        if let Some(row) = table
            .row_mut(table.row_count() - 1)
            .filter(|_| width.is_some())
        {
            row.max_height(1);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the time, state, priority, source, id and title of a line, as a person reads them.
pub fn cells(line: &Line, zone: &TimeZone) -> [String; 6] {
    let priority = line.priority.map_or("-", |priority| priority.as_str());
    let id = line.event_id.as_deref().unwrap_or(&line.request);
    let at = local(&line.received_at, zone);
    let mut title = match &line.last_at {
        Some(last) => format!(
            "{} (repeated {} times, last at {})",
            line.title,
            line.repeated,
            local(last, zone)
        ),
        None => line.title.clone(),
    };
    for receipt in &line.receipts {
        if let Some(first) = &receipt.fallback_for {
            title += &format!(" (delivered to {}, for {first})", receipt.destination);
        }
    }
    [
        at,
        line.state.clone(),
        priority.to_owned(),
        line.source.clone(),
        id.to_owned(),
        title,
    ]
}

/// Returns a time of the store as a clock on the wall of the reader shows it.
fn local(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => time.to_owned(),
    }
}

/// Tells a source without events from one that is not configured.
pub fn is_known(source: &str, file: &ConfigFile) -> Outcome {
    // Where the configuration is wrong elsewhere, its sources are not known, and nothing is to be
    // said of them.
    let Ok(config) = Config::load_without_secrets(&file.path()?, "unknown") else {
        return Ok(());
    };
    let names = || config.sources.iter().map(|source| source.name.as_str());
    if source == OWN_SOURCE || names().any(|name| name == source) {
        return Ok(());
    }
    let near = did_you_mean(source, names())
        .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    let known = listed(names().chain([OWN_SOURCE]), "and");
    Err(Failure::Usage(format!(
        "no event is of a source {:?}; the sources are {known}{near}",
        plain::line(source)
    )))
}

/// The states, and other words for them that a person may try.
const STATES: [(&str, ListedState, &[&str]); 8] = [
    (
        "pending",
        ListedState::Pending,
        &["waiting", "queued", "open", "due", "held", "retry"],
    ),
    (
        "delivered",
        ListedState::Delivered,
        &["sent", "accepted", "done", "ok", "success"],
    ),
    (
        "dead",
        ListedState::Dead,
        &[
            "dead-letter",
            "dead-letters",
            "refused",
            "rejected",
            "set-aside",
            "set_aside",
        ],
    ),
    ("ignored", ListedState::Ignored, &["dropped", "skipped"]),
    ("grouped", ListedState::Grouped, &["member", "joined"]),
    ("muted", ListedState::Muted, &["silenced", "snoozed"]),
    ("dismissed", ListedState::Dismissed, &["given-up", "closed"]),
    (
        "failed",
        ListedState::Failed,
        &["error", "errors", "crashed", "kept", "raw", "unread"],
    ),
];

/// Reads a state, and suggests one for a near word.
pub fn state(text: &str) -> anyhow::Result<ListedState> {
    if let Some((_, state, _)) = STATES.iter().find(|(word, ..)| *word == text) {
        return Ok(*state);
    }
    let words = STATES.iter().map(|(word, ..)| *word);
    let other = STATES
        .iter()
        .find(|(_, _, others)| others.contains(&text.to_lowercase().as_str()));
    match other
        .map(|(word, ..)| *word)
        .or_else(|| did_you_mean(text, words.clone()))
    {
        Some(near) => Err(anyhow!("did you mean {near:?}?")),
        None => Err(anyhow!("write {}", listed(words, "or"))),
    }
}

/// Reads a point in time, as a time or as a duration before now.
pub fn since(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let duration = parse_duration(text).ok_or_else(|| {
        anyhow!("write a duration, as in 24h, or a time, as in 2026-01-31T08:00:00Z")
    })?;
    let now =
        Timestamp::from_millisecond(clock::wall_ms()).context("the machine's clock is not set")?;
    now.checked_sub(duration).context("that is too long ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(title: &str) -> Line {
        Line {
            place: 0,
            note: None,
            received_at: "2026-01-31T23:30:00.123Z".to_owned(),
            source: "twilio".to_owned(),
            state: "delivered".to_owned(),
            request: "r".to_owned(),
            event_id: Some("NO1\u{1b}[2J".to_owned()),
            priority: None,
            title: title.to_owned(),
            repeated: 0,
            last_at: None,
            receipts: Vec::new(),
        }
    }

    #[test]
    fn a_table_has_a_header_and_the_readers_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let shown = table(&[line("a title\u{202e}"), line("日本語")], &zone, None);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "RECEIVED (+01)       STATE      PRIORITY  SOURCE  ID       TITLE",
                "2026-02-01 00:30:00  delivered  -         twilio  NO1 [2J  a title",
                "2026-02-01 00:30:00  delivered  -         twilio  NO1 [2J  日本語",
            ]
        );
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        for width in [100, 120] {
            let shown = table(
                &[line(&"long ".repeat(100)), line("short")],
                &TimeZone::UTC,
                Some(width),
            );
            assert_eq!(shown.lines().count(), 3, "{shown}");
            assert!(
                shown
                    .lines()
                    .all(|line| line.chars().count() <= usize::from(width)),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_near_word_for_a_state_is_suggested() {
        assert_eq!(state("pending").unwrap(), ListedState::Pending);
        for (word, said) in [
            ("waiting", "did you mean \"pending\"?"),
            ("pendign", "did you mean \"pending\"?"),
            ("SENT", "did you mean \"delivered\"?"),
            ("set-aside", "did you mean \"dead\"?"),
            (
                "colour",
                "write pending, delivered, dead, ignored, grouped, muted, dismissed or failed",
            ),
        ] {
            assert_eq!(state(word).unwrap_err().to_string(), said);
        }
    }
}

//! `events list`: the newest events as a table, or as one JSON object a line.

use std::io::Write;
use std::iter;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::columns::{self, Tone};
use super::super::{Outcome, Place, block_on, plain};
use super::lines::{Newest, Wanted};
use crate::store::Line;

/// The arguments of `events list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events list
  alert-gateway events list --source twilio-prod --since 24h
  alert-gateway events list --state failed --limit 500
  alert-gateway events list --state rejected --source twilio-prod
  alert-gateway events list --priority critical --label error_code=30006 --text \"voice server\"
  alert-gateway events list --group group/error_code=30006
  alert-gateway events list --source alertmanager --key HighLatency
  alert-gateway events list --json | jq -r .event_id
  alert-gateway events list --remote https://gateway.example.com:9090 --token-file token.txt")]
pub struct List {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wanted: Wanted,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// One JSON object a line, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Prints the newest events.
pub fn list(what: &List) -> Outcome {
    let lines = what.wanted.open(&what.place)?;
    let Newest {
        lines,
        is_cut,
        forgotten,
    } = block_on(async {
        let newest = lines.newest(&what.wanted, what.limit).await?;
        if newest.lines.is_empty() {
            what.wanted.is_known(&what.place, &lines).await?;
        }
        Ok(newest)
    })?;
    let mut out = std::io::stdout().lock();
    if what.json {
        for line in &lines {
            writeln!(out, "{}", plain::json(&serde_json::to_string(line)?))?;
        }
    } else if lines.is_empty() {
        writeln!(out, "no events")?;
    } else {
        let width = columns::width();
        let is_painted = width.is_some() && columns::has_colours();
        let states = lines.iter().map(|line| Tone::of_state(&line.state));
        let tones = iter::once(Tone::Title).chain(states);
        for (line, tone) in table(&lines, &TimeZone::system(), width).iter().zip(tones) {
            let tone = if is_painted { tone } else { Tone::Plain };
            writeln!(out, "{}", tone.paint(line, true))?;
        }
    }
    if is_cut {
        out.flush()?;
        eprintln!(
            "there are more: these are the newest {}; see --limit, --since, --source and --state",
            what.limit
        );
    }
    if let Some(why) = forgotten {
        out.flush()?;
        eprintln!(
            "without those in the memory of the gateway: {}",
            plain::line(&why.to_string())
        );
    }
    Ok(())
}

/// Returns the lines as a table, each on one line and none wider than a terminal of `width`.
fn table(lines: &[Line], zone: &TimeZone, width: Option<u16>) -> Vec<String> {
    let newest = lines
        .first()
        .and_then(|line| line.received_at.parse::<Timestamp>().ok())
        .unwrap_or_default();
    let zone_name = columns::zone_name(newest.as_millisecond(), zone);
    let received = format!("RECEIVED ({zone_name})");
    let header = [
        received.as_str(),
        "STATE",
        "PRIORITY",
        "SOURCE",
        "ID",
        "TITLE",
    ];
    columns::table(header, lines.iter().map(|line| cells(line, zone)), width)
}

/// Returns the time, state, priority, source, id and title of a line, as a person reads them.
pub fn cells(line: &Line, zone: &TimeZone) -> [String; 6] {
    let priority = line.priority.map_or("-", |priority| priority.as_str());
    let id = line.event_id.as_deref().unwrap_or(&line.request);
    let at = columns::local_text(&line.received_at, zone);
    let mut title = match &line.last_at {
        Some(last) => format!(
            "{} (repeated {} times, last at {})",
            line.title,
            line.repeated,
            columns::local_text(last, zone)
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
            status: None,
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
        assert_eq!(
            shown,
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
            assert_eq!(shown.len(), 3, "{shown:?}");
            assert!(
                shown
                    .iter()
                    .all(|line| line.chars().count() <= usize::from(width)),
                "{shown:?}"
            );
        }
    }
}

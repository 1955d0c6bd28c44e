//! The lines of a frame: one gateway at a glance.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::check::counted;
use super::super::columns::{self, Tone};
use super::super::events::cells;
use super::super::plain;
use super::state::{Destination, Source, State};
use crate::config::{shown_duration, size_text};

/// The least rows of sources, destinations and events where there are as many.
const ROWS: usize = 3;
/// The lines that are none of these rows: two of the summary, and for each table an empty line and
/// the header.
const FIXED: usize = 8;

/// The size of a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Characters of a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl Default for Size {
    /// The size of a terminal that does not say its own.
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 24,
        }
    }
}

/// A line, and how it stands out.
#[derive(Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The text, safe for a terminal.
    pub text: String,
    /// The way it stands out.
    pub tone: Tone,
}

/// Draws a frame. Where there is a `size`, the tables share its lines.
pub fn frame(state: &State, size: Option<Size>, width: Option<u16>) -> Vec<Drawn> {
    let wanted = [
        state.sources.len(),
        state.destinations.len(),
        state.events.len(),
    ];
    let [sources, destinations, events] = match size {
        Some(size) => shared(wanted, usize::from(size.rows).saturating_sub(FIXED)),
        None => wanted,
    };
    let mut lines = summary(state);
    let rows = state.sources.iter().map(|one| source(state, one));
    add(
        &mut lines,
        columns::table(
            [
                "SOURCE",
                "STATE",
                "HEARD",
                "NOW/S",
                "ACCEPTED/H",
                "IGNORED/H",
                "REJECTED/H",
                "FAILED",
            ],
            rows.take(sources),
            width,
        ),
        state.sources.iter().map(|one| is_wrong(one).is_some()),
        wanted[0] - sources,
    );
    let rows = state.destinations.iter().map(|one| destination(state, one));
    add(
        &mut lines,
        columns::table(
            [
                "DESTINATION",
                "STATE",
                "PENDING",
                "OLDEST",
                "DEAD",
                "DELIVERED/H",
                "WHY",
            ],
            rows.take(destinations),
            width,
        ),
        state
            .destinations
            .iter()
            .map(|one| one.dead > 0 || !is_well(one)),
        wanted[1] - destinations,
    );
    let zone = TimeZone::system();
    let rows = state.events.iter().map(|line| cells(line, &zone));
    add(
        &mut lines,
        columns::table(
            ["RECEIVED", "STATE", "PRIORITY", "SOURCE", "ID", "TITLE"],
            rows.take(events),
            width,
        ),
        state
            .events
            .iter()
            .map(|line| Tone::of_state(&line.state) == Tone::Wrong),
        0,
    );
    lines
}

/// Draws why there is no newer state.
pub fn trouble(why: &str) -> Drawn {
    Drawn {
        text: format!("{}; it is tried again", plain::line(why)),
        tone: Tone::Wrong,
    }
}

/// Shares lines among tables: each gets a few, the first ones what is left, and the last one the
/// rest.
fn shared(wanted: [usize; 3], mut lines: usize) -> [usize; 3] {
    let mut given = [0; 3];
    for (given, wanted) in given.iter_mut().zip(wanted) {
        *given = wanted.min(ROWS).min(lines);
        lines -= *given;
    }
    // The events take what the others do not want, and much of what they do.
    for (index, most) in [(1, lines / 4), (0, lines / 2), (2, usize::MAX)] {
        let more = (wanted[index] - given[index]).min(most).min(lines);
        given[index] += more;
        lines -= more;
    }
    given
}

fn summary(state: &State) -> Vec<Drawn> {
    let node = &state.node;
    let at = state.at.to_zoned_datetime(TimeZone::system());
    let up = match node.uptime_s {
        seconds @ 0..60 => seconds,
        seconds => seconds - seconds % 60,
    };
    let up = shown_duration(Duration::from_secs(up));
    let readiness = if node.ready { "ready" } else { "NOT READY" };
    let note = node.note.as_deref().unwrap_or_default();
    let first = format!(
        "{}  alert-gateway {} on {}, up {up}, {readiness} {note}",
        at.strftime("%H:%M:%S"),
        node.version,
        node.name
    );
    let second = format!(
        "{} pending, {}, {}, store {}",
        node.pending,
        counted(
            usize::try_from(node.dead).unwrap_or_default(),
            "dead letter"
        ),
        counted(
            usize::try_from(node.failed).unwrap_or_default(),
            "failed request"
        ),
        bytes(node.store_bytes)
    );
    let tone = |wrong| if wrong { Tone::Wrong } else { Tone::Title };
    let drawn = |text: &str, tone| Drawn {
        text: plain::line(text.trim_end()),
        tone,
    };
    vec![
        drawn(&first, tone(!node.ready)),
        drawn(&second, tone(node.dead + node.failed > 0)),
    ]
}

/// Adds a table, with the number of rows that there is no room for.
fn add(
    lines: &mut Vec<Drawn>,
    table: Vec<String>,
    wrong: impl Iterator<Item = bool>,
    left_out: usize,
) {
    let drawn = |text, tone| Drawn { text, tone };
    lines.push(drawn(String::new(), Tone::Plain));
    let mut table = table.into_iter();
    let mut header = table.next().unwrap_or_default();
    if left_out > 0 {
        header += &format!("  ({left_out} more)");
    }
    lines.push(drawn(header, Tone::Title));
    lines.extend(table.zip(wrong).map(|(text, wrong)| {
        let tone = if wrong { Tone::Wrong } else { Tone::Plain };
        drawn(text, tone)
    }));
}

fn source(state: &State, one: &Source) -> [String; 8] {
    let heard = one.last_heard.as_ref().map(|at| ago(state.at, at));
    let rate = state.rate(&one.name).map(|rate| format!("{rate:.1}"));
    [
        one.name.clone(),
        is_wrong(one).unwrap_or("ok").to_owned(),
        heard.unwrap_or_else(|| "never".to_owned()),
        rate.unwrap_or_else(|| "-".to_owned()),
        one.last_hour.accepted.to_string(),
        one.last_hour.ignored.to_string(),
        one.last_hour.rejected.to_string(),
        one.failed.to_string(),
    ]
}

fn is_wrong(one: &Source) -> Option<&'static str> {
    if one.missed_heartbeat {
        Some("silent")
    } else if one.failed > 0 {
        Some("failing")
    } else {
        None
    }
}

fn is_well(one: &Destination) -> bool {
    one.state.as_deref().is_none_or(|state| state == "healthy")
}

fn destination(state: &State, one: &Destination) -> [String; 7] {
    let oldest = one.oldest_pending.as_ref().map(|at| ago(state.at, at));
    let more = if one.pending_is_at_least { "+" } else { "" };
    [
        one.name.clone(),
        one.state.clone().unwrap_or_else(|| "starting".to_owned()),
        format!("{}{more}", one.pending),
        oldest.unwrap_or_else(|| "-".to_owned()),
        one.dead.to_string(),
        one.delivered_last_hour.to_string(),
        one.why.clone().unwrap_or_default(),
    ]
}

/// Returns how long ago a time was, in whole seconds.
fn ago(now: Timestamp, at: &str) -> String {
    let Ok(at) = at.parse::<Timestamp>() else {
        return "?".to_owned();
    };
    let seconds = u64::try_from(now.as_second() - at.as_second()).unwrap_or_default();
    shown_duration(Duration::from_secs(seconds))
}

/// Returns a size as it is written in the configuration, to a whole unit.
fn bytes(count: u64) -> String {
    let unit = match count {
        0..0x10_0000 => 1 << 10,
        0x10_0000..0x4000_0000 => 1 << 20,
        _ => 1 << 30,
    };
    let whole = count.next_multiple_of(unit);
    let text = size_text(usize::try_from(whole).unwrap_or(usize::MAX));
    text.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_share_the_lines_of_a_terminal() {
        assert_eq!(shared([2, 1, 50], 16), [2, 1, 13]);
        assert_eq!(shared([1000, 2, 50], 16), [7, 2, 7]);
        assert_eq!(shared([1000, 100, 50], 16), [6, 4, 6]);
        assert_eq!(shared([1000, 100, 50], 4), [3, 1, 0]);
        assert_eq!(shared([0, 0, 0], 16), [0, 0, 0]);
        for lines in 0..100 {
            let given = shared([40, 40, 40], lines);
            assert_eq!(given.iter().sum::<usize>(), lines.min(120), "{given:?}");
        }
    }

    #[test]
    fn sizes_are_whole_units() {
        assert_eq!(
            [bytes(0), bytes(1500), bytes(70_000_000)],
            ["0B", "2KiB", "67MiB"]
        );
    }
}

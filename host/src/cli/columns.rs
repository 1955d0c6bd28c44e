//! Tables for a terminal: one row a line, none wider than the terminal, and what is wrong stands out.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Row, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::plain;

/// The width of a terminal that does not say it.
const WIDTH: u16 = 80;

/// The control sequences for characters that every terminal of today knows (ECMA-48).
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const REVERSE: &str = "\x1b[7m";
const PLAIN: &str = "\x1b[0m";

/// The way a line stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Not at all.
    Plain,
    /// A header.
    Title,
    /// Something is wrong.
    Wrong,
}

impl Tone {
    /// Returns the tone of an event in this state.
    pub fn of_state(state: &str) -> Self {
        match state {
            "dead" | "failed" | "rejected" => Self::Wrong,
            _ => Self::Plain,
        }
    }

    /// Returns a line for a terminal; without `has_colours`, what is wrong is reversed.
    pub fn paint(self, line: &str, has_colours: bool) -> String {
        let begin = match self {
            Self::Plain => return line.to_owned(),
            Self::Title => BOLD,
            Self::Wrong if has_colours => RED,
            Self::Wrong => REVERSE,
        };
        format!("{begin}{line}{PLAIN}")
    }
}

/// Returns whether the viewer wants colours (<https://no-color.org>).
pub fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns the width that what is written to the standard output may have; none where it is no
/// terminal.
pub fn width() -> Option<u16> {
    let out = std::io::stdout();
    out.is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&out).map_or(WIDTH, |size| size.ws_col))
}

/// Prints a table, as wide as the terminal, with a header that stands out there.
pub fn print<const N: usize>(
    out: &mut impl Write,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> std::io::Result<()> {
    let width = width();
    let is_painted = width.is_some() && has_colours();
    for (number, line) in table(header, rows, width).iter().enumerate() {
        let tone = match (number, is_painted) {
            (0, true) => Tone::Title,
            _ => Tone::Plain,
        };
        writeln!(out, "{}", tone.paint(line, true))?;
    }
    Ok(())
}

/// Returns a time, in Unix milliseconds, as a clock on the wall of the reader shows it.
pub fn local(at_ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(at) => at
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => at_ms.to_string(),
    }
}

/// The same of a time of the store: RFC 3339. Any other text stays.
pub fn local_text(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => local(time.as_millisecond(), zone),
        Err(_) => time.to_owned(),
    }
}

/// Returns the short name of a time zone at a moment.
pub fn zone_name(at_ms: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    let at = at.to_zoned_datetime(zone.clone());
    plain::line(&at.strftime("%Z").to_string())
}

/// Returns the lines of a table, the header first.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<u16>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    let row = |cells: [String; N]| {
        let mut row = Row::from(cells.map(|cell| plain::line(&cell).trim_end().to_owned()));
        if width.is_some() {
            row.max_height(1);
        }
        row
    };
    table.set_header(row(header.map(str::to_owned)));
    table.add_rows(rows.into_iter().map(row));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines();
    lines.map(|line| line.trim_end().to_owned()).collect()
}

//! Words and shapes that pages share: times, numbers, states, and text from the network.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::clock::wall_ms;
use crate::store::{AttemptRecord, ListedState};

/// The clock of a page: now, and the time zone of the gateway.
#[derive(Debug, Clone)]
pub struct When {
    now: Timestamp,
    zone: TimeZone,
}

impl When {
    /// Now, in the time zone of this machine.
    pub fn now() -> Self {
        Self {
            now: Timestamp::from_millisecond(wall_ms()).unwrap_or_default(),
            zone: TimeZone::system(),
        }
    }

    /// Returns the time of the page, as its clock shows it.
    pub fn time(&self) -> Markup {
        self.clock(&self.now.to_string())
    }

    /// Returns the name of the time zone.
    pub fn zone_name(&self) -> String {
        match self.zone.iana_name() {
            Some(name) => name.to_owned(),
            None => {
                let now = self.now.to_zoned_datetime(self.zone.clone());
                now.strftime("%Z").to_string()
            }
        }
    }

    /// Returns a time as a clock shows it: today without a date, this week with a day.
    pub fn clock(&self, time: &str) -> Markup {
        let Ok(at) = time.parse::<Timestamp>() else {
            return html! { (time) };
        };
        let zoned = at.to_zoned_datetime(self.zone.clone());
        let today = self.now.to_zoned_datetime(self.zone.clone());
        let distance = (self.now.as_second() - at.as_second()).abs();
        let format = if zoned.date() == today.date() {
            "%H:%M:%S"
        } else if distance < 6 * 24 * 3600 {
            "%a %H:%M"
        } else if zoned.year() == today.year() {
            "%-d %b %H:%M"
        } else {
            "%-d %b %Y"
        };
        html! { time datetime=(at) { (zoned.strftime(format)) } }
    }

    /// Returns how long ago a time was.
    pub fn ago(&self, time: &str) -> Markup {
        let Ok(at) = time.parse::<Timestamp>() else {
            return html! { (time) };
        };
        let ms = self.now.as_millisecond() - at.as_millisecond();
        html! { time datetime=(at) { (span(ms)) " ago" } }
    }

    /// Returns how far ahead a time is.
    pub fn until(&self, time: &str) -> String {
        match self.since_ms(time) {
            Some(ms) if ms < 0 => format!("in {}", span(-ms)),
            _ => "now".to_owned(),
        }
    }

    /// Returns the time of the page: Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// Returns the milliseconds since a time; none where it is none.
    pub fn since_ms(&self, time: &str) -> Option<i64> {
        let at = time.parse::<Timestamp>().ok()?;
        Some(self.now.as_millisecond() - at.as_millisecond())
    }
}

/// Returns a span of time in at most two units.
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let minutes = seconds / 60;
    let hours = seconds / 3600;
    let days = seconds / 86_400;
    // No-break spaces keep a number and its unit together.
    match seconds {
        0 => format!("{}\u{a0}ms", ms.max(0)),
        1..60 => format!("{seconds}\u{a0}s"),
        60..3600 if seconds % 60 == 0 || minutes >= 10 => format!("{minutes}\u{a0}min"),
        60..3600 => format!("{minutes}\u{a0}min {}\u{a0}s", seconds % 60),
        3600..86_400 => format!("{hours}\u{a0}h {}\u{a0}min", minutes % 60),
        _ => format!("{days}\u{a0}d {}\u{a0}h", hours % 24),
    }
}

/// Returns the span of time between two times; none where one of them is none.
pub fn between(from: &str, to: &str) -> Option<String> {
    let [from, to] = [from, to].map(|text| text.parse::<Timestamp>().ok());
    Some(span(to?.as_millisecond() - from?.as_millisecond()))
}

/// Returns a number with a mark at each thousand.
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if number < 0 {
        format!("-{shown}")
    } else {
        shown
    }
}

/// Returns a number with its noun: `1 alert`, `2 alerts`.
pub fn counted(count: i64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(count))
}

/// Returns a text from outside, cut where it would take more than `most` bytes of a page.
pub fn clip(text: &str, most: usize) -> Cow<'_, str> {
    let mut room = most;
    for (place, char) in text.char_indices() {
        let bytes = match char {
            '&' => 5,
            '<' | '>' => 4,
            '"' => 6,
            _ => char.len_utf8(),
        };
        match room.checked_sub(bytes) {
            Some(rest) => room = rest,
            None => return format!("{}…", &text[..place]).into(),
        }
    }
    text.into()
}

/// Returns what a destination answered, in a sentence, with at most so many bytes of its words.
pub fn said(attempt: &AttemptRecord, most: usize) -> Markup {
    let ms = attempt.duration_us / 1000;
    html! {
        @match attempt.status {
            Some(status) => { (status) " after " (span(ms)) }
            None => { "No answer after " (span(ms)) }
        }
        @if let Some(said) = attempt.said.as_ref().filter(|said| !said.is_empty()) { ": " q { (clip(said, most)) } }
    }
}

/// Returns the shape and the word of a state.
pub fn state(state: &str) -> (&'static str, &str) {
    match state {
        "pending" => ("wait", "waiting"),
        "delivered" | "accepted" | "read" => ("ok", state),
        "dead" => ("dead", "dead letter"),
        "failed" => ("bad", "failed"),
        "rejected" => ("rej", "rejected"),
        "retry" | "blocked" => ("wait", state),
        "dismissed" | "muted" | "active" | "planned" => ("hush", state),
        "grouped" | "open" => ("grp", state),
        _ => ("idle", state),
    }
}

/// Returns a state, drawn.
pub fn badge(of: &str) -> Markup {
    let (shape, word) = state(of);
    html! { span.s.(shape) { (word) } }
}

/// Returns every state that events can be narrowed to, with its word.
pub fn states() -> impl Iterator<Item = (&'static str, &'static str)> {
    ListedState::ALL
        .into_iter()
        .map(|one| (one.as_str(), state(one.as_str()).1))
}

/// Returns the head of a table with these columns; one that begins with `#` holds numbers.
pub fn head(columns: &[&str]) -> Markup {
    html! {
        thead { tr role="row" {
            @for column in columns {
                @match column.strip_prefix('#') {
                    Some(column) => th.num scope="col" role="columnheader" { (column) },
                    None => th scope="col" role="columnheader" { (column) },
                }
            }
        } }
    }
}

/// Returns a text, with a button that copies it. `of` says to a screen reader what it is.
pub fn copied(id: &str, text: &str, of: &str) -> Markup {
    html! {
        div.url {
            code id=(id) { (text) }
            button type="button" data-copy=(id) hidden { "Copy" span.hide { " " (of) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_are_short() {
        let shown = |ms| span(ms).replace('\u{a0}', " ");
        for (ms, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (61_000, "1 min 1 s"),
            (120_000, "2 min"),
            (754_000, "12 min"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(shown(ms), text);
        }
        assert_eq!([number(0), number(1_234_567)], ["0", "1,234,567"]);
        assert_eq!(
            [counted(1, "alert"), counted(2_000, "alert")],
            ["1 alert", "2,000 alerts"]
        );
    }

    #[test]
    fn text_is_cut_by_what_it_takes_when_escaped() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("aéb", 2), "a…");
        assert_eq!(clip("<<<", 8), "<<…");
    }
}

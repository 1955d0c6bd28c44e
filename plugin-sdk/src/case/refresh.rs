//! Times in a recorded request, moved as if it had just been sent.

use crate::contract::{Body, Request};
use crate::time;

/// A time in a body.
struct Written {
    at: usize,
    seconds: i64,
    /// The separators between date and time, and within the time.
    between: String,
    within: String,
}

/// Moves the times in a body, so that the latest of them is the time of receipt: a recorded request
/// is as old as its times say. Dates without a time stay, and so does what is no date of this
/// century.
pub fn refresh_times(request: &mut Request) {
    let Body::Text(text) = &request.body else {
        return;
    };
    let written: Vec<Written> = (0..text.len()).filter_map(|at| time_at(text, at)).collect();
    let (Some(latest), Some(now)) = (
        written.iter().map(|time| time.seconds).max(),
        time::seconds(&request.received_at),
    ) else {
        return;
    };
    let mut refreshed = String::with_capacity(text.len());
    let mut copied = 0;
    for time in &written {
        let Some(moved) = time::of_seconds(time.seconds + now - latest) else {
            continue;
        };
        // `2026-01-31T08:00:00Z`
        let (Some(date), Some(clock)) = (moved.get(..10), moved.get(11..19)) else {
            continue;
        };
        refreshed.push_str(&text[copied..time.at]);
        refreshed.push_str(date);
        refreshed.push_str(&time.between);
        refreshed.push_str(&clock.replace(':', &time.within));
        copied = time.at + 10 + time.between.len() + 6 + 2 * time.within.len();
    }
    refreshed.push_str(&text[copied..]);
    request.body = Body::Text(refreshed);
}

/// Reads the time that begins at this byte: `2026-01-31T08:00:00`, or with a space, or with its
/// colons as a form spells them.
fn time_at(text: &str, at: usize) -> Option<Written> {
    let rest = text.get(at..)?;
    let date = rest.get(..10).filter(|date| fits(date, "dddd-dd-dd"))?;
    let after = &rest[10..];
    let between = ["T", " ", "+", "%20"]
        .into_iter()
        .find(|between| after.starts_with(between))?;
    let clock = &after[between.len()..];
    let within = [":", "%3A", "%3a"]
        .into_iter()
        .find(|within| clock.get(2..).is_some_and(|rest| rest.starts_with(within)))?;
    let clock = clock.get(..6 + 2 * within.len())?.replace(within, ":");
    if !fits(&clock, "dd:dd:dd") || date < "2001" {
        return None;
    }
    Some(Written {
        at,
        seconds: time::seconds(&format!("{date}T{clock}Z"))?,
        between: between.to_owned(),
        within: within.to_owned(),
    })
}

/// Returns whether a text has a digit where the form has a `d`, and is the form elsewhere.
fn fits(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                form => byte == form,
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn latest_time_of_a_body_becomes_that_of_receipt() {
        let refreshed = |body: &str| {
            let mut request = testing::post("https://a.example/in/x")
                .received_at("2026-05-01T12:00:00.500Z")
                .body(body)
                .build();
            refresh_times(&mut request);
            request.body.text().into_owned()
        };
        assert_eq!(
            refreshed("a=2026-03-14T02:17:45.123Z&b=2026-03-14T02%3A16%3A45Z"),
            "a=2026-05-01T12:00:00.123Z&b=2026-05-01T11%3A59%3A00Z"
        );
        assert_eq!(
            refreshed(r#"{"t":"2025-12-31 23:58:00.214","ends":"0001-01-01T00:00:00Z"}"#),
            r#"{"t":"2026-05-01 12:00:00.214","ends":"0001-01-01T00:00:00Z"}"#
        );
        for none in [
            "",
            "2026-03-14",
            "2026-13-14T02:17:45Z",
            "ä2026-03-14T",
            "T02:17:45Z",
        ] {
            assert_eq!(refreshed(none), none);
        }
    }
}

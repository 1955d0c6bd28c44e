//! `[limits]` for all sources and `[sources.<name>.limits]` for one: what a request and a plugin
//! call may use.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::problem::{did_you_mean, listed};
use super::quantity::{GIB, KIB, MIB, Rate, parse_duration, parse_size, shown_duration, size_text};
use super::raw::Table;

/// The allowed sizes of a body and of an output.
const TRANSFER: RangeInclusive<usize> = KIB..=64 * MIB;
/// The allowed times of a call. Below 10 ms a busy machine fails calls that are not at fault; beyond
/// 30 s every sender has gone.
const TIME: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(30);
/// The allowed memory of a plugin.
const MEMORY: RangeInclusive<usize> = MIB..=GIB;

/// The limits that the operator wrote, for all sources or for one: a plugin may ask for larger ones
/// in place of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// See [`Limits`]; so for all fields.
    pub body: bool,
    /// See there.
    pub time: bool,
    /// See there.
    pub memory: bool,
    /// See there.
    pub output: bool,
}

/// The limits of one request and of the plugin that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The longest that a plugin may take for one request.
    pub time: Duration,
    /// The most memory that a plugin may have, in bytes.
    pub memory: usize,
    /// The most that a plugin may answer, in bytes.
    pub output: usize,
    /// The number of requests that are taken in a time; `None` for any number.
    pub rate: Option<Rate>,
    /// The limits that were written.
    pub written: Written,
}

impl Default for Limits {
    /// Each is some hundred times the need of a webhook; beyond that something is wrong. There is
    /// no rate: the gateway cannot know the number of a sender's events, and it refuses an excess
    /// without one.
    fn default() -> Self {
        Self {
            body: 256 * KIB,
            time: Duration::from_millis(100),
            memory: 16 * MIB,
            output: MIB,
            rate: None,
            written: Written::default(),
        }
    }
}

/// Reads a table of limits; what it does not name is as in `inherited`.
pub(super) fn read(mut table: Table<'_>, inherited: Limits) -> Option<Limits> {
    let mut written = inherited.written;
    for (key, _) in table.entries() {
        match key.get_ref().as_ref() {
            "body" => written.body = true,
            "time" => written.time = true,
            "memory" => written.memory = true,
            "output" => written.output = true,
            _ => {}
        }
    }
    let body = table.optional("body", inherited.body, |value| value.size(&TRANSFER));
    let time = table.optional("time", inherited.time, |value| value.duration(&TIME));
    let memory = table.optional("memory", inherited.memory, |value| value.size(&MEMORY));
    let output = table.optional("output", inherited.output, |value| value.size(&TRANSFER));
    let rate = table.optional("rate", inherited.rate, |value| value.rate());
    table.finish();
    Some(Limits {
        body: body?,
        time: time?,
        memory: memory?,
        output: output?,
        rate: rate?,
        written,
    })
}

impl FromStr for Limits {
    type Err = String;

    /// Reads limits as an option of a command: `time=50ms,memory=32MiB`. The others are the usual
    /// ones.
    fn from_str(text: &str) -> Result<Self, String> {
        const KEYS: [&str; 4] = ["body", "time", "memory", "output"];
        let mut limits = Self::default();
        for part in text.split(',').map(str::trim) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(format!(
                    "{part:?} is no limit: write them as in time=50ms,memory=32MiB"
                ));
            };
            let key = key.trim();
            let value = value.trim();
            let size = |allowed: &RangeInclusive<usize>| {
                let size = parse_size(value).filter(|size| allowed.contains(size));
                size.ok_or_else(|| {
                    let least = size_text(*allowed.start());
                    let most = size_text(*allowed.end());
                    format!("{key} is a size from {least} to {most}, not {value:?}")
                        .replace('"', "")
                })
            };
            let written = &mut limits.written;
            match key {
                "body" => {
                    limits.body = size(&TRANSFER)?;
                    written.body = true;
                }
                "memory" => {
                    limits.memory = size(&MEMORY)?;
                    written.memory = true;
                }
                "output" => {
                    limits.output = size(&TRANSFER)?;
                    written.output = true;
                }
                "time" => {
                    let time = parse_duration(value).filter(|time| TIME.contains(time));
                    limits.time = time.ok_or_else(|| {
                        let least = shown_duration(*TIME.start());
                        let most = shown_duration(*TIME.end());
                        format!("time is a duration from {least} to {most}, not {value}")
                    })?;
                    written.time = true;
                }
                other => {
                    let near = did_you_mean(other, KEYS)
                        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
                    return Err(format!(
                        "there is no limit {other}, only {}{near}",
                        listed(KEYS, "and")
                    ));
                }
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_an_option_are_read_and_marked_as_written() {
        let limits: Limits = "time=50ms, memory=32MiB".parse().unwrap();
        assert_eq!(
            (limits.time, limits.memory, limits.body),
            (Duration::from_millis(50), 32 * MIB, Limits::default().body)
        );
        let written = limits.written;
        assert!(written.time && written.memory && !written.body && !written.output);
    }

    #[test]
    fn mistake_in_an_option_is_told_with_what_is_allowed() {
        for (text, told) in [
            ("", "write them as in time=50ms,memory=32MiB"),
            ("time", "write them as in"),
            ("tme=1s", "did you mean time?"),
            ("time=1ms", "time is a duration from 10ms to 30s, not 1ms"),
            ("body=1", "body is a size from 1KiB to 64MiB, not 1"),
            ("memory=lots", "memory is a size from 1MiB to 1GiB"),
            ("rate=1/s", "there is no limit rate, only"),
        ] {
            let error = text.parse::<Limits>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}

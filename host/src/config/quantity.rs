//! Durations, sizes, counts and rates, each within limits that the operator is told.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use toml::de::DeValue;

use super::raw::Value;

/// One KiB, in bytes.
pub(super) const KIB: usize = 1 << 10;
/// One MiB, in bytes.
pub(super) const MIB: usize = 1 << 20;
/// One GiB, in bytes.
pub(super) const GIB: usize = 1 << 30;

/// An hour; a day is always 24 of them.
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);

/// A rate beyond this is none.
const FASTEST: u32 = 1_000_000;

/// So many in so long a time: as many may come at once, and each makes room again after its part of
/// the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number allowed, 1 to 1,000,000.
    pub count: NonZeroU32,
    /// A second, a minute or an hour.
    pub per: Duration,
}

impl Value<'_> {
    /// A duration: text such as `"100ms"`, `"24h"` or `"30d"`.
    pub(super) fn duration(&self, allowed: &RangeInclusive<Duration>) -> Option<Duration> {
        let help = || {
            format!(
                "write a duration from {} to {}",
                shown(*allowed.start()),
                shown(*allowed.end())
            )
        };
        let Some(text) = self.string()? else {
            self.wrong_type(help());
            return None;
        };
        let duration = parse_duration(text).filter(|duration| allowed.contains(duration));
        if duration.is_none() {
            self.wrong_text(text, help());
        }
        duration
    }

    /// A size in bytes: text such as `"256KiB"`, or a whole number of bytes.
    pub(super) fn size(&self, allowed: &RangeInclusive<usize>) -> Option<usize> {
        let help = || {
            format!(
                "write a size from {} to {}",
                size_text(*allowed.start()),
                size_text(*allowed.end())
            )
        };
        let (written, size) = match (self.string()?, self.value) {
            (Some(text), _) => (text.to_owned(), parse_size(text).map(|size| size as u64)),
            (None, DeValue::Integer(number)) => (
                number.to_string(),
                u64::from_str_radix(number.as_str(), number.radix()).ok(),
            ),
            _ => {
                self.wrong_type(help());
                return None;
            }
        };
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| allowed.contains(size));
        if size.is_none() {
            self.wrong_text(&written, help());
        }
        size
    }

    /// A whole number.
    pub(super) fn count(&self, allowed: &RangeInclusive<usize>) -> Option<usize> {
        let help = format!(
            "write a whole number from {} to {}",
            allowed.start(),
            allowed.end()
        );
        let DeValue::Integer(number) = self.value else {
            self.wrong_type(help);
            return None;
        };
        let count = usize::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|n| allowed.contains(n));
        if count.is_none() {
            self.problem(format!("{} is {number}", self.label), help);
        }
        count
    }

    /// A rate: text such as `"100/s"`, `"600/min"` or `"1000/h"`; `None` for `"off"`.
    pub(super) fn rate(&self) -> Option<Option<Rate>> {
        const HELP: &str =
            "write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"";
        let Some(text) = self.string()? else {
            self.wrong_type(HELP);
            return None;
        };
        if text == "off" {
            return Some(None);
        }
        let rate = parse_rate(text);
        if rate.is_none() {
            self.wrong_text(text, HELP);
        }
        rate.map(Some)
    }
}

fn parse_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let per = match unit.trim() {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => HOUR,
        _ => return None,
    };
    // The parser would take a plus sign.
    let count = count.trim();
    let count = count
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| count.parse().ok())??;
    NonZeroU32::new(count)
        .filter(|count| count.get() <= FASTEST)
        .map(|count| Rate { count, per })
}

/// A duration as the operator writes it: Jiff's "friendly" format, or ISO 8601, with days of 24
/// hours. Months and years have no length of their own.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// A size as the operator writes it, in bytes: `256KiB`.
pub fn parse_size(text: &str) -> Option<usize> {
    let size = text.parse::<ByteSize>().ok()?;
    usize::try_from(size.as_u64()).ok()
}

/// A duration as it could be written: `10ms`, `1h`, `3650d`.
pub fn shown_duration(duration: Duration) -> String {
    let days = duration.as_secs() / (24 * 60 * 60);
    if days > 0 && duration == Duration::from_secs(days * 24 * 60 * 60) {
        return format!("{days}d");
    }
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

fn shown(duration: Duration) -> String {
    format!("\"{}\"", shown_duration(duration))
}

/// A size as it could be written, with its quotes: `"256KiB"`.
pub fn size_text(bytes: usize) -> String {
    format!(
        "\"{}\"",
        ByteSize::b(bytes as u64)
            .to_string()
            .replace(".0", "")
            .replace(' ', "")
    )
}

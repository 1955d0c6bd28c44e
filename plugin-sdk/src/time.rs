//! Times as senders write them, made RFC 3339 in UTC, which is what the contract speaks.
//!
//! A plugin has no clock: the only "now" is [`Request::received_at`](crate::contract::Request::received_at).

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{OffsetDateTime, UtcOffset};

/// A time of RFC 3339, such as `2026-01-31T08:00:00.5+01:00`; in UTC.
pub fn rfc3339(text: &str) -> Option<String> {
    spell(OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?)
}

/// A time of RFC 2822, as in mails and HTTP headers: `Thu, 24 Aug 2023 05:00:00 +0000`; in UTC.
pub fn rfc2822(text: &str) -> Option<String> {
    spell(OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?)
}

/// A count since 1970: seconds, with or without a fraction, or milliseconds where it is too large to be seconds.
pub fn unix(count: f64) -> Option<String> {
    /// The year 5138 in seconds, and 1973 in milliseconds.
    const MILLISECONDS_FROM: f64 = 1e11;
    let seconds = if count.abs() < MILLISECONDS_FROM { count } else { count / 1e3 };
    // To the millisecond: more digits of a fraction are those of the number's own rounding.
    let milliseconds = (seconds * 1e3).round();
    let nanoseconds =
        if milliseconds.is_finite() { (milliseconds as i128).checked_mul(1_000_000)? } else { return None };
    spell(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?)
}

/// The whole seconds since 1970 of a time of RFC 3339.
pub fn seconds(rfc3339: &str) -> Option<i64> {
    Some(OffsetDateTime::parse(rfc3339.trim(), &Rfc3339).ok()?.unix_timestamp())
}

fn spell(time: OffsetDateTime) -> Option<String> {
    time.checked_to_offset(UtcOffset::UTC)?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_rfc_3339_in_utc() {
        assert_eq!(rfc3339(" 2026-01-31T09:00:00.5+01:00").as_deref(), Some("2026-01-31T08:00:00.5Z"));
        assert_eq!(rfc2822("Sat, 31 Jan 2026 09:00:00 +0100").as_deref(), Some("2026-01-31T08:00:00Z"));
        assert_eq!(unix(1_769_846_400.25).as_deref(), Some("2026-01-31T08:00:00.25Z"));
        assert_eq!(unix(1_769_846_400_250.0).as_deref(), Some("2026-01-31T08:00:00.25Z"));
        assert_eq!(seconds("2026-01-31T08:00:00.999Z"), Some(1_769_846_400));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "now", "2026-01-31", "2026-01-31T08:00:00", "2026-13-01T00:00:00Z"] {
            assert_eq!(rfc3339(text), None, "{text}");
            assert_eq!(rfc2822(text), None, "{text}");
        }
        for count in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            assert_eq!(unix(count), None, "{count}");
        }
    }

    #[test]
    fn a_wrong_day_of_the_week_is_forgiven() {
        assert_eq!(rfc2822("Mon, 31 Jan 2026 08:00:00 GMT").as_deref(), Some("2026-01-31T08:00:00Z"));
    }
}

//! Converts times in the senders' formats to the contract's: RFC 3339 in UTC.
//!
//! [`any`] reads them all. A plugin has no clock: the only "now" is
//! [`Request::received_at`](crate::contract::Request::received_at).

mod written;

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{OffsetDateTime, UtcOffset};

/// A time, however a sender writes it; in UTC.
///
/// | written as | such as |
/// |---|---|
/// | RFC 3339, and what is nearly that | `2026-01-31T08:00:00+0000`, `2026-01-31 09:00 +01`, `2026.01.31 08:00:00 UTC` |
/// | with a month's name | `Sat, 31 Jan 2026 08:00:00 GMT`, `Jan 31, 2026 8:00 AM`, `Sat Jan 31 08:00:00 UTC 2026` |
/// | a count since 1970 | seconds, milliseconds, microseconds or nanoseconds, by its size |
/// | `/Date(…)/` | `/Date(1769846400000)/` |
///
/// A time without a zone counts as UTC. `None` for what stands for no time, as a small count or
/// `0001-01-01T00:00:00Z` does, for a day without a time, for `01/02/2026` (one of two days), and
/// for any other text: the caller looks at its next place then.
pub fn any(text: &str) -> Option<String> {
    spell(moment(text).filter(|time| is_set(*time))?)
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim().trim_matches('"').trim();
    if let Some(count) = text
        .strip_prefix("/Date(")
        .or_else(|| text.strip_prefix("\\/Date("))
    {
        let end = count
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(count.len());
        return of_count(&count[..end], "");
    }
    let plain = without_exponent(text);
    let text = plain.as_deref().unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A date without separators has so many digits; a count of these would be of another century.
    let is_date = matches!(whole.len(), 12 | 14 | 17);
    if is_number(whole) && is_number(fraction) && !is_date {
        return of_count(whole, fraction);
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| written::parse(text))
}

/// A count with an exponent, as jq and Lua write large ones (`1.7698464e+18`), without it. `None` for
/// any other text.
fn without_exponent(text: &str) -> Option<String> {
    let (count, exponent) = text.split_once(['e', 'E'])?;
    let exponent: usize = exponent.trim_start_matches('+').parse().ok()?;
    if exponent > 20 {
        return None;
    }
    let (whole, fraction) = count.split_once('.').unwrap_or((count, ""));
    let digits = format!("{whole}{fraction:0<exponent$}");
    let is_count = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = digits.split_at_checked(whole.len() + exponent)?;
    is_count.then(|| format!("{whole}.{fraction}"))
}

/// 1973, in seconds after 1970. A smaller count is no time of this century, in any unit; an earlier
/// time is what programs write for none, such as Go's first second of the year 1.
const EARLIEST: i64 = 100_000_000;

fn is_set(time: OffsetDateTime) -> bool {
    time.unix_timestamp() >= EARLIEST
}

/// As [`any`], and to the letter where that is RFC 3339: for
/// [`Alert::occurred_at`](crate::contract::Alert::occurred_at).
pub fn as_sent(text: &str) -> Option<String> {
    if OffsetDateTime::parse(text, &Rfc3339).is_ok_and(is_set) {
        Some(text.to_owned())
    } else {
        any(text)
    }
}

/// The time that is so many seconds after 1970, or other units where there are too many digits. By
/// whole numbers, because the code that reads others is a twentieth of a plugin.
fn of_count(whole: &str, fraction: &str) -> Option<OffsetDateTime> {
    let count: i128 = whole.parse().ok().filter(|_| whole.len() <= 20)?;
    // Up to the year 5138, in each unit.
    let nanoseconds = match count {
        0..100_000_000_000 => {
            let fraction: i128 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
            count * 1_000_000_000 + fraction * 1_000_000
        }
        100_000_000_000..100_000_000_000_000 => count * 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => count * 1_000,
        100_000_000_000_000_000.. => count,
        _ => return None,
    };
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
}

/// A time of RFC 3339, such as `2026-01-31T08:00:00.5+01:00`; in UTC.
pub fn rfc3339(text: &str) -> Option<String> {
    spell(OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?)
}

/// A time of RFC 2822, as in mails and HTTP headers: `Thu, 24 Aug 2023 05:00:00 +0000`; in UTC.
pub fn rfc2822(text: &str) -> Option<String> {
    spell(OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?)
}

/// A count since 1970: seconds, with or without a fraction; or milliseconds, microseconds or
/// nanoseconds, where it is too large to be the unit before.
pub fn unix(count: f64) -> Option<String> {
    /// The year 5138 in seconds. A thousand times as much is the same year in the next unit, and
    /// 1973 in the one after.
    const LARGEST: f64 = 1e11;
    let size = count.abs();
    let units_a_second = [1.0, 1e3, 1e6]
        .into_iter()
        .find(|unit| size < LARGEST * unit)
        .unwrap_or(1e9);
    // To the millisecond: more digits of a fraction are those of the number's own rounding.
    let milliseconds = (count / units_a_second * 1e3).round();
    let nanoseconds = if milliseconds.is_finite() {
        (milliseconds as i128).checked_mul(1_000_000)?
    } else {
        return None;
    };
    spell(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?)
}

/// The whole seconds since 1970 of a time of RFC 3339.
pub fn seconds(rfc3339: &str) -> Option<i64> {
    Some(
        OffsetDateTime::parse(rfc3339.trim(), &Rfc3339)
            .ok()?
            .unix_timestamp(),
    )
}

/// The time that is so many seconds after 1970.
pub fn of_seconds(seconds: i64) -> Option<String> {
    spell(OffsetDateTime::from_unix_timestamp(seconds).ok()?)
}

fn spell(time: OffsetDateTime) -> Option<String> {
    time.checked_to_offset(UtcOffset::UTC)?
        .format(&Rfc3339)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_rfc_3339_in_utc() {
        assert_eq!(
            rfc3339(" 2026-01-31T09:00:00.5+01:00").as_deref(),
            Some("2026-01-31T08:00:00.5Z")
        );
        assert_eq!(
            rfc2822("Sat, 31 Jan 2026 09:00:00 +0100").as_deref(),
            Some("2026-01-31T08:00:00Z")
        );
        assert_eq!(
            unix(1_769_846_400.25).as_deref(),
            Some("2026-01-31T08:00:00.25Z")
        );
        assert_eq!(
            unix(1_769_846_400_250.0).as_deref(),
            Some("2026-01-31T08:00:00.25Z")
        );
        assert_eq!(seconds("2026-01-31T08:00:00.999Z"), Some(1_769_846_400));
        assert_eq!(
            of_seconds(1_769_846_400).as_deref(),
            Some("2026-01-31T08:00:00Z")
        );
    }

    #[test]
    fn every_spelling_of_one_time_is_read() {
        for text in [
            "2026-01-31T08:00:00Z",
            "2026-01-31T08:00:00.000Z",
            "2026-01-31t08:00:00z",
            "2026-01-31T08:00:00+0000",
            "2026-01-31T10:00:00+02",
            "2026-01-31T09:00:00,000+01:00",
            "2026-01-31T08:00:00",
            "2026-01-31 08:00:00 UTC",
            "2026-01-31 08:00:00 +0000 UTC",
            "2026-01-31 08:00:00.000000 +0000 UTC m=+0.123",
            "2026-01-31 08:00",
            "2026-01-31, 08:00:00 (UTC)",
            "2026/01/31 08:00:00",
            "2026.01.31 08:00:00",
            "2026.01.31 at 08:00:00 UTC",
            "31.01.2026 08:00:00",
            "31/01/2026 08:00",
            "01/31/2026 08:00:00 AM",
            "1/31/2026, 8:00:00 AM UTC",
            "20260131T080000Z",
            "20260131080000",
            "202601310800",
            "20260131080000000",
            "2026-01-31 09:00:00 (UTC+01:00)",
            "2026-01-31 03:00:00 (GMT-5)",
            "2026-01-31 03:00:00 (EST)",
            "2026-01-31 08:00:00 (Coordinated Universal Time)",
            "2026-01-31 09:00:00 +01:00 (Europe/Berlin)",
            "Sat, 31 Jan 2026 08:00:00 GMT",
            "Mon, 31 Jan 2026 08:00:00 GMT",
            "31 January 2026 09:00:00 CET",
            "Jan 31, 2026 3:00:00 AM EST",
            "January 31st, 2026 at 8:00 AM UTC",
            "Sat Jan 31 08:00:00 2026",
            "Sat Jan 31 08:00:00 UTC 2026",
            "Sat Jan 31 2026 09:00:00 GMT+0100 (Central European Standard Time)",
            "31/Jan/2026:08:00:00 +0000",
            "31-Jan-2026 08:00:00 UTC",
            "1769846400",
            "1769846400.0",
            "1769846400000",
            "1769846400000000",
            "1769846400000000000",
            "/Date(1769846400000)/",
            "/Date(1769846400000+0100)/",
            "\"2026-01-31T08:00:00Z\"",
            "2026-01-31T09:00:00+01:00[Europe/Berlin]",
            "2026-01-31T08:00:00[UTC]",
            "2026-01-31T08:00:00Z[Etc/UTC]",
            "1/31/2026, 8:00:00\u{202f}AM UTC",
            "2026-01-31T03:00:00\u{2212}05:00",
            "2026-01-31 13:30:00 +0530 IST",
            "2026-01-31 16:00:00.000000 +0800 CST m=+0.123",
            "1.7698464e9",
            "1.7698464E+12",
            "17698464e+11",
        ] {
            assert_eq!(any(text).as_deref(), Some("2026-01-31T08:00:00Z"), "{text}");
        }
        assert_eq!(
            any("2026-01-31T12:00:00.25 PM").as_deref(),
            Some("2026-01-31T12:00:00.25Z")
        );
        assert_eq!(
            any("2026-01-31 12:00 am").as_deref(),
            Some("2026-01-31T00:00:00Z")
        );
        assert_eq!(
            any("2026-12-31T23:59:60Z").as_deref(),
            Some("2026-12-31T23:59:59.999999999Z"),
            "a leap second"
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-01-31",
            "2026-01-31T08:00:00",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
            assert_eq!(rfc2822(text), None, "{text}");
        }
        for text in [
            "",
            "now",
            "5 minutes ago",
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T01:00:00+01:00",
            "2026-01-31T08:00:00[Europe/Berlin]",
            "2026-01-31T08:00:00 (America/New_York)",
            "1/31/2026 8:00:00 AM (W. Europe Standard Time)",
            "2026-01-31T08:00:00 (UTC+01:00) late",
            "260131080000",
            "202613310800",
            "20260131080000.5",
            "[UTC]",
            "2026-01-31",
            "08:00:00",
            "01/02/2026 08:00:00",
            "2026-13-01T00:00:00Z",
            "2026-01-31T25:00:00Z",
            "2026-02-30 08:00",
            "31 Foo 2026 08:00",
            "7",
            "0",
            "1e300",
            "-1",
            "/Date()/",
            "/Date(",
            "2026-01-31 08:00 XYZ",
            "2026-01-31 08:00:00 +99",
            "2026-01-31T08:00:00Z and more",
            "99999999999999",
            "1.2.3",
            "e9",
            "1e99999999999999999999",
            "1.5e400",
            "1.7698464e9x",
            "2026-01-31 08:00:00 IST",
            "2026-01-31 13:30:00 +0530 nowhere",
            "2026-01-31 13:00 PM",
            "é/Date(1)",
        ] {
            assert_eq!(any(text), None, "{text}");
        }
        for count in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            assert_eq!(unix(count), None, "{count}");
        }
    }

    #[test]
    fn a_wrong_day_of_the_week_is_forgiven() {
        assert_eq!(
            rfc2822("Mon, 31 Jan 2026 08:00:00 GMT").as_deref(),
            Some("2026-01-31T08:00:00Z")
        );
    }
}

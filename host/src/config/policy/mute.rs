//! `[[mutes]]`: times in which alerts that match are kept and not delivered.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, AmbiguousTimestamp, TimeZone};
use jiff::{Timestamp, ToSpan};
use toml::de::DeValue;

use super::super::problem::Position;
use super::super::raw::Value;
use super::condition::{self, Condition};

/// A mute that the configuration holds.
#[derive(Debug, Clone)]
pub struct Mute {
    /// The place of the table.
    pub position: Position,
    /// Its number among the mutes of the configuration, from 1.
    pub number: usize,
    /// Its words, by which the store knows it again: condition, times and reason.
    pub name: String,
    /// The alerts that it keeps back.
    pub when: Condition,
    /// The times in which it does.
    pub schedule: Schedule,
    /// The reason.
    pub why: String,
}

/// The times of a mute.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// From one moment, included, to another, excluded.
    Once {
        /// The start.
        from: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// Every week.
    Weekly(Weekly),
}

/// A part of every week, by the clocks of a place: `Sat 22:00 - Sun 06:00 Europe/Berlin`.
#[derive(Clone, PartialEq)]
pub struct Weekly {
    start: (Weekday, Time),
    end: (Weekday, Time),
    zone: TimeZone,
}

impl Schedule {
    /// Returns the time at which the mute that holds at `now` ends; `None` where none holds.
    pub fn active_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            Self::Weekly(weekly) => weekly.active_until(now),
        }
    }

    /// Returns whether it never holds again.
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self, Self::Once { until, .. } if *until <= now)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once { from, until } if *from == Timestamp::MIN => write!(f, "until {until}"),
            Self::Once { from, until } => write!(f, "{from} - {until}"),
            Self::Weekly(weekly) => weekly.fmt(f),
        }
    }
}

impl Weekly {
    /// Reads `Sat 22:00 - Sun 06:00 Europe/Berlin`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "write it like \"Sat 22:00 - Sun 06:00 Europe/Berlin\"";
        let words: Vec<&str> = text.split_whitespace().collect();
        let [start_day, start_time, "-", end_day, end_time, zone] = words[..] else {
            return Err(FORM.to_owned());
        };
        let point = |day: &str, time: &str| Some((weekday(day)?, clock(time)?));
        let (Some(start), Some(end)) = (point(start_day, start_time), point(end_day, end_time))
        else {
            return Err(FORM.to_owned());
        };
        if start == end {
            return Err("it begins and ends at the same moment of the week".to_owned());
        }
        let zone = TimeZone::get(zone).map_err(|_| {
            format!("{zone:?} is not the name of an IANA time zone, such as Europe/Berlin or UTC")
        })?;
        Ok(Self { start, end, zone })
    }

    /// Returns the end of the mute that has begun last, where that lies ahead of `now`. Where the
    /// change of the clocks skips the start, it is the start; a skipped end comes as much later, and a
    /// repeated time counts once.
    fn active_until(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        let begun = (0..=7_i64).find_map(|days| {
            let date = today.checked_sub(days.days()).ok()?;
            let is_one = date.weekday() == self.start.0;
            (is_one && self.begins(date)? <= now).then_some(date)
        })?;
        let last = begun.checked_add(self.days().days()).ok()?;
        let end = self.moment(last, self.end.1).compatible().ok()?;
        (now < end).then_some(end)
    }

    /// Returns the days from the date of the start to that of the end.
    fn days(&self) -> i64 {
        let length = minutes(self.end) - minutes(self.start);
        let length = if length > 0 { length } else { length + 7 * DAY };
        i64::from((minutes((Weekday::Monday, self.start.1)) + length) / DAY)
    }

    /// Returns the start on a date.
    fn begins(&self, date: Date) -> Option<Timestamp> {
        let start = self.moment(date, self.start.1);
        if let AmbiguousOffset::Gap { .. } = start.offset() {
            let before = start.earlier().ok()?;
            return Some(self.zone.following(before).next()?.timestamp());
        }
        start.compatible().ok()
    }

    fn moment(&self, date: Date, time: Time) -> AmbiguousTimestamp {
        self.zone.to_ambiguous_timestamp(date.to_datetime(time))
    }
}

impl fmt::Debug for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = |(day, time): (Weekday, Time)| {
            format!("{} {:02}:{:02}", short(day), time.hour(), time.minute())
        };
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{} - {} {zone}", point(self.start), point(self.end))
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// Reads a day by its first three letters or its whole English name.
fn weekday(text: &str) -> Option<Weekday> {
    let is_it = |short: &str, day: Weekday| {
        text.eq_ignore_ascii_case(short) || text.eq_ignore_ascii_case(&format!("{day:?}"))
    };
    DAYS.into_iter()
        .find(|(short, day)| is_it(short, *day))
        .map(|(_, day)| day)
}

fn short(day: Weekday) -> &'static str {
    DAYS.into_iter()
        .find(|(_, known)| *known == day)
        .map_or("", |(short, _)| short)
}

/// Reads `22:00`, with the hour's leading zero or without.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most_digits| {
        let plain = (1..=most_digits).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let minute = number(minute, 2).filter(|_| minute.len() == 2)?;
    Time::new(number(hour, 2)?, minute, 0, 0).ok()
}

/// The minutes of a day.
const DAY: i32 = 24 * 60;

fn minutes((day, time): (Weekday, Time)) -> i32 {
    i32::from(day.to_monday_zero_offset()) * DAY
        + i32::from(time.hour()) * 60
        + i32::from(time.minute())
}

/// Reads all `[[mutes]]`. An unreadable one is left out, so that the others are judged.
pub(in crate::config) fn read(value: &Value<'_>) -> Option<Vec<Mute>> {
    let DeValue::Array(items) = value.value else {
        value.wrong_type("write each mute as a table of its own, below [[mutes]]");
        return None;
    };
    let read = (1..).zip(items).filter_map(|(number, item)| {
        let label = format!("mute {number}");
        mute(number, &Value::new(label, item, value.reading))
    });
    Some(read.collect())
}

fn mute(number: usize, value: &Value<'_>) -> Option<Mute> {
    let mut table = value.inner(value.table("[[mutes]]")?);
    let when = table.required("when", "when = { source = \"twilio-prod\" }", |value| {
        condition::read(&value)
    });
    let from = table.optional("from", None, |value| moment(&value).map(Some));
    let until = table.optional("until", None, |value| moment(&value).map(Some));
    let weekly = table.optional("weekly", None, |value| weekly(&value).map(Some));
    let why = table.required(
        "why",
        "why = \"maintenance of the SMS provider\"",
        |value| {
            value
                .text("maintenance of the SMS provider")
                .map(str::to_owned)
        },
    );
    table.finish();
    let schedule = match (from?, until?, weekly?) {
        (None, None, Some(weekly)) => Schedule::Weekly(weekly),
        (from, Some(until), None) => {
            let from = from.unwrap_or(Timestamp::MIN);
            if from >= until {
                value.problem(
                    format!("{} ends before it begins", value.label),
                    "swap from and until",
                );
                return None;
            }
            Schedule::Once { from, until }
        }
        _ => {
            let found = format!("{} has no time of its own", value.label);
            let help = "write until (and from) as RFC 3339, or weekly = \"Sat 22:00 - Sun 06:00 Europe/Berlin\"";
            value.problem(found, help);
            return None;
        }
    };
    let when = when?;
    let why = why?;
    Some(Mute {
        position: value.reading.position(value.span.start),
        number,
        name: format!("{schedule} {when} {why}"),
        when,
        schedule,
        why,
    })
}

fn moment(value: &Value<'_>) -> Option<Timestamp> {
    const HELP: &str = "write a time with its offset, like 2026-12-24T18:00:00+01:00";
    let text = match (value.string()?, value.value) {
        (Some(text), _) => text.to_owned(),
        (None, DeValue::Datetime(moment)) => moment.to_string(),
        _ => {
            value.wrong_type(HELP);
            return None;
        }
    };
    let moment = text.parse().ok();
    if moment.is_none() {
        value.wrong_text(&text, HELP);
    }
    moment
}

fn weekly(value: &Value<'_>) -> Option<Weekly> {
    let text = value.text("Sat 22:00 - Sun 06:00 Europe/Berlin")?;
    Weekly::parse(text)
        .map_err(|help| value.wrong_text(text, help))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn until(weekly: &str, now: &str) -> Option<String> {
        Weekly::parse(weekly)
            .unwrap()
            .active_until(at(now))
            .map(|end| end.to_string())
    }

    #[test]
    fn weekly_mute_holds_by_the_clocks_of_its_zone() {
        let night = "Sat 22:00 - Sun 06:00 Europe/Berlin";
        assert_eq!(until(night, "2026-11-28T20:59:59Z"), None);
        assert_eq!(
            until(night, "2026-11-28T21:00:00Z").as_deref(),
            Some("2026-11-29T05:00:00Z")
        );
        assert_eq!(
            until(night, "2026-11-29T04:59:59Z").as_deref(),
            Some("2026-11-29T05:00:00Z")
        );
        assert_eq!(until(night, "2026-11-29T05:00:00Z"), None);
    }

    #[test]
    fn weekly_mute_over_the_end_of_the_week_goes_on() {
        let weekend = "Fri 18:00 - Mon 08:00 UTC";
        assert_eq!(
            until(weekend, "2026-11-29T12:00:00Z").as_deref(),
            Some("2026-11-30T08:00:00Z")
        );
        assert_eq!(
            until(weekend, "2026-11-30T07:59:00Z").as_deref(),
            Some("2026-11-30T08:00:00Z")
        );
        assert_eq!(until(weekend, "2026-11-30T08:00:00Z"), None);
        assert_eq!(until(weekend, "2026-11-26T12:00:00Z"), None);
    }

    #[test]
    fn night_of_the_clock_change_ends_at_its_hour() {
        // The clocks of Berlin go from 03:00 back to 02:00 on 25 October 2026.
        let night = "Sat 22:00 - Sun 06:00 Europe/Berlin";
        assert_eq!(
            until(night, "2026-10-24T21:00:00Z").as_deref(),
            Some("2026-10-25T05:00:00Z")
        );
    }

    #[test]
    fn time_that_the_clock_change_skips_or_repeats_counts_once() {
        // From 02:00 on to 03:00 on 29 March 2026.
        let skipped = "Sun 02:30 - Sun 04:00 Europe/Berlin";
        assert_eq!(until(skipped, "2026-03-29T00:59:59Z"), None);
        let end = Some("2026-03-29T02:00:00Z");
        assert_eq!(until(skipped, "2026-03-29T01:45:00Z").as_deref(), end);
        assert_eq!(until(skipped, "2026-03-29T02:00:00Z"), None);
        // One within the hour that there is not comes an hour later.
        let beyond = "Sun 02:30 - Sun 03:15 Europe/Berlin";
        let end = Some("2026-03-29T01:15:00Z");
        assert_eq!(until(beyond, "2026-03-29T00:59:59Z"), None);
        assert_eq!(until(beyond, "2026-03-29T01:00:00Z").as_deref(), end);
        let within = "Sun 02:10 - Sun 02:50 Europe/Berlin";
        let end = Some("2026-03-29T01:50:00Z");
        assert_eq!(until(within, "2026-03-29T01:20:00Z").as_deref(), end);
        assert_eq!(until(within, "2026-03-30T12:00:00Z"), None);
        // From 03:00 back to 02:00 on 25 October 2026: 02:30 comes twice.
        let repeated = "Sun 01:00 - Sun 02:30 Europe/Berlin";
        assert!(until(repeated, "2026-10-24T23:30:00Z").is_some());
        assert_eq!(until(repeated, "2026-10-25T01:10:00Z"), None);
        let over = "Sun 02:30 - Sun 04:00 Europe/Berlin";
        let end = Some("2026-10-25T03:00:00Z");
        assert_eq!(until(over, "2026-10-25T01:10:00Z").as_deref(), end);
    }

    #[test]
    fn nearly_a_whole_week_ends_next_week() {
        let week = "Mon 09:00 - Mon 08:00 UTC";
        assert_eq!(
            until(week, "2026-11-30T09:00:00Z").as_deref(),
            Some("2026-12-07T08:00:00Z")
        );
        assert_eq!(until(week, "2026-11-30T08:30:00Z"), None);
    }

    #[test]
    fn text_that_is_no_weekly_time_is_refused() {
        for wrong in [
            "",
            "Sat 22:00 Sun 06:00 UTC",
            "Sat 22 - Sun 06:00 UTC",
            "Sat 25:00 - Sun 06:00 UTC",
            "Sat 22:00 - Sun 06:00",
            "Sat 22:00 - Sat 22:00 UTC",
            "Sat 22:00 - Sun 06:00 Europe/Atlantis",
            "Sam 22:00 - Son 06:00 Europe/Berlin",
        ] {
            assert!(Weekly::parse(wrong).is_err(), "{wrong}");
        }
    }
}

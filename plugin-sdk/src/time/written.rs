//! Times as programs and people write them: words and numbers, each known by its looks, in any
//! order.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// A longer text is no time.
const MAX_BYTES: usize = 80;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Zones whose names mean one offset, in minutes. `IST`, `BST` and most others mean several.
const ZONES: [(&str, i32); 16] = [
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("cet", 60),
    ("cest", 120),
    ("eet", 120),
    ("eest", 180),
    ("est", -300),
    ("edt", -240),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("jst", 540),
];

/// The parts of a time, as far as they are found.
#[derive(Default)]
struct Parts {
    date: Option<Date>,
    month: Option<Month>,
    /// Numbers that are a day or a year.
    numbers: Vec<i32>,
    clock: Option<Time>,
    afternoon: Option<bool>,
    offset: Option<i32>,
    /// Behind the offset stands a name for it.
    zone_name: Option<()>,
}

/// Reads a time. It fails where any part of the text is not understood.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    if text.len() > MAX_BYTES {
        return None;
    }
    // Browsers and Node.js put a narrow space before `PM`, and other programs a true minus sign.
    let mut text = text
        .to_ascii_lowercase()
        .replace(['\u{202f}', '\u{a0}', '\u{2009}'], " ")
        .replace('\u{2212}', "-");
    if !text.is_ascii() {
        return None;
    }
    let mut named_zone = false;
    // Java's name of the zone, which may stand behind the offset: `…+01:00[Europe/Berlin]`.
    if let Some((time, zone)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        named_zone = !ZONES.contains(&(zone, 0));
        text = time.to_owned();
    }
    // Go's monotonic clock.
    if let Some(at) = text.find(" m=") {
        text.truncate(at);
    }
    // The zone behind the offset, by its name, or in its place: `(UTC+01:00)`.
    let mut aside = None;
    if let Some((time, zone)) = text
        .split_once(" (")
        .and_then(|(time, zone)| Some((time, zone.strip_suffix(')')?)))
    {
        aside = Some(zone.to_owned());
        text = time.to_owned();
    }
    let mut parts = Parts::default();
    for word in split(&text).split_ascii_whitespace() {
        parts.take(word)?;
    }
    if let Some(zone) = aside.filter(|_| parts.offset.is_none()) {
        let zone = match &*zone {
            "coordinated universal time" => "utc",
            zone => zone,
        };
        match parts.take(zone) {
            Some(()) if parts.offset.is_some() => {}
            _ => named_zone = true,
        }
    }
    // The name alone gives no offset: that takes the world's table of zones.
    if named_zone && parts.offset.is_none() {
        return None;
    }
    parts.join()
}

/// The text with a space between date and clock.
fn split(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut split = String::with_capacity(text.len() + 4);
    for (at, char) in text.char_indices() {
        let between = at > 0 && digit(at - 1) && digit(at + 1);
        match char {
            't' if between => split.push(' '),
            // `31/Jan/2026:08:00:00`.
            ':' if between && is_a_day(&text[..at]) => split.push(' '),
            ',' if !between
                || split
                    .rsplit(' ')
                    .next()
                    .is_none_or(|word| !word.contains(':')) =>
            {
                split.push(' ')
            }
            char => split.push(char),
        }
    }
    split
}

/// `31/Jan/2026`.
fn is_a_day(text: &str) -> bool {
    text.matches('/').count() == 2 && !text.contains([' ', ':'])
}

impl Parts {
    fn take(&mut self, word: &str) -> Option<()> {
        match word {
            "at" => return Some(()),
            "am" | "pm" => return set(&mut self.afternoon, word == "pm"),
            _ => {}
        }
        if let Some((_, minutes)) = ZONES.iter().find(|(zone, _)| *zone == word) {
            return self.zone(*minutes);
        }
        if let Some(offset) = word
            .strip_prefix("utc")
            .or_else(|| word.strip_prefix("gmt"))
            .and_then(offset)
        {
            return self.zone(offset);
        }
        if let Some(offset) = offset(word) {
            return self.zone(offset);
        }
        if word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return match (of_names(&MONTHS, word), of_names(&DAYS, word)) {
                (Some(month), _) => set(&mut self.month, Month::January.nth_next(month)),
                (None, Some(_)) => Some(()),
                // The zone's name behind its offset, as Go writes it: `+0530 IST`.
                (None, None) if self.offset.is_some() && word.len() <= 5 => {
                    set(&mut self.zone_name, ())
                }
                (None, None) => None,
            };
        }
        if word.contains(':') {
            return self.clock(word);
        }
        if word.contains(['-', '/', '.']) {
            return self.day(word);
        }
        let digits = ["st", "nd", "rd", "th"]
            .iter()
            .find_map(|end| word.strip_suffix(end))
            .unwrap_or(word);
        match digits.len() {
            1 | 2 | 4 => self.numbers.push(digits.parse().ok()?),
            6 | 8 | 12 | 14 | 17 if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.compact(digits)?
            }
            7 if digits.ends_with('z') => {
                self.compact(&digits[..6])?;
                self.zone(0)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Twice the same zone is one: `+0000 UTC`.
    fn zone(&mut self, minutes: i32) -> Option<()> {
        match self.offset {
            Some(known) if known != minutes => None,
            _ => {
                self.offset = Some(minutes);
                Some(())
            }
        }
    }

    /// `20260131`, `080000`, or both in one, which may lack the seconds or have milliseconds.
    fn compact(&mut self, digits: &str) -> Option<()> {
        let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u8>().ok();
        let from = if digits.len() == 6 { 0 } else { 8 };
        if digits.len() >= 8 {
            let year = digits[..4]
                .parse()
                .ok()
                .filter(|year| (1970..2200).contains(year))?;
            let date =
                Date::from_calendar_date(year, number(4, 6)?.try_into().ok()?, number(6, 8)?)
                    .ok()?;
            set(&mut self.date, date)?;
        }
        if digits.len() != 8 {
            let seconds = if digits.len() == 12 {
                0
            } else {
                number(from + 4, from + 6)?
            };
            let milliseconds = match digits.get(14..) {
                None | Some("") => 0,
                Some(digits) => digits.parse().ok()?,
            };
            let clock = Time::from_hms_milli(
                number(from, from + 2)?,
                number(from + 2, from + 4)?,
                seconds,
                milliseconds,
            );
            set(&mut self.clock, clock.ok()?)?;
        }
        Some(())
    }

    /// `08:00`, `08:00:00`, `08:00:00.123`; with a zone behind it, or `am`.
    fn clock(&mut self, word: &str) -> Option<()> {
        let end = word
            .find(|c: char| !c.is_ascii_digit() && !":.,".contains(c))
            .unwrap_or(word.len());
        let (clock, behind) = word.split_at(end);
        let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
        let mut numbers = clock.split(':').map(|number| number.parse::<u8>().ok());
        let hour = numbers.next()??;
        let minute = numbers.next()??;
        let second = numbers.next().unwrap_or(Some(0))?;
        // A leap second has no name in what follows.
        let second = if second == 60 { 59 } else { second };
        if numbers.next().is_some() || fraction.len() > 12 {
            return None;
        }
        let nanoseconds = format!("{fraction:0<9}")[..9].parse().ok()?;
        set(
            &mut self.clock,
            Time::from_hms_nano(hour, minute, second, nanoseconds).ok()?,
        )?;
        if behind.is_empty() {
            Some(())
        } else {
            self.take(behind)
        }
    }

    /// `2026-01-31`, `31.01.2026`, `01/31/2026`, `31-jan-2026`.
    fn day(&mut self, word: &str) -> Option<()> {
        let parts: Vec<&str> = word.split(['-', '/', '.']).collect();
        let [first, second, third] = parts[..] else {
            return None;
        };
        if let Some(month) = of_names(&MONTHS, second) {
            self.numbers
                .extend([first.parse::<i32>().ok()?, third.parse().ok()?]);
            return set(&mut self.month, Month::January.nth_next(month));
        }
        let number = |text: &str| text.parse::<u8>().ok();
        let (year, month, day) = if first.len() == 4 {
            (first, number(second)?, number(third)?)
        } else if third.len() == 4 {
            let one = number(first)?;
            let other = number(second)?;
            match (word.contains('.') || one > 12, other > 12) {
                (true, false) => (third, other, one),
                (false, true) => (third, one, other),
                // The fourth of May or the fifth of April: nobody can tell.
                _ => return None,
            }
        } else {
            return None;
        };
        set(
            &mut self.date,
            Date::from_calendar_date(year.parse().ok()?, month.try_into().ok()?, day).ok()?,
        )
    }

    fn join(self) -> Option<OffsetDateTime> {
        let date = match (self.date, self.month, &self.numbers[..]) {
            (Some(date), None, []) => date,
            (None, Some(month), &[one, other]) => {
                let (day, year) = if one > 31 { (other, one) } else { (one, other) };
                let year = Some(year).filter(|year| (1970..2200).contains(year))?;
                Date::from_calendar_date(year, month, day.try_into().ok()?).ok()?
            }
            _ => return None,
        };
        let clock = self.clock?;
        let clock = match (self.afternoon, clock.hour()) {
            (Some(true), 1..=11) => clock.replace_hour(clock.hour() + 12).ok()?,
            (Some(false), 12) => clock.replace_hour(0).ok()?,
            (Some(_), 13..=23) => return None,
            _ => clock,
        };
        let offset = UtcOffset::from_whole_seconds(self.offset.unwrap_or(0) * 60).ok()?;
        Some(date.with_time(clock).assume_offset(offset))
    }
}

/// Sets what is not set yet.
fn set<T>(part: &mut Option<T>, value: T) -> Option<()> {
    part.is_none().then(|| *part = Some(value))
}

/// The index of a name, or of its first three letters or more.
fn of_names(names: &[&str], word: &str) -> Option<u8> {
    let at = names
        .iter()
        .position(|name| word.len() >= 3 && name.starts_with(word));
    at.or_else(|| (word == "sept").then_some(8))
        .and_then(|at| at.try_into().ok())
}

/// `+01:00`, `+0100`, `+01`, `-5`, in minutes.
fn offset(word: &str) -> Option<i32> {
    let digits = word.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() <= 2 => (digits, "0"),
        None => digits.split_at_checked(digits.len() - 2)?,
    };
    let is_number = |text: &str| {
        (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let minutes = Some(minutes)
        .filter(|text| is_number(text))?
        .parse::<i32>()
        .ok()
        .filter(|minutes| *minutes < 60)?;
    let hours = Some(hours)
        .filter(|text| is_number(text))?
        .parse::<i32>()
        .ok()
        .filter(|hours| *hours <= 14)?;
    let all = hours * 60 + minutes;
    Some(if word.starts_with('-') { -all } else { all })
}

//! `[sources.<name>.group]`: one alert at the destination for many events.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::super::problem::Position;
use super::super::quantity::parse_duration;
use super::super::raw::{Table, Value};
use super::rule::RESOLVE_AFTER;

/// The least time between two updates of an open group, unless the operator says otherwise.
pub const UPDATE_EVERY: Duration = Duration::from_secs(10 * 60);
/// The time without an event until a group is resolved, unless the operator says otherwise.
pub const GROUP_RESOLVE_AFTER: Duration = Duration::from_secs(30 * 60);

const UPDATES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
const MOST_LABELS: usize = 16;
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const HIGHEST_COUNT: u32 = 1_000_000;

/// The grouping of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The place where it begins in the configuration.
    pub position: Position,
    /// The labels whose values are equal within a group. An alert without one of them has an empty
    /// value there.
    pub by: Vec<String>,
    /// The rate of the source beyond which events are grouped; `None` where they always are.
    pub above: Option<Threshold>,
    /// The least time between two updates of an open group.
    pub update_every: Duration,
    /// The time without an event until the group is resolved.
    pub resolve_after: Duration,
}

/// A number of events within a time: `"20/5m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// The number, 1 to 1,000,000.
    pub count: NonZeroU32,
    /// The time: a second to a day.
    pub within: Duration,
}

impl Threshold {
    /// Reads `20/5m`.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, within) = text.split_once('/')?;
        let count = count.trim();
        let count: u32 = count
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| count.parse().ok())??;
        let within = within.trim();
        // `5/min` reads as one of the unit.
        let within = if within.starts_with(|first: char| first.is_ascii_digit()) {
            parse_duration(within)
        } else {
            parse_duration(&format!("1{within}"))
        }?;
        let count = NonZeroU32::new(count).filter(|count| count.get() <= HIGHEST_COUNT)?;
        (Duration::from_secs(1)..=LONGEST_WINDOW)
            .contains(&within)
            .then_some(Self { count, within })
    }
}

/// Reads the group of a source, where one was written. `name` is that of its table.
pub(in crate::config) fn read(value: &Value<'_>, name: &str) -> Option<Group> {
    let entries = value.table(name)?;
    let mut table = Table::new(name, value.span.clone(), Some(entries), value.reading);
    let by = table.required("by", "by = [\"error_code\"]", |value| by(&value));
    let above = table.optional("above", None, |value| threshold(&value).map(Some));
    let update_every = table.optional("update_every", UPDATE_EVERY, |value| {
        value.duration(&UPDATES)
    });
    let resolve_after = table.optional("resolve_after", GROUP_RESOLVE_AFTER, |value| {
        value.duration(&RESOLVE_AFTER)
    });
    table.finish();
    let position = value.reading.position(value.span.start);
    Some(Group {
        position,
        by: by?,
        above: above?,
        update_every: update_every?,
        resolve_after: resolve_after?,
    })
}

fn by(value: &Value<'_>) -> Option<Vec<String>> {
    let names: Vec<String> = match (value.string()?, value.value) {
        (Some(name), _) => vec![name.to_owned()],
        (None, DeValue::Array(items)) if items.len() <= MOST_LABELS => {
            let read: Vec<_> = items
                .iter()
                .map(|item| value.item(item).text("error_code").map(str::to_owned))
                .collect();
            read.into_iter().collect::<Option<_>>()?
        }
        _ => {
            value.wrong_type(format!(
                "write a list of at most {MOST_LABELS} labels, like [\"error_code\"]"
            ));
            return None;
        }
    };
    if let Some(twice) = names
        .iter()
        .enumerate()
        .find(|(at, name)| names[..*at].contains(name))
    {
        value.wrong_text(twice.1, "write each label once");
        return None;
    }
    Some(names)
}

fn threshold(value: &Value<'_>) -> Option<Threshold> {
    const HELP: &str = "write a count and a time of at most a day, like \"20/5m\"";
    let Some(text) = value.string()? else {
        value.wrong_type(HELP);
        return None;
    };
    let threshold = Threshold::parse(text);
    if threshold.is_none() {
        value.wrong_text(text, HELP);
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threshold_is_a_count_and_a_time() {
        let parsed =
            |text| Threshold::parse(text).map(|found| (found.count.get(), found.within.as_secs()));
        assert_eq!(parsed("20/5m"), Some((20, 300)));
        assert_eq!(parsed("20 / 1h"), Some((20, 3600)));
        assert_eq!(parsed("5/min"), Some((5, 60)));
        for wrong in [
            "20",
            "0/5m",
            "/5m",
            "20/",
            "-1/5m",
            "+1/5m",
            "20/5",
            "1/2d",
            "1/0s",
            "9999999/1m",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}

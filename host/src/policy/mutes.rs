//! The mutes that may hold an alert: those of the configuration, and those of operators.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;
use plugin_sdk::contract::{Alert, Status};

use super::condition::matches;
use crate::config::{Condition, Mute, Schedule};
use crate::store::{MuteRecord, MuteRef};

/// The mutes that may hold now, wherever they are asked for.
#[derive(Debug, Clone, Default)]
pub struct CurrentMutes(Arc<RwLock<Arc<Mutes>>>);

impl CurrentMutes {
    /// Returns them.
    pub fn get(&self) -> Arc<Mutes> {
        Arc::clone(&self.0.read())
    }

    /// Has others hold from now on.
    pub fn set(&self, mutes: Mutes) {
        *self.0.write() = Arc::new(mutes);
    }
}

/// All mutes of a moment.
#[derive(Debug, Clone, Default)]
pub struct Mutes {
    list: Vec<One>,
}

#[derive(Debug, Clone)]
struct One {
    mute: MuteRef,
    when: Condition,
    schedule: Schedule,
}

impl Mutes {
    /// Takes the mutes of the configuration, and those of operators as the store has them.
    pub fn new(configured: &[Mute], stored: &[MuteRecord]) -> Self {
        let configured = configured.iter().map(|mute| One {
            mute: MuteRef::Configured {
                name: mute.name.clone(),
                why: mute.why.clone(),
            },
            when: mute.when.clone(),
            schedule: mute.schedule.clone(),
        });
        let stored = stored.iter().filter_map(|mute| {
            let is_on = mute.name.is_none() && mute.ended_ms.is_none();
            let pairs = mute.conditions.iter();
            let pairs = pairs.map(|(name, pattern)| (name.as_str(), pattern.as_str()));
            Some(One {
                mute: MuteRef::Stored(mute.id),
                // One that cannot be read mutes nothing.
                when: Condition::of_pairs(pairs).ok().filter(|_| is_on)?,
                schedule: Schedule::Once {
                    from: Timestamp::from_millisecond(mute.from_ms).ok()?,
                    until: Timestamp::from_millisecond(mute.until_ms).ok()?,
                },
            })
        });
        Self {
            list: configured.chain(stored).collect(),
        }
    }

    /// Returns the first mute that holds an alert of the source of this name at `now_ms`. None holds
    /// a resolve: it goes where its alert went.
    pub fn of(&self, source: &str, alert: &Alert, now_ms: i64) -> Option<MuteRef> {
        if self.list.is_empty() || alert.status == Status::Resolve {
            return None;
        }
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let holds = |one: &&One| {
            one.schedule.active_until(now).is_some() && matches(&one.when, source, alert)
        };
        self.list.iter().find(holds).map(|one| one.mute.clone())
    }

    /// Returns whether a mute of the store holds at `now_ms`.
    pub fn is_active(&self, record: &MuteRecord, now_ms: i64) -> bool {
        let is_it = |one: &&One| match &one.mute {
            MuteRef::Stored(id) => record.name.is_none() && *id == record.id,
            MuteRef::Configured { name, .. } => Some(name) == record.name.as_ref(),
        };
        let Ok(now) = Timestamp::from_millisecond(now_ms) else {
            return true;
        };
        let mut same = self.list.iter().filter(is_it);
        same.any(|one| one.schedule.active_until(now).is_some())
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract::Priority;

    use super::*;

    fn record(id: i64, conditions: &[(&str, &str)], until_ms: i64) -> MuteRecord {
        let pair = |(name, pattern): &(&str, &str)| ((*name).to_owned(), (*pattern).to_owned());
        MuteRecord {
            id,
            name: None,
            conditions: conditions.iter().map(pair).collect(),
            from_ms: 1000,
            until_ms,
            why: "w".to_owned(),
            who: "me".to_owned(),
            ended_ms: None,
            events: 0,
            holds: false,
        }
    }

    fn alert(code: &str) -> Alert {
        let mut alert = Alert::new("e", Priority::High, "t");
        alert
            .labels
            .insert("error_code".to_owned(), code.to_owned());
        alert
    }

    #[test]
    fn mute_of_an_operator_holds_what_it_names_in_its_time() {
        let conditions = [
            ("source", "a"),
            ("error_code", "30006"),
            ("error_code", "4*"),
        ];
        let mutes = Mutes::new(&[], &[record(7, &conditions, 2000)]);
        let of = |source, code, now| mutes.of(source, &alert(code), now);
        assert_eq!(of("a", "30006", 1000), Some(MuteRef::Stored(7)));
        assert_eq!(of("a", "41", 1999), Some(MuteRef::Stored(7)));
        for (source, code, now) in [
            ("b", "30006", 1500),
            ("a", "30007", 1500),
            ("a", "30006", 999),
            ("a", "30006", 2000),
        ] {
            assert_eq!(of(source, code, now), None, "{source} {code} {now}");
        }
        let mut resolve = alert("30006");
        resolve.status = Status::Resolve;
        assert_eq!(mutes.of("a", &resolve, 1500), None);
    }

    #[test]
    fn mute_that_was_ended_or_cannot_be_read_holds_nothing() {
        let mut ended = record(1, &[], 2000);
        ended.ended_ms = Some(1200);
        let broken = record(2, &[("error_code", ">= many")], 2000);
        let mutes = Mutes::new(&[], &[ended.clone(), broken]);
        assert_eq!(mutes.of("a", &alert("1"), 1500), None);
        assert!(!mutes.is_active(&ended, 1500));
    }
}

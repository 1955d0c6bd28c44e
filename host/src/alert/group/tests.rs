use plugin_sdk::contract::{Alert, Priority, Status};
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

const ALWAYS: Terms = Terms {
    update_every_ms: 10 * MINUTE,
    resolve_after_ms: 30 * MINUTE,
    in_storm: false,
};
const GUARD: Guard = Guard {
    count: 20,
    within_ms: 5 * MINUTE,
    calm_after_ms: 10 * MINUTE,
};

fn event(priority: Priority) -> Member {
    Member::of(
        &Alert::new("e", priority, "an event"),
        "2026-11-28T10:00:00.000Z",
    )
}

fn open(terms: Terms, now_ms: i64) -> Group {
    let shared = vec![("error_code".to_owned(), "30006".to_owned())];
    let mut group = Group::open(shared, terms, &event(Priority::Medium), now_ms);
    let notice = group.look(true, now_ms).unwrap();
    assert_eq!((notice.event.status, notice.ends), (Status::Trigger, false));
    group
}

fn join(group: &mut Group, now_ms: i64) {
    group.join(&event(Priority::Medium), true, group.terms(), now_ms);
}

#[test]
fn group_opens_once_is_updated_and_resolves_once() {
    let mut group = open(ALWAYS, 0);
    for second in 1..=60 {
        join(&mut group, second * SECOND);
        assert!(group.look(false, second * SECOND).is_none(), "{second}");
    }
    assert_eq!(group.look_at(), 10 * MINUTE);
    let update = group.look(false, 10 * MINUTE).unwrap();
    assert_eq!(update.event.status, Status::Trigger);
    assert!(update.event.title.starts_with("61 events"));
    assert_eq!(group.look_at(), 31 * MINUTE, "without news nothing is sent");
    assert!(group.look(false, 30 * MINUTE).is_none());
    let end = group.look(false, 31 * MINUTE).unwrap();
    assert_eq!((end.event.status, end.ends), (Status::Resolve, true));
}

#[test]
fn escalation_is_sent_at_once_and_a_lower_priority_is_not() {
    let mut group = open(ALWAYS, 0);
    group.join(&event(Priority::Low), true, ALWAYS, SECOND);
    assert!(group.look(false, SECOND).is_none());
    group.join(&event(Priority::Critical), true, ALWAYS, 2 * SECOND);
    let update = group.look(false, 2 * SECOND).unwrap();
    assert_eq!(update.event.priority, Priority::Critical);
    group.join(&event(Priority::Critical), true, ALWAYS, 3 * SECOND);
    assert!(group.look(false, 3 * SECOND).is_none());
}

#[test]
fn group_resolves_when_its_last_key_is_resolved() {
    let mut group = open(ALWAYS, 0);
    join(&mut group, SECOND);
    group.join(&event(Priority::Medium), false, ALWAYS, SECOND);
    group.resolve_key();
    assert!(group.look(false, 2 * SECOND).is_none());
    group.resolve_key();
    let end = group.look(false, 3 * SECOND).unwrap();
    assert_eq!((end.event.status, end.ends), (Status::Resolve, true));
}

#[test]
fn group_that_is_over_before_it_was_sent_opens_first() {
    let mut group = Group::open(Vec::new(), ALWAYS, &event(Priority::Low), 0);
    group.resolve_key();
    assert!(!group.look(false, 0).unwrap().ends);
    assert!(group.look_at() <= 0);
    assert!(group.look(false, 0).unwrap().ends);
}

#[test]
fn group_of_a_storm_ends_with_it() {
    let mut group = open(
        Terms {
            in_storm: true,
            ..ALWAYS
        },
        0,
    );
    assert!(group.look(true, SECOND).is_none());
    let end = group.look(false, SECOND).unwrap();
    assert_eq!(end.event.status, Status::Resolve);
    assert!(end.event.message.unwrap().contains("alerts of their own"));
}

#[test]
fn storm_begins_beyond_the_threshold() {
    let mut storm = Storm::new(GUARD);
    for second in 0..20 {
        assert!(!storm.event(GUARD, second * SECOND));
    }
    assert!(!storm.is_on());
    assert!(storm.event(GUARD, 20 * SECOND));
    assert!(!storm.event(GUARD, 21 * SECOND), "it begins once");
    assert!(storm.is_on());
}

#[test]
fn storm_ends_when_its_rate_is_normal_for_a_while() {
    let mut storm = Storm::new(GUARD);
    for second in 0..30 {
        storm.event(GUARD, second * SECOND);
    }
    let mut now = 30 * SECOND;
    // A trickle goes on: one event a minute.
    while !storm.look(now) {
        assert!(storm.look_at().unwrap() > now);
        now += MINUTE;
        assert!(now < 60 * MINUTE, "it ends");
        storm.event(GUARD, now);
    }
    assert!((14 * MINUTE..=18 * MINUTE).contains(&now), "{now}");
    assert!(!storm.is_on() && storm.look_at().is_none());
}

#[test]
fn storm_that_swells_again_goes_on() {
    let mut storm = Storm::new(GUARD);
    for second in 0..30 {
        storm.event(GUARD, second * SECOND);
    }
    assert!(!storm.look(8 * MINUTE));
    for second in 0..30 {
        assert!(!storm.event(GUARD, 9 * MINUTE + second * SECOND));
    }
    assert!(!storm.look(10 * MINUTE));
    assert!(!storm.look(16 * MINUTE), "calm anew since now");
    assert!(!storm.look(25 * MINUTE));
    assert!(storm.look(26 * MINUTE));
}

#[test]
fn clock_that_was_ahead_delays_nothing() {
    let mut group = open(ALWAYS, 1000 * MINUTE);
    group.bring_back(0);
    assert!(group.look(false, 31 * MINUTE).unwrap().ends);
    let mut storm = Storm::new(GUARD);
    for _ in 0..30 {
        storm.event(GUARD, 1000 * MINUTE);
    }
    storm.bring_back(0);
    assert!(storm.look_at().unwrap() <= MINUTE);
    storm.look(MINUTE);
    assert!(storm.look(11 * MINUTE));
}

proptest! {
    /// However events, resolves and looks follow each other: the destination sees open, updates
    /// and one resolve, the count never falls, and no look is asked for without end.
    #[test]
    fn destination_sees_open_updates_resolve(
        steps in prop::collection::vec((0_i64..20 * MINUTE, 0..4_u8), 1..200),
        in_storm in any::<bool>(),
    ) {
        let terms = Terms { in_storm, ..ALWAYS };
        let mut group = open(terms, 0);
        let mut now = 0;
        let mut ended = false;
        let see = |notice: Option<Notice>, ended: &mut bool| {
            if let Some(notice) = notice {
                prop_assert!(!*ended);
                prop_assert_eq!(notice.ends, notice.event.status == Status::Resolve);
                *ended = notice.ends;
            }
            Ok(())
        };
        for (wait, what) in steps {
            let until = now + wait;
            let mut looks = 0;
            while !ended && group.look_at() <= until {
                now = now.max(group.look_at());
                see(group.look(true, now), &mut ended)?;
                looks += 1;
                prop_assert!(looks < 100);
            }
            if ended { break; }
            now = until;
            match what {
                0 => group.resolve_key(),
                1 => group.join(&event(Priority::High), false, terms, now),
                _ => group.join(&event(Priority::Medium), true, terms, now),
            }
            let read: Group = serde_json::from_str(&serde_json::to_string(&group).unwrap()).unwrap();
            prop_assert_eq!(&read, &group);
            see(group.look(true, now), &mut ended)?;
            if ended { break; }
        }
        if !ended {
            see(group.look(true, now + 24 * 60 * MINUTE), &mut ended)?;
        }
        prop_assert!(ended);
    }
}

//! Random events under changing policies, compared with a model in plain memory: what the
//! destination of a source sees, key by key and in order, and where each event is listed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// The lines that the destination sees of each key, in order.
type Seen = BTreeMap<String, Vec<String>>;

/// An event: its key, its number within that, and its code. Every third of a key resolves it.
type Event = (u8, u8, u8);

#[derive(Debug, Clone)]
enum Action {
    /// Some requests in one group commit.
    Append {
        policy: How,
        requests: Vec<Vec<Event>>,
    },
    /// A mute of an operator begins.
    Mute,
    /// The mute ends; a new one may hold on to what it held.
    Unmute {
        again: bool,
    },
    Pass {
        minutes: i64,
    },
    Reopen,
}

/// The policy of a source, but for a mute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    Grouped,
    /// Grouped in a storm alone.
    Stormy,
    Timed,
    /// A rule drops its events.
    Dropped,
}

impl How {
    fn policy(self, mute: Option<i64>) -> Policy {
        let policy = match self {
            Self::Plain => Policy::default(),
            Self::Grouped => GROUPED,
            Self::Stormy => STORMY,
            Self::Timed => TIMED,
            Self::Dropped => DROPPED,
        };
        Policy { mute, ..policy }
    }
}

fn resolves((_, number, _): Event) -> bool {
    number % 3 == 2
}

fn key((key, ..): Event) -> String {
    format!("k{key}")
}

fn id((key, number, _): Event) -> String {
    format!("k{key}-{number}")
}

#[derive(Debug, Clone, Copy, Default)]
struct Key {
    own: bool,
    group: Option<usize>,
    mute: Option<i64>,
    /// The newest event of it.
    newest: Option<Event>,
}

#[derive(Debug)]
struct Group {
    code: u8,
    count: u64,
    /// The time and the count of its newest alert.
    told: Option<(i64, u64)>,
    last: i64,
    open_keys: u64,
    is_open: bool,
    /// True if it ends with the storm, by the policy of its newest event.
    in_storm: bool,
}

/// The storm of the source.
#[derive(Debug, Default)]
struct Storm {
    /// The times of the events that were counted.
    events: Vec<i64>,
    is_on: bool,
    calm_since: Option<i64>,
    looked_at: i64,
}

impl Storm {
    fn is_over_threshold(&self, now: i64) -> bool {
        let recent = self.events.iter().filter(|at| now - **at < GUARD.within_ms);
        recent.count() as u64 > GUARD.count
    }

    /// Counts an event. Returns whether a storm lasts.
    fn counts(&mut self, now: i64) -> bool {
        self.events.push(now);
        if self.is_over_threshold(now) {
            if !self.is_on {
                self.looked_at = now;
            }
            (self.is_on, self.calm_since) = (true, None);
        }
        self.is_on
    }

    /// Returns the time of the next look, ten within the shorter time of the guard.
    fn look_at(&self) -> Option<i64> {
        let between = GUARD.within_ms.min(GUARD.calm_after_ms) / 10;
        self.is_on.then_some(self.looked_at + between)
    }

    /// Looks at the rate. Returns whether the storm ends.
    fn ends(&mut self, now: i64) -> bool {
        self.looked_at = now;
        if self.is_over_threshold(now) {
            self.calm_since = None;
            return false;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now - since < GUARD.calm_after_ms {
            return false;
        }
        (self.is_on, self.calm_since) = (false, None);
        true
    }
}

/// An event that a mute holds, in the order in which they came.
#[derive(Debug, Clone, Copy)]
struct Held {
    mute: i64,
    event: Event,
    how: How,
}

/// The expected state of one source.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    is_tracked: bool,
    known: BTreeSet<String>,
    /// The keys of events that were delivered before the source was tracked.
    before: BTreeSet<String>,
    keys: BTreeMap<String, Key>,
    groups: Vec<Group>,
    storm: Storm,
    held: Vec<Held>,
    /// Mutes that have something to sum up.
    unsummed: BTreeSet<i64>,
    /// By key, the time at which it fires, its length, and the words of its alert.
    timers: BTreeMap<String, (i64, i64, String)>,
    seen: Seen,
    /// By event, the state in which it is listed.
    states: BTreeMap<String, &'static str>,
}

impl Model {
    fn sees(&mut self, key: &str, status: &str, words: &str) {
        let line = format!("{key} {status}: {words}");
        self.seen.entry(key.to_owned()).or_default().push(line);
    }

    /// A commit is one moment: of its groups, it tells at its end.
    fn append(&mut self, how: How, mute: Option<i64>, requests: &[Vec<Event>]) {
        let mut touched = BTreeSet::new();
        for event in requests.iter().flatten() {
            if self.known.insert(id(*event)) {
                self.keep(how, mute, *event, &mut touched);
            }
        }
        self.look(touched);
    }

    fn keep(&mut self, how: How, mute: Option<i64>, event: Event, touched: &mut BTreeSet<usize>) {
        // A resolve is no member by itself.
        let is_dropped = how == How::Dropped;
        if is_dropped && !resolves(event) {
            self.states.insert(id(event), "ignored");
            return;
        }
        let is_grouped = matches!(how, How::Grouped | How::Stormy);
        let is_plain = mute.is_none() && (how == How::Plain || is_grouped && resolves(event));
        if !self.is_tracked && !is_plain {
            self.is_tracked = true;
            for key in std::mem::take(&mut self.before) {
                let own = Key {
                    own: true,
                    ..Key::default()
                };
                self.keys.insert(key, own);
            }
        }
        let status = if resolves(event) {
            "resolve"
        } else {
            "trigger"
        };
        if !self.is_tracked {
            self.before.insert(key(event));
            self.sees(&key(event), status, &format!("event {}", id(event)));
            self.states.insert(id(event), "delivered");
            return;
        }
        let is_open = self
            .keys
            .get(&key(event))
            .is_some_and(|row| row.own || row.group.is_some() || row.mute.is_some());
        let state = if is_dropped && !is_open {
            "ignored"
        } else if resolves(event) {
            self.resolve(event, touched)
        } else if let Some(mute) = mute {
            self.hold(how, mute, event);
            "muted"
        } else {
            self.open(how, event, touched)
        };
        if state == "delivered" {
            self.sees(&key(event), status, &format!("event {}", id(event)));
        }
        self.states.insert(id(event), state);
    }

    fn hold(&mut self, how: How, mute: i64, event: Event) {
        self.held.push(Held { mute, event, how });
        self.unsummed.insert(mute);
        self.reset(&key(event));
        let row = self.keys.entry(key(event)).or_default();
        row.mute = Some(mute);
        row.newest = Some(event);
    }

    fn reset(&mut self, key: &str) {
        if let Some((at, after, _)) = self.timers.get_mut(key) {
            *at = self.now + *after;
        }
    }

    /// Opens a key at its destination or in a group.
    fn open(&mut self, how: How, event: Event, touched: &mut BTreeSet<usize>) -> &'static str {
        let name = key(event);
        let before = self.keys.get(&name).copied().unwrap_or_default();
        let mut after = Key {
            mute: None,
            newest: Some(event),
            ..before
        };
        let joins = match how {
            How::Grouped => true,
            How::Stormy => self.storm.counts(self.now),
            How::Plain | How::Timed | How::Dropped => false,
        };
        if !joins {
            self.timers.remove(&name);
            if let (How::Timed, Some(after)) = (how, TIMED.resolve_after) {
                let words = format!("event {}", id(event));
                self.timers
                    .insert(name.clone(), (self.now + after, after, words));
            }
            after.own = true;
            self.keys.insert(name, after);
            return "delivered";
        }
        self.reset(&name);
        let (.., code) = event;
        let found = self
            .groups
            .iter()
            .position(|one| one.is_open && one.code == code);
        let number = found.unwrap_or(self.groups.len());
        if found.is_none() {
            self.groups.push(Group {
                code,
                count: 0,
                told: None,
                last: self.now,
                open_keys: 0,
                is_open: true,
                in_storm: false,
            });
        }
        let group = &mut self.groups[number];
        group.count += 1;
        group.last = self.now;
        group.in_storm = how == How::Stormy;
        group.open_keys += u64::from(before.group != Some(number));
        touched.insert(number);
        after.group = Some(number);
        self.keys.insert(name, after);
        "grouped"
    }

    fn resolve(&mut self, event: Event, touched: &mut BTreeSet<usize>) -> &'static str {
        let name = key(event);
        self.timers.remove(&name);
        let Some(row) = self.keys.get(&name).copied() else {
            return "delivered";
        };
        if let Some(number) = row.group
            && self.groups[number].is_open
        {
            let group = &mut self.groups[number];
            group.open_keys = group.open_keys.saturating_sub(1);
            touched.insert(number);
        }
        if row.own {
            self.keys.remove(&name);
            return "delivered";
        }
        self.keys.insert(name, Key::default());
        match (row.group, row.mute) {
            (Some(_), _) => "grouped",
            (None, Some(_)) => "muted",
            (None, None) => "ignored",
        }
    }

    /// Tells what is due of these groups.
    fn look(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            let now = self.now;
            let group = &mut self.groups[number];
            let is_over = group.open_keys == 0
                || now >= group.last + TERMS.resolve_after_ms
                || group.in_storm && !self.storm.is_on;
            let has_news = group.told.is_none_or(|(_, count)| count < group.count);
            let may = group
                .told
                .is_none_or(|(at, _)| now >= at + TERMS.update_every_ms);
            let ends = is_over && group.told.is_some();
            if !(ends || has_news && may) {
                continue;
            }
            group.told = Some((now, group.count));
            group.is_open = !ends;
            let status = if ends { "resolve" } else { "trigger" };
            let noun = if group.count == 1 { "event" } else { "events" };
            let words = format!("{} {noun}", group.count);
            let key = format!("group/code={}", group.code);
            self.sees(&key, status, &words);
        }
    }

    /// Returns the time at which a group is to be looked at.
    fn look_at(group: &Group) -> i64 {
        let quiet = group.last + TERMS.resolve_after_ms;
        match group.told {
            _ if group.open_keys == 0 => i64::MIN,
            Some((at, count)) if count < group.count => quiet.min(at + TERMS.update_every_ms),
            _ => quiet,
        }
    }

    fn pass_until(&mut self, until: i64) {
        loop {
            let groups = self
                .groups
                .iter()
                .filter(|group| group.is_open)
                .map(Self::look_at);
            let timers = self.timers.values().map(|(at, ..)| *at);
            match groups.chain(timers).chain(self.storm.look_at()).min() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            let now = self.now;
            let is_due = self.storm.look_at().is_some_and(|at| at <= now);
            let all = is_due && self.storm.ends(now);
            let due: Vec<usize> = (0..self.groups.len())
                .filter(|number| {
                    let group = &self.groups[*number];
                    group.is_open && (all || Self::look_at(group) <= now)
                })
                .collect();
            self.look(due);
            let fired: Vec<String> = self
                .timers
                .iter()
                .filter(|(_, (at, ..))| *at <= now)
                .map(|(key, _)| key.clone())
                .collect();
            for key in fired {
                let (.., words) = self.timers.remove(&key).unwrap();
                self.keys.remove(&key);
                self.sees(&key, "resolve", &words);
            }
        }
        self.now = self.now.max(until);
    }

    fn unmute(&mut self, mute: i64, other: Option<i64>) {
        let is_open = |model: &Self, one: &Held| {
            let row = model.keys.get(&key(one.event));
            row.is_some_and(|row| row.mute == Some(mute) && row.newest == Some(one.event))
        };
        if let Some(other) = other {
            for at in 0..self.held.len() {
                let one = self.held[at];
                if one.mute == mute && is_open(self, &one) {
                    self.held[at].mute = other;
                    self.unsummed.insert(other);
                    self.keys.get_mut(&key(one.event)).unwrap().mute = Some(other);
                }
            }
            for one in &mut self.held {
                let row = self.keys.get(&key(one.event));
                if one.mute == mute && row.is_some_and(|row| row.mute == Some(other)) {
                    one.mute = other;
                }
            }
        }
        let held: Vec<Held> = self
            .held
            .iter()
            .copied()
            .filter(|one| one.mute == mute)
            .collect();
        if self.unsummed.remove(&mute) && !held.is_empty() {
            let words = format!("{} muted", held.len());
            let name = format!("mute/{mute}");
            let day = 24 * 60 * MINUTE;
            self.sees(&name, "trigger", &words);
            self.timers.insert(name, (self.now + day, day, words));
        }
        self.held.retain(|one| one.mute != mute);
        let mut touched = BTreeSet::new();
        for one in held {
            if !is_open(self, &one) {
                continue;
            }
            let state = self.open(one.how, one.event, &mut touched);
            if state == "delivered" {
                self.sees(
                    &key(one.event),
                    "trigger",
                    &format!("event {}", id(one.event)),
                );
            }
            self.states.insert(id(one.event), state);
        }
        self.look(touched);
        for row in self.keys.values_mut().filter(|row| row.mute == Some(mute)) {
            row.mute = None;
        }
    }
}

/// Returns lines as the model has them.
fn by_key(lines: Vec<String>) -> Seen {
    let mut seen = Seen::new();
    for line in lines {
        let (key, _) = line.split_once(' ').unwrap();
        seen.entry(key.to_owned()).or_default().push(line);
    }
    seen
}

async fn compare(ground: Ground, actions: Vec<Action>) {
    let mut bench = Bench::on(ground).await;
    let mut model = Model::default();
    let mut mute: Option<i64> = None;
    for action in actions {
        match &action {
            Action::Append { policy, requests } => {
                let readings = requests.iter().map(|events| {
                    let alerts = events.iter().map(|one| {
                        let status = if resolves(*one) {
                            Status::Resolve
                        } else {
                            Status::Trigger
                        };
                        let (.., code) = *one;
                        alert(
                            event(&id(*one), &code.to_string(), status),
                            policy.policy(mute),
                        )
                    });
                    Reading::alerts(alerts.collect())
                });
                bench.append_in_one_commit(readings.collect()).await;
                model.append(*policy, mute, requests);
            }
            Action::Mute => {
                mute.get_or_insert_with(|| bench.mute());
            }
            Action::Unmute { again } => {
                let Some(ended) = mute.take() else { continue };
                mute = again.then(|| bench.mute());
                bench.unmute(ended, mute).await;
                model.unmute(ended, mute);
            }
            Action::Pass { minutes } => {
                let until = model.now + minutes * MINUTE;
                bench.pass_until(until).await;
                model.pass_until(until);
            }
            Action::Reopen => bench = bench.reopen().await,
        }
        let seen = by_key(bench.take(DESTINATION).await);
        assert_eq!(seen, std::mem::take(&mut model.seen), "after {action:?}");
    }
    let history = bench.store.history().unwrap();
    for (id, state) in &model.states {
        let record = history.find(id).unwrap().remove(0);
        let found = record.alerts.iter().find(|one| one.event.event_id == *id);
        let found = found.unwrap();
        assert_eq!(found.state, *state, "{id}");
        let (group, mute) = history.quiet(found.id).unwrap();
        assert_eq!(group, found.group.as_ref().map(|group| group.id), "{id}");
        assert_eq!(mute, found.mute, "{id}");
    }
    bench.whole();
}

fn action() -> impl Strategy<Value = Action> {
    let policy = prop_oneof![
        Just(How::Plain),
        Just(How::Grouped),
        Just(How::Stormy),
        Just(How::Timed),
        Just(How::Dropped)
    ];
    let events = prop::collection::vec((0..3_u8, 0..12_u8, 0..2_u8), 1..4);
    let requests = prop::collection::vec(events, 1..4);
    prop_oneof![
        6 => (policy, requests).prop_map(|(policy, requests)| Action::Append { policy, requests }),
        1 => Just(Action::Mute),
        1 => any::<bool>().prop_map(|again| Action::Unmute { again }),
        3 => (1..45_i64).prop_map(|minutes| Action::Pass { minutes }),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(64, |cases| cases.parse().unwrap())
    ))]

    #[test]
    fn groups_storms_timers_and_mutes_do_what_a_plain_model_does(
        actions in prop::collection::vec(action(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(compare(Ground::folder(), actions));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(8, |cases| cases.parse().unwrap())
    ))]

    #[test]
    fn groups_in_postgresql_do_what_a_plain_model_does(
        actions in prop::collection::vec(action(), 1..40)
    ) {
        if let Some(ground) = Ground::database() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(compare(ground, actions));
        }
    }
}

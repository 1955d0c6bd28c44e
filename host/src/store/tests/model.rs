//! Random actions on the store, each compared with a model in plain memory.
//!
//! The model also holds what must be true of eviction whatever the order of actions: what
//! identifies an alert never goes before what it says, nor that before the request that brought it;
//! nothing goes that is not delivered; and for the size alone no identity goes at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;

use super::super::due::SHARE;
use super::super::retention::IDENTITY_BYTES;
use super::super::sql::Connection;
use super::*;

/// An event: its id, its key, its priority, whether it goes to both destinations, and its order
/// among those of its key.
type Event = (u8, u8, u8, bool, Option<u8>);

#[derive(Debug, Clone)]
enum Action {
    /// Events, and what proves them.
    Append {
        source: u8,
        events: Vec<Event>,
        proof: Option<u8>,
    },
    Settle {
        destination: u8,
        nth: u8,
        verdict: Kind,
    },
    Wait(i64),
    Wake {
        destination: u8,
    },
    /// Alerts that have waited for the first destination for so long go to its fallback.
    FallBack(i64),
    Requeue,
    Dismiss,
    /// Requests that are older than so much go.
    Age(i64),
    /// Content goes: bodies, or events as well.
    Evict {
        events: bool,
    },
    /// The oldest go until there are no more alerts than these.
    Forget {
        identities: u8,
    },
    Reopen,
    /// The gateway is killed.
    Crash,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Accepted,
    Retry(i64),
    /// The destination asks for so long.
    RetryAfter(i64),
    Blocked,
    Rejected,
}

/// The last one is the fallback of the first; no alert names it.
const DESTINATIONS: [&str; 3] = [DESTINATION, "other", "fallback"];
const FALLBACK: u8 = 2;

/// The expected content of the store.
#[derive(Debug, Default)]
struct Model {
    /// By source and event, the alert.
    known: HashMap<(u8, u8), i64>,
    /// By source and proof, an alert of its request.
    proofs: HashMap<(u8, u8), i64>,
    /// By source and key, the greatest order, and the alert that had it last.
    orders: HashMap<(u8, u8), (u8, i64)>,
    ignored: BTreeSet<i64>,
    repeats: BTreeMap<i64, i64>,
    alerts: BTreeMap<i64, (u8, u8)>,
    priorities: BTreeMap<i64, u8>,
    /// By source and key, the most urgent priority since it was resolved.
    urgent: HashMap<(u8, u8), u8>,
    deliveries: BTreeMap<i64, Delivery>,
    /// By number, when it came in.
    requests: BTreeMap<i64, i64>,
    bodies: BTreeSet<i64>,
    events: BTreeSet<i64>,
    /// In the order in which the store met them.
    sources: Vec<u8>,
    /// By source, whether its last alert went to both destinations; forgotten at a start.
    routes: HashMap<u8, bool>,
    /// Sources whose keys are tracked, as an alert went another way than the one before it.
    tracked: BTreeSet<u8>,
    /// By alert that is not ignored, its source and key.
    placed: BTreeMap<i64, (u8, u8)>,
    /// By source and key, the newest alert of an open one, and where it is open; none where that was
    /// before it was tracked.
    open: HashMap<(u8, u8), Open>,
    newest: i64,
    now: i64,
}

type Open = (i64, Option<Vec<u8>>);

#[derive(Debug, Clone)]
struct Delivery {
    destination: u8,
    source: u8,
    key: u8,
    priority: u8,
    /// The most urgent that it had to stand in for, or that it resolves.
    urgency: u8,
    state: &'static str,
    /// The position of the head of its ordering key.
    due_at: Option<i64>,
    /// The time before which its destination asked not to be sent it.
    not_before: i64,
    since: i64,
    fell_back: bool,
    /// True if its fallback waits for it, as it has an alert before it.
    is_awaited: bool,
    /// The number of times that it was rejected.
    rejections: u8,
    /// The delivery that it stands in for, and whether it tells that this one was taken.
    stands_for: Option<(i64, bool)>,
    resolves: bool,
}

fn resolves(event: u8) -> bool {
    event % 4 == 3
}

fn request_of(alert: i64) -> i64 {
    alert / ALERTS_PER_REQUEST as i64
}

fn alert_of(delivery: i64) -> i64 {
    delivery / DELIVERIES_PER_ALERT as i64
}

impl Model {
    fn append(&mut self, source: u8, events: &[Event], proof: Option<u8>) -> Appended {
        let seq = self.newest + 1;
        if let Some(alert) = proof.and_then(|proof| self.proofs.get(&(source, proof))) {
            *self.repeats.entry(*alert).or_default() += 1;
            return self.stored(
                source,
                seq,
                Appended {
                    accepted: 0,
                    duplicates: events.len(),
                },
            );
        }
        let mut appended = Appended::default();
        let mut first = None;
        for (place, &(event, key, priority, both, order)) in (0..).zip(events) {
            if let Some(alert) = self.known.get(&(source, event)) {
                *self.repeats.entry(*alert).or_default() += 1;
                appended.duplicates += 1;
                continue;
            }
            appended.accepted += 1;
            let alert = seq * ALERTS_PER_REQUEST as i64 + place;
            first.get_or_insert(alert);
            self.known.insert((source, event), alert);
            self.alerts.insert(alert, (source, event));
            self.priorities.insert(alert, priority);
            self.events.insert(alert);
            if let Some(order) = order {
                if self
                    .orders
                    .get(&(source, key))
                    .is_some_and(|(greatest, _)| *greatest > order)
                {
                    self.ignored.insert(alert);
                    continue;
                }
                self.orders.insert((source, key), (order, alert));
            }
            let destinations = self.place(alert, (source, key), both, resolves(event));
            let before = self.urgent.remove(&(source, key)).unwrap_or(priority);
            let urgency = priority.min(before);
            if !resolves(event) {
                self.urgent.insert((source, key), urgency);
            }
            let priority = if resolves(event) { urgency } else { priority };
            for (place, destination) in (0..).zip(destinations) {
                let due_at = self.now;
                let one = Delivery {
                    destination,
                    source,
                    key,
                    priority,
                    urgency: priority,
                    state: "pending",
                    due_at: None,
                    not_before: 0,
                    since: self.now,
                    fell_back: false,
                    is_awaited: false,
                    rejections: 0,
                    stands_for: None,
                    resolves: resolves(event),
                };
                self.enqueue(
                    alert * DELIVERIES_PER_ALERT as i64 + place,
                    one,
                    due_at,
                    resolves(event),
                );
            }
        }
        if let (Some(alert), Some(proof)) = (first, proof) {
            self.proofs.insert((source, proof), alert);
        }
        self.stored(source, seq, appended)
    }

    /// Returns the destinations of an alert. A resolve goes where its key is open.
    fn place(&mut self, alert: i64, of: (u8, u8), both: bool, resolves: bool) -> Vec<u8> {
        let all = |both: bool| (0..=u8::from(both)).collect::<Vec<_>>();
        let (source, _) = of;
        if !self.tracked.contains(&source) {
            let mut earlier = self.placed.iter().rev();
            let newest = earlier.find(|(_, (other, _))| *other == source);
            let before = self.routes.get(&source).copied();
            let before = before.or_else(|| newest.map(|(id, _)| self.went_to_both(*id)));
            self.routes.insert(source, both);
            if before.is_some_and(|before| before != both) {
                self.track(source);
            }
        }
        self.placed.insert(alert, of);
        if !self.tracked.contains(&source) {
            return all(both);
        }
        let row = self.open.remove(&of);
        let before = row.map(|(id, open)| open.unwrap_or_else(|| self.went_to(id)));
        if resolves {
            return before.unwrap_or_else(|| all(both));
        }
        let mut open = all(both);
        for destination in before.unwrap_or_default() {
            if !open.contains(&destination) {
                open.push(destination);
            }
        }
        self.open.insert(of, (alert, Some(open)));
        all(both)
    }

    fn track(&mut self, source: u8) {
        if self.tracked.insert(source) {
            let earlier = self.placed.iter().filter(|(_, one)| one.0 == source);
            let open = earlier.map(|(id, one)| (*one, (*id, None)));
            self.open.extend(open);
        }
    }

    fn went_to_both(&self, alert: i64) -> bool {
        self.went_to(alert).contains(&1)
    }

    /// Returns the destinations of an alert in the order of their names, but for fallbacks.
    fn went_to(&self, alert: i64) -> Vec<u8> {
        let deliveries = self.deliveries.iter();
        let of_alert = deliveries
            .filter(|(id, one)| alert_of(**id) == alert && one.stands_for.is_none())
            .map(|(_, one)| one.destination);
        let of_alert: BTreeSet<u8> = of_alert.collect();
        let mut of_alert: Vec<u8> = of_alert.into_iter().collect();
        of_alert.sort_by_key(|number| DESTINATIONS[usize::from(*number)]);
        of_alert
    }

    fn stored(&mut self, source: u8, seq: i64, appended: Appended) -> Appended {
        if appended.accepted > 0 || appended.duplicates == 0 {
            self.newest = seq;
            self.requests.insert(seq, self.now);
            self.bodies.insert(seq);
            if !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        appended
    }

    fn enqueue(&mut self, id: i64, mut one: Delivery, due_at: i64, resolves: bool) {
        let beside: Option<u8> = self
            .line(&one)
            .filter(|(other, _)| **other > id || resolves)
            .map(|(_, other)| other.urgency)
            .min();
        one.urgency = beside.map_or(one.priority, |beside| beside.min(one.priority));
        let is_busy = self.line(&one).next().is_some();
        one.due_at = (!is_busy).then_some(due_at);
        let urgency = one.urgency;
        for (other, before) in self.line(&one) {
            if *other < id || before.due_at.is_some() {
                before.urgency = before.urgency.min(urgency);
            }
        }
        self.deliveries.insert(id, one);
    }

    /// The pending ones of a source, key and destination.
    fn line<'a>(
        &'a mut self,
        of: &Delivery,
    ) -> impl Iterator<Item = (&'a i64, &'a mut Delivery)> + use<'a> {
        let line = (of.source, of.key, of.destination);
        let is_of = move |one: &Delivery| {
            (one.source, one.key, one.destination) == line && one.state == "pending"
        };
        self.deliveries
            .iter_mut()
            .filter(move |(_, one)| is_of(one))
    }

    /// Due deliveries, in their order.
    fn due(&self, destination: u8) -> Vec<i64> {
        let mut levels: BTreeMap<u8, BTreeMap<usize, Vec<(i64, i64)>>> = BTreeMap::new();
        for (id, one) in &self.deliveries {
            if one.destination == destination && one.due_at.is_some_and(|due_at| due_at <= self.now)
            {
                let source = self
                    .sources
                    .iter()
                    .position(|source| *source == one.source)
                    .unwrap();
                levels
                    .entry(one.urgency)
                    .or_default()
                    .entry(source)
                    .or_default()
                    .push((one.due_at.unwrap(), *id));
            }
        }
        // The sources of a priority have one each, in turns.
        let mut levels: Vec<Vec<i64>> = levels
            .into_values()
            .map(|mut sources| {
                sources
                    .values_mut()
                    .for_each(|of_one| of_one.sort_unstable());
                let longest = sources.values().map(Vec::len).max().unwrap();
                let turn = |turn: usize| {
                    sources
                        .values()
                        .filter_map(move |of_one| of_one.get(turn))
                        .map(|(_, id)| *id)
                };
                (0..longest).flat_map(turn).collect()
            })
            .collect();
        let mut due = Vec::new();
        for place in 1.. {
            levels.retain(|level| !level.is_empty());
            if levels.is_empty() {
                break;
            }
            let below = (1..)
                .take_while(|power| u64::is_multiple_of(place, SHARE.pow(*power)))
                .count();
            let level = below.min(levels.len() - 1);
            due.push(levels[level].remove(0));
        }
        due
    }

    fn settle(&mut self, id: i64, kind: Kind) {
        let now = self.now;
        let one = self.deliveries.get_mut(&id).unwrap();
        (one.state, one.due_at) = match kind {
            Kind::Accepted => ("delivered", None),
            Kind::Rejected => ("dead", None),
            Kind::Retry(wait) | Kind::RetryAfter(wait) => ("pending", Some(now + wait)),
            Kind::Blocked => ("pending", Some(now)),
        };
        one.not_before = match kind {
            Kind::RetryAfter(wait) => now + wait,
            _ => 0,
        };
        one.rejections += u8::from(one.state == "dead");
        if one.state != "pending" {
            let one = one.clone();
            match (one.destination, one.state) {
                (0, "dead") => {
                    let is_news = self.stand_in(id, false);
                    self.track(one.source);
                    if !one.resolves && (is_news || one.rejections == 1) {
                        self.see_to_end(id, &one, is_news);
                    }
                }
                (0, _) => {
                    self.taken(id, &one);
                    if one.is_awaited && !self.is_at_fallback(alert_of(id)) {
                        self.pass_on(id);
                    }
                }
                _ => {}
            }
            if let Some((_, head)) = self.line(&one).next() {
                head.due_at.get_or_insert(now);
            }
        }
    }

    /// Has the fallback told of the end of an alert that its destination has rejected: by the
    /// resolve that waits behind it, or by the next one.
    fn see_to_end(&mut self, id: i64, one: &Delivery, is_news: bool) {
        let last = self
            .line(one)
            .last()
            .map(|(last, one)| (*last, one.resolves));
        if let Some((last, true)) = last.filter(|(last, _)| *last > id) {
            let mut deliveries = self.deliveries.iter();
            let is_behind = deliveries.any(|(id, one)| {
                (alert_of(*id), one.destination) == (alert_of(last), FALLBACK)
                    && (one.state, one.due_at) == ("pending", None)
            });
            if !self.is_at_fallback(alert_of(last)) {
                let last = self.deliveries.get_mut(&last).unwrap();
                (last.fell_back, last.is_awaited) = (false, true);
            } else if is_news && !is_behind {
                self.pass_on(last);
            }
            return;
        }
        let (newest, mut open) = match self.open.remove(&(one.source, one.key)) {
            Some((newest, Some(open))) => (newest, open),
            Some((newest, None)) => (newest, self.went_to(newest)),
            None => (alert_of(id), self.went_to(alert_of(id))),
        };
        if !open.contains(&FALLBACK) {
            open.push(FALLBACK);
        }
        self.open
            .insert((one.source, one.key), (newest, Some(open)));
    }

    fn is_at_fallback(&self, alert: i64) -> bool {
        let mut deliveries = self.deliveries.iter();
        deliveries.any(|(id, one)| alert_of(*id) == alert && one.destination == FALLBACK)
    }

    /// Sends a resolve to the fallback, at the next place of its alert.
    fn pass_on(&mut self, id: i64) {
        self.add_for_fallback(id, None, true);
    }

    /// Adds a delivery of the alert of another to the fallback, at its next place.
    fn add_for_fallback(&mut self, id: i64, stands_for: Option<(i64, bool)>, ends: bool) {
        let one = self.deliveries[&id].clone();
        let added = Delivery {
            destination: FALLBACK,
            // As urgent as it was at its destination.
            priority: one.urgency,
            urgency: one.urgency,
            state: "pending",
            due_at: None,
            not_before: 0,
            since: self.now,
            fell_back: ends,
            is_awaited: false,
            rejections: 0,
            stands_for,
            ..one
        };
        self.enqueue(self.next_place(id), added, self.now, ends);
    }

    fn next_place(&self, id: i64) -> i64 {
        let places = self.deliveries.keys().map(|other| *other + 1);
        let places = places.filter(|place| alert_of(place - 1) == alert_of(id));
        places.max().unwrap()
    }

    /// Adds a delivery to the fallback, at the next place of its alert; one that sends the alert,
    /// once. Returns whether it is news there.
    fn stand_in(&mut self, id: i64, taken: bool) -> bool {
        if !taken && self.is_at_fallback(alert_of(id)) {
            return false;
        }
        self.add_for_fallback(id, Some((id, taken)), taken);
        true
    }

    /// Tells the fallback that a delivery was taken, unless one behind it will.
    fn taken(&mut self, id: i64, one: &Delivery) {
        let stands_for = |of: i64| {
            let is_it = move |other: &&Delivery| other.stands_for == Some((of, false));
            self.deliveries.values().find(is_it)
        };
        let Some(fallback) = stands_for(id) else {
            return;
        };
        let waits = |(other, behind): (&i64, &Delivery)| {
            (behind.source, behind.key, behind.destination, behind.state)
                == (one.source, one.key, one.destination, "pending")
                && behind.fell_back
                && stands_for(*other).is_some()
        };
        if fallback.state != "dead" && !one.resolves && !self.deliveries.iter().any(waits) {
            self.stand_in(id, true);
            if let Some((_, Some(open))) = self.open.get_mut(&(one.source, one.key)) {
                open.retain(|destination| *destination != FALLBACK);
            }
        }
    }

    fn fall_back(&mut self, after: i64) {
        let now = self.now;
        let late =
            |one: &Delivery| one.destination == 0 && one.state == "pending" && !one.fell_back;
        let mut ids: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(_, one)| late(one) && one.since <= now - after)
            .map(|(id, one)| (one.since, *id))
            .collect();
        ids.sort_unstable();
        for (_, id) in ids {
            let late = self.deliveries.get_mut(&id).unwrap();
            (late.fell_back, late.is_awaited) = (true, false);
            self.stand_in(id, false);
        }
    }

    fn requeue(&mut self) {
        let dead: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(_, one)| one.state == "dead")
            .map(|(id, _)| *id)
            .collect();
        for id in dead {
            let one = self.deliveries.remove(&id).unwrap();
            self.enqueue(
                id,
                Delivery {
                    state: "pending",
                    priority: self.priorities[&alert_of(id)],
                    not_before: 0,
                    since: self.now,
                    fell_back: one.stands_for.is_some_and(|(_, taken)| taken),
                    is_awaited: false,
                    ..one
                },
                0,
                false,
            );
        }
    }

    fn is_undelivered(&self, alert: i64) -> bool {
        self.deliveries
            .iter()
            .any(|(id, one)| alert_of(*id) == alert && matches!(one.state, "pending" | "dead"))
    }

    fn is_open(&self, seq: i64) -> bool {
        self.alerts
            .keys()
            .any(|alert| request_of(*alert) == seq && self.is_undelivered(*alert))
    }

    fn remove(&mut self, seq: i64) {
        if seq == self.newest || self.is_open(seq) {
            return;
        }
        self.requests.remove(&seq);
        self.bodies.remove(&seq);
        self.events.retain(|alert| request_of(*alert) != seq);
        self.alerts.retain(|alert, _| request_of(*alert) != seq);
        self.repeats.retain(|alert, _| request_of(*alert) != seq);
        self.deliveries
            .retain(|id, _| request_of(alert_of(*id)) != seq);
        self.known.retain(|_, alert| request_of(*alert) != seq);
        self.proofs.retain(|_, alert| request_of(*alert) != seq);
        self.orders
            .retain(|_, (_, alert)| request_of(*alert) != seq);
        self.ignored.retain(|alert| request_of(*alert) != seq);
        self.placed.retain(|alert, _| request_of(*alert) != seq);
        self.open.retain(|_, (alert, _)| request_of(*alert) != seq);
    }

    fn evict(&mut self, events: bool) {
        let open = |model: &Self, seq: i64| model.is_open(seq);
        let kept: BTreeSet<_> = self
            .bodies
            .iter()
            .copied()
            .filter(|seq| open(self, *seq))
            .collect();
        self.bodies = kept;
        if events {
            self.events = self
                .events
                .iter()
                .copied()
                .filter(|alert| self.is_undelivered(*alert))
                .collect();
        }
    }

    fn count(&self, state: &str) -> i64 {
        self.deliveries
            .values()
            .filter(|one| one.state == state)
            .count() as i64
    }

    fn dismiss(&mut self) {
        self.deliveries
            .values_mut()
            .filter(|one| one.state == "dead")
            .for_each(|one| one.state = "dismissed");
    }
}

fn numbers<C: FromIterator<i64>>(kept: &Connection, sql: &str) -> C {
    let mut statement = kept.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn reading(source: u8, events: &[Event], proof: Option<u8>) -> Reading {
    let source = source.to_string();
    let alerts = events.iter().map(|(event, key, priority, both, order)| {
        let priority = [
            Priority::Critical,
            Priority::High,
            Priority::Medium,
            Priority::Low,
        ][usize::from(*priority)];
        let status = if resolves(*event) {
            Status::Resolve
        } else {
            Status::Trigger
        };
        let event = contract::Alert {
            key: Some(key.to_string()),
            status,
            order: order.map(i64::from),
            ..contract::Alert::new(event.to_string(), priority, "t")
        };
        let alert = Alert {
            source: source.clone(),
            request: "r".into(),
            received_at: "x".into(),
            event,
        };
        NewAlert::new(&alert, &DESTINATIONS[..=usize::from(*both)]).unwrap()
    });
    Reading::Alerts {
        alerts: alerts.collect(),
        proofs: Proofs::new(&source, proof.map(|proof| [proof]), None),
    }
}

async fn job(bench: &Bench, kind: JobKind, now: i64) -> Job {
    ask_for(
        bench.ground.location(),
        &kind,
        &[JobTarget::AllDead],
        &asked(now),
    )
    .unwrap();
    bench.store.due_reader().unwrap().jobs().unwrap().remove(0)
}

async fn compare(ground: Ground, actions: Vec<Action>) {
    let mut bench = Bench::on(ground).await;
    let mut model = Model {
        now: 100,
        ..Model::default()
    };
    for action in actions {
        bench.wait_until(model.now).await;
        let identities = model.alerts.len();
        match action {
            Action::Append {
                source,
                ref events,
                proof,
            } => {
                let request = bench.request(&source.to_string(), model.now);
                let appended = bench
                    .store
                    .append(request, reading(source, events, proof))
                    .await
                    .unwrap();
                assert_eq!(appended, model.append(source, events, proof));
            }
            Action::Settle {
                destination,
                nth,
                verdict,
            } => {
                let due = model.due(destination);
                if due.is_empty() {
                    continue;
                }
                let delivery = due[nth as usize % due.len()];
                let words = match verdict {
                    Kind::Accepted => accepted(),
                    Kind::Retry(wait) | Kind::RetryAfter(wait) => later(model.now + wait),
                    Kind::Blocked => (Outcome::Blocked { why: "401".into() }, model.now),
                    Kind::Rejected => rejected(),
                };
                let mut settled = settlement(delivery, model.now, None, words);
                settled.fallback = (destination == 0).then(|| DESTINATIONS[2].to_owned());
                if let Kind::RetryAfter(wait) = verdict {
                    settled.not_before = model.now + wait;
                }
                bench.store.settle(settled).await.unwrap();
                model.settle(delivery, verdict);
            }
            Action::Wait(time) => model.now += time,
            Action::Wake { destination } => {
                bench
                    .store
                    .wake(DESTINATIONS[usize::from(destination)])
                    .await
                    .unwrap();
                let now = model.now;
                let waiting = model
                    .deliveries
                    .values_mut()
                    .filter(|one| one.destination == destination);
                waiting
                    .filter(|one| one.due_at.is_some_and(|at| at > now.max(one.not_before)))
                    .for_each(|one| {
                        let asked = Some(one.not_before).filter(|at| *at > now);
                        one.due_at = asked.or(Some(0));
                    });
            }
            Action::FallBack(after) => {
                let after_ms = Duration::from_millis(after.unsigned_abs());
                let [destination, _, fallback] = DESTINATIONS;
                let store = &bench.store;
                store
                    .fall_back(destination, fallback, after_ms)
                    .await
                    .unwrap();
                model.fall_back(after);
            }
            Action::Requeue => {
                let job = job(&bench, JobKind::Replay, model.now).await;
                bench.store.requeue(job).await.unwrap();
                model.requeue();
            }
            Action::Dismiss => {
                let job = job(&bench, JobKind::Dismiss { why: "old".into() }, model.now).await;
                assert_eq!(
                    bench.store.dismiss(job).await.unwrap().dead as i64,
                    model.count("dead")
                );
                model.dismiss();
            }
            Action::Age(age) => {
                retain(&bench, model.now - age).await;
                let old: Vec<_> = model
                    .requests
                    .iter()
                    .filter(|(_, at)| **at < model.now - age)
                    .map(|(seq, _)| *seq)
                    .collect();
                old.into_iter().for_each(|seq| model.remove(seq));
            }
            // The room of a database is its operator's.
            Action::Evict { .. } if bench.ground.database.is_some() => {}
            Action::Evict { events } => {
                sweep(&bench, Stage::Bodies, bounds(0, 0)).await;
                if events {
                    sweep(&bench, Stage::Events, bounds(0, 0)).await;
                }
                model.evict(events);
                assert_eq!(
                    model.alerts.len(),
                    identities,
                    "no identity goes for the size"
                );
            }
            Action::Forget { identities } => {
                let most = Bounds {
                    identities: u64::from(identities) * IDENTITY_BYTES,
                    ..bounds(0, u64::MAX)
                };
                sweep(&bench, Stage::Identities, most).await;
                for seq in model.requests.keys().copied().collect::<Vec<_>>() {
                    if model.alerts.len() > usize::from(identities) {
                        model.remove(seq);
                    }
                }
            }
            Action::Reopen => {
                bench = bench.reopen().await;
                model.urgent.clear();
                model.routes.clear();
                let kept = bench.ground.location().reads().unwrap();
                let times: Vec<i64> = numbers(&kept, "SELECT times FROM repeats ORDER BY alert");
                assert_eq!(
                    times,
                    model.repeats.values().copied().collect::<Vec<_>>(),
                    "counts are written down at the end"
                );
            }
            Action::Crash => {
                bench = bench.crash().await;
                model.urgent.clear();
                model.routes.clear();
                let kept = bench.ground.location().reads().unwrap();
                let alerts: Vec<i64> = numbers(&kept, "SELECT alert FROM repeats ORDER BY alert");
                let times: Vec<i64> = numbers(&kept, "SELECT times FROM repeats ORDER BY alert");
                let kept: BTreeMap<_, _> = alerts.into_iter().zip(times).collect();
                // Only what was not written down yet may be lost.
                for (alert, times) in &kept {
                    assert!(*times <= model.repeats[alert], "{alert}");
                }
                model.repeats = kept;
            }
        }
        for (number, name) in (0..).zip(DESTINATIONS) {
            let due = bench
                .store
                .due_reader()
                .unwrap()
                .due(name, model.now, &HashSet::new(), 1000)
                .unwrap();
            assert_eq!(
                due.iter().map(|due| due.id).collect::<Vec<_>>(),
                model.due(number),
                "{name}"
            );
        }
        let kept = bench.ground.location().reads().unwrap();
        let fallbacks: Vec<i64> = numbers(&kept, "SELECT of FROM fallbacks ORDER BY id");
        let stand_ins = model.deliveries.values();
        let stand_ins = stand_ins.filter_map(|one| one.stands_for.map(|(of, _)| of));
        assert_eq!(fallbacks, stand_ins.collect::<Vec<_>>());
        for state in ["pending", "delivered", "dead"] {
            assert_eq!(bench.total(state), model.count(state), "{state}");
        }
        let bodies: BTreeSet<i64> = numbers(&kept, "SELECT seq FROM bodies");
        let events: BTreeSet<i64> = numbers(&kept, "SELECT alert FROM events");
        let alerts: BTreeSet<i64> = numbers(&kept, "SELECT id FROM alerts");
        assert_eq!((&bodies, &events), (&model.bodies, &model.events));
        assert_eq!(alerts, model.alerts.keys().copied().collect());
        let ignored: BTreeSet<i64> =
            numbers(&kept, "SELECT id FROM alerts WHERE ignored IS NOT NULL");
        assert_eq!(
            ignored, model.ignored,
            "what comes after something later is ignored, and nothing else"
        );
        assert!(
            events.is_subset(&alerts),
            "no identity goes while what it says is left"
        );
    }
    bench.whole();
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        4 => Just(Kind::Accepted),
        2 => (0..50_i64).prop_map(Kind::Retry),
        1 => (0..50_i64).prop_map(Kind::RetryAfter),
        1 => Just(Kind::Blocked),
        1 => Just(Kind::Rejected),
    ];
    let events = prop::collection::vec(
        (
            0..12_u8,
            0..4_u8,
            0..4_u8,
            any::<bool>(),
            prop::option::of(0..5_u8),
        ),
        0..4,
    );
    let proof = prop_oneof![2 => Just(None), 1 => (0..6_u8).prop_map(Some)];
    prop_oneof![
        6 => (0..3_u8, events, proof).prop_map(|(source, events, proof)| Action::Append { source, events, proof }),
        8 => (0..3_u8, any::<u8>(), kind)
            .prop_map(|(destination, nth, verdict)| Action::Settle { destination, nth, verdict }),
        3 => (1..60_i64).prop_map(Action::Wait),
        1 => (0..3_u8).prop_map(|destination| Action::Wake { destination }),
        2 => (0..60_i64).prop_map(Action::FallBack),
        1 => Just(Action::Requeue),
        1 => Just(Action::Dismiss),
        1 => (0..200_i64).prop_map(Action::Age),
        1 => any::<bool>().prop_map(|events| Action::Evict { events }),
        1 => (0..6_u8).prop_map(|identities| Action::Forget { identities }),
        1 => Just(Action::Reopen),
        1 => Just(Action::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(64, |cases| cases.parse().unwrap())
    ))]

    #[test]
    fn store_does_what_a_plain_model_does(actions in prop::collection::vec(action(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(compare(Ground::folder(), actions));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(8, |cases| cases.parse().unwrap())
    ))]

    #[test]
    fn store_in_postgresql_does_what_a_plain_model_does(
        actions in prop::collection::vec(action(), 1..60)
    ) {
        if let Some(ground) = Ground::database() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(compare(ground, actions));
        }
    }
}

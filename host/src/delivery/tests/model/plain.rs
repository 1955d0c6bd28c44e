//! The expected content of the disk and of ITOC360, in plain memory.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::clock::Clock;
use crate::store::{ALERTS_PER_REQUEST, Appended};
use itoc360_double::Reply;

#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Accepted,
    Retry,
    RetryAfter(u8),
    /// The event is accepted, but the answer is lost.
    Lost,
    Blocked,
    Rejected,
}
/// The expected content of the disk and of ITOC360.
#[derive(Debug, Default)]
pub struct Model {
    pub alerts: BTreeMap<i64, Entry>,
    known: HashSet<u8>,
    /// The number of the newest request that was kept.
    pub requests: i64,
    pub unread: VecDeque<(i64, Vec<(u8, u8)>)>,
    pub answers: VecDeque<Answer>,
    /// By key: whether its alert is open in ITOC360.
    open: HashMap<u8, bool>,
    /// The keys with a delivery due at a takeover: a request of the former gateway may be on its way.
    /// What is younger of them waits.
    guarded: HashSet<u8>,
    pub opened: usize,
    /// The number of requests that have arrived since the disk had all that came before.
    pub arrived: usize,
    pub clock: Option<Clock>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    event: u8,
    key: u8,
    pub now: Standing,
    /// Before its latest attempt, of which a crash may have left nothing.
    before: Standing,
    pub not_before_ms: i64,
    /// True if ITOC360 has it, whatever the gateway knows.
    taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub state: &'static str,
    pub attempts: i64,
    /// True if it is the head of its ordering key.
    pub head: bool,
}

/// What stands on the disk: by id, the event and how it stands.
pub type Rows = BTreeMap<i64, (String, Standing)>;

pub fn resolves(event: u8) -> bool {
    event % 4 == 3
}

impl Model {
    pub fn append(&mut self, seq: i64, events: &[(u8, u8)]) -> Appended {
        let mut appended = Appended {
            accepted: 0,
            duplicates: 0,
        };
        for (place, &(event, key)) in (0..).zip(events) {
            if !self.known.insert(event) {
                appended.duplicates += 1;
                continue;
            }
            appended.accepted += 1;
            let now = Standing {
                state: "pending",
                attempts: 0,
                head: self.is_free(key),
            };
            let entry = Entry {
                event,
                key,
                now,
                before: now,
                not_before_ms: 0,
                taken: false,
            };
            self.alerts
                .insert(seq * ALERTS_PER_REQUEST as i64 + place, entry);
        }
        appended
    }

    fn is_free(&self, key: u8) -> bool {
        let mut alerts = self.alerts.values();
        let is_busy = alerts.any(|one| one.key == key && one.now.state == "pending");
        !is_busy && !self.guarded.contains(&key)
    }

    /// Returns ITOC360's answer to an event.
    pub fn arrives(&mut self, event: u8) -> Reply {
        self.arrived += 1;
        let now_ms = self.clock.unwrap().now_ms();
        let answer = self.answers.pop_front().unwrap_or(Answer::Accepted);
        let entry = self
            .alerts
            .values_mut()
            .find(|one| one.event == event)
            .expect("an alert that is not kept");
        assert!(
            entry.now.state == "pending" && entry.now.head,
            "it is not its turn: {entry:?}"
        );
        assert!(
            entry.not_before_ms <= now_ms,
            "{} ms too early: {entry:?}",
            entry.not_before_ms - now_ms
        );
        entry.before = entry.now;
        entry.now.attempts += 1;
        let key = entry.key;
        if matches!(answer, Answer::Accepted | Answer::Lost)
            && !std::mem::replace(&mut entry.taken, true)
        {
            let was_open = self.open.insert(key, !resolves(event)).unwrap_or_default();
            self.opened += usize::from(!was_open && !resolves(event));
        }
        match answer {
            Answer::Accepted => self.settle(event, "delivered", Reply::Ok),
            Answer::Rejected => self.settle(event, "dead", Reply::error(400, "no")),
            Answer::Blocked => Reply::error(402, "not paid"),
            Answer::Retry => Reply::error(503, "busy"),
            Answer::Lost => Reply::Lost,
            Answer::RetryAfter(seconds) => {
                entry.not_before_ms = now_ms + i64::from(seconds) * 1000;
                let headers = vec![("Retry-After".to_owned(), seconds.to_string())];
                Reply::Status {
                    code: 429,
                    headers,
                    body: String::new(),
                }
            }
        }
    }

    fn settle(&mut self, event: u8, state: &'static str, reply: Reply) -> Reply {
        let entry = self
            .alerts
            .values_mut()
            .find(|one| one.event == event)
            .unwrap();
        (entry.now.state, entry.now.head) = (state, false);
        let key = entry.key;
        if !self.guarded.contains(&key) {
            self.promote(key);
        }
        reply
    }

    /// Makes the oldest pending alert of a key its head, where it has none.
    fn promote(&mut self, key: u8) {
        let of_key = |one: &Entry| one.key == key && one.now.state == "pending";
        if self.alerts.values().any(|one| of_key(one) && one.now.head) {
            return;
        }
        if let Some(next) = self.alerts.values_mut().find(|one| of_key(one)) {
            next.now.head = true;
        }
    }

    /// Another gateway takes over, and guards each key with a delivery due.
    pub fn taken_over(&mut self) {
        let heads = self.alerts.values().filter(|one| one.now.head);
        self.guarded.extend(heads.map(|one| one.key));
    }

    /// Nothing of a gateway that was taken over from is on its way any more.
    pub fn released(&mut self) {
        for key in std::mem::take(&mut self.guarded) {
            self.promote(key);
        }
    }

    pub fn requeue(&mut self) -> usize {
        let ids: Vec<_> = self
            .alerts
            .iter()
            .filter(|(_, one)| one.now.state == "dead")
            .map(|(id, _)| *id)
            .collect();
        for id in &ids {
            let head = self.is_free(self.alerts[id].key);
            let entry = self.alerts.get_mut(id).unwrap();
            (entry.now.state, entry.now.head, entry.not_before_ms) = ("pending", head, 0);
            // It was refused, but an earlier attempt may have been taken and its answer lost.
            // Whoever asks for it again may find that its alert is closed by now, and opens it
            // again.
            entry.taken = false;
        }
        ids.len()
    }

    /// All requests that are read and have no undelivered alert go, but for the newest, and what
    /// they opened is forgotten.
    pub fn retain(&mut self) {
        let request = |id: i64| id / ALERTS_PER_REQUEST as i64;
        let open = self
            .alerts
            .iter()
            .filter(|(_, one)| one.now.state != "delivered")
            .map(|(id, _)| request(*id));
        let open: HashSet<i64> = open.chain([self.requests]).collect();
        let known = &mut self.known;
        self.alerts.retain(|id, one| {
            let stays = open.contains(&request(*id));
            if !stays {
                known.remove(&one.event);
            }
            stays
        });
    }

    pub fn rows(&self) -> Rows {
        self.alerts
            .iter()
            .map(|(id, one)| (*id, (one.event.to_string(), one.now)))
            .collect()
    }

    /// After a crash: the latest attempt at an alert may have left nothing, so that it comes again.
    pub fn crashed(&mut self, rows: &Rows) {
        assert_eq!(
            rows.keys().collect::<Vec<_>>(),
            self.alerts.keys().collect::<Vec<_>>()
        );
        for (id, entry) in &mut self.alerts {
            let (_, found) = &rows[id];
            let is = |standing: Standing| {
                (found.state, found.attempts) == (standing.state, standing.attempts)
            };
            assert!(
                is(entry.now) || is(entry.before),
                "{found:?} is on the disk instead of {entry:?}"
            );
            if !is(entry.now) {
                entry.not_before_ms = 0;
            }
            entry.now = *found;
        }
        for entry in self
            .alerts
            .values()
            .filter(|one| one.now.state == "pending")
        {
            let heads = self
                .alerts
                .values()
                .filter(|one| one.key == entry.key && one.now.head)
                .count();
            let is_guarded = self.guarded.contains(&entry.key);
            assert!(
                heads == 1 || (heads == 0 && is_guarded),
                "{heads} heads of the alerts of key {}",
                entry.key
            );
        }
    }
}

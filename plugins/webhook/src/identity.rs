//! The identity of an event, where its mapping names no id.
//!
//! An id is a hash over the alert and everything that it was made from: the event as sent, and the
//! other parts read by the mapping (headers, query parameters, and those outside the list of
//! `each`). Two requests that differ in any of it never share an id.
//!
//! The same request again is either the sender's second attempt or the same thing happening once
//! more, and no body tells which. [`Repeats`] decides it: by the setting, or else by what is known
//! of the request.

use std::cell::OnceCell;

use plugin_sdk::attempt;
use plugin_sdk::contract::{Alert, ProofIdentity, Request};
use plugin_sdk::signature::sha256;

use crate::place::Place;
use crate::template::Source;
use crate::tree::Node;

/// Settings that say nothing about the alert.
const APART: [&str; 4] = ["sender", "secret", "challenge", "challenge_secret"];

/// The fate of the same event sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// A duplicate for as long as the gateway remembers the first.
    Drop,
    /// An event of its own; where it has a key, it only updates the alert while that is open.
    Send,
    /// A duplicate within [`attempt::SECONDS`], and afterwards an event of its own.
    DropForAWhile,
}

/// The parts of a request from which the ids of its events are made.
pub struct Identity<'a, 's, 'j> {
    request: &'a Request,
    settings: &'a Node<'s>,
    body: Option<&'a Node<'j>>,
    proof: Option<&'a ProofIdentity>,
    /// A hash of what the mapping reads beside the event.
    outside: OnceCell<String>,
}

impl<'a, 's, 'j> Identity<'a, 's, 'j> {
    /// The identity of the events of a request, which this proof covers where the sender signs.
    pub fn new(
        request: &'a Request,
        settings: &'a Node<'s>,
        body: Option<&'a Node<'j>>,
        proof: Option<&'a ProofIdentity>,
    ) -> Self {
        Self {
            request,
            settings,
            body,
            proof,
            outside: OnceCell::new(),
        }
    }

    /// The id of an alert that was made of this event.
    pub fn of(&self, alert: &Alert, event: &[u8]) -> String {
        let mut made_of = Vec::with_capacity(event.len() + 1024);
        let mut add = |part: &[u8]| {
            made_of.extend_from_slice(&(part.len() as u64).to_le_bytes());
            made_of.extend_from_slice(part);
        };
        add(event);
        add(self.outside().as_bytes());
        // What holds the time of receipt differs between two attempts of the same request.
        if !self.names_around("$received_at") {
            for text in [alert.status.as_str(), alert.priority.as_str(), &alert.title] {
                add(text.as_bytes());
            }
            for text in [&alert.key, &alert.message, &alert.occurred_at, &alert.link] {
                add(text.as_deref().unwrap_or_default().as_bytes());
            }
            for (name, value) in &alert.labels {
                add(name.as_bytes());
                add(value.as_bytes());
            }
        }
        match self.repeats(alert.key.is_some()) {
            Repeats::Drop => format!("sha256:{}", sha256(&made_of).hex()),
            Repeats::Send => {
                let moment = self
                    .proof
                    .map_or(&*self.request.received_at, |proof| &proof.id);
                made_of.extend_from_slice(moment.as_bytes());
                format!("sha256:{}", sha256(&made_of).hex())
            }
            Repeats::DropForAWhile => attempt::event_id(&made_of, &self.request.received_at),
        }
    }

    /// The mark by which the host knows a second attempt of this request. `None` where any of its
    /// alerts may happen again within that time.
    pub fn attempt(&self, alerts: &[Alert]) -> Option<ProofIdentity> {
        let for_a_while =
            |alert: &Alert| self.repeats(alert.key.is_some()) == Repeats::DropForAWhile;
        if alerts.is_empty()
            || self.settings.get("event_id").is_some()
            || !alerts.iter().all(for_a_while)
        {
            return None;
        }
        attempt::mark(self.request, self.outside().as_bytes())
    }

    /// A signature over the body alone is the same whenever it is sent: a repeat may be a recorded
    /// request, and only that the sender signed it is known. Where a time is signed, a replay has
    /// the same proof, and a new event another.
    fn repeats(&self, keyed: bool) -> Repeats {
        let setting = self.settings.get("repeats").and_then(Node::string);
        let timed = self.proof.is_some_and(|proof| proof.expires_at.is_some());
        match (setting.as_deref(), self.proof, keyed) {
            (Some("drop"), ..) => Repeats::Drop,
            (Some("send"), ..) => Repeats::Send,
            (_, Some(_), true) if timed => Repeats::Send,
            (_, Some(_), _) => Repeats::Drop,
            (_, None, true) => Repeats::Send,
            (_, None, false) => Repeats::DropForAWhile,
        }
    }

    /// Returns whether this text, which begins with a dollar, stands anywhere in the settings. Most
    /// hold no dollar, and looking for a byte needs no preparation.
    fn names_around(&self, place: &str) -> bool {
        let settings = self.settings.json().get();
        settings.as_bytes().contains(&b'$') && settings.contains(place)
    }

    fn outside(&self) -> &str {
        self.outside.get_or_init(|| {
            let mut read = Vec::new();
            // Most mappings read nothing but the event, and are not taken apart for this.
            if !self.names_around("$") {
                return String::new();
            }
            let members = self
                .settings
                .members()
                .iter()
                .filter(|(name, _)| !APART.contains(&&**name));
            members.for_each(|(_, setting)| self.add_outside(setting, &mut read));
            if read.is_empty() {
                return String::new();
            }
            sha256(&read).hex()
        })
    }

    fn add_outside(&self, setting: &Node<'_>, read: &mut Vec<u8>) {
        let inner = setting.members().iter().map(|(_, node)| node);
        inner
            .chain(setting.items().unwrap_or_default())
            .for_each(|node| self.add_outside(node, read));
        let text = setting.string().filter(|text| text.contains('$'));
        let Some(Ok(source)) = text.as_deref().map(Source::parse) else {
            return;
        };
        for ask in source.asks() {
            let query = self.request.query();
            let found = match ask.place {
                Place::Header(name) => self.request.header(name).map(str::as_bytes),
                Place::Method => Some(self.request.method.as_bytes()),
                Place::Query(name) => query
                    .fields()
                    .iter()
                    .find(|(known, _)| **known == *name.as_bytes())
                    .map(|f| &*f.1),
                Place::Body(pointer) => self
                    .body
                    .and_then(|body| body.at(pointer))
                    .map(|node| node.json().get().as_bytes()),
                Place::Event(_) | Place::Source | Place::ReceivedAt => continue,
            };
            for part in [ask.place.to_string().as_bytes(), found.unwrap_or_default()] {
                read.extend_from_slice(&(part.len() as u64).to_le_bytes());
                read.extend_from_slice(part);
            }
            read.push(u8::from(found.is_some()));
        }
    }
}

//! The last requests of each source that left nothing in the store: rejected or ignored. And the
//! answers to the last ones that did. Written by intake, read by the admin listener; a restart
//! begins anew.
//!
//! Strangers write here, so that all is bounded: the entries of a source, the bytes of an entry,
//! and the bytes of all. A flood at one source pushes out its own entries first.

mod answers;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use answers::{Answered, Answers};

/// Entries of one source and kind.
const ENTRIES: usize = 20;
/// Bytes of one entry without its body.
const ENTRY_BYTES: usize = 4 * 1024;
/// Bytes of a body, of which the beginning is kept.
pub const BODY_BYTES: usize = 8 * 1024;
/// Bytes of a reason, an advice or a URL.
const TEXT_BYTES: usize = 1024;
/// Bytes of all entries.
const BYTES: usize = 8 * 1024 * 1024;

/// The last requests that were rejected or ignored, and the last answers. Clones share the same.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    rings: Arc<Mutex<Rings>>,
    /// The answers to the last stored requests.
    pub answers: Answers,
}

#[derive(Debug, Default)]
struct Rings {
    rings: HashMap<(Arc<str>, Kind), VecDeque<Arc<Entry>>>,
    bytes: usize,
    next: u64,
}

/// The kinds of entries, each with a ring of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Refused by a source.
    Rejected,
    /// Genuine, and of no interest to anybody.
    Ignored,
    /// Sent to a path that no source has, and that looks like a source's.
    NearMiss,
    /// Sent to any other path.
    NoSource,
}

/// A request that was rejected or ignored, in its ring.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The order in which entries came.
    pub number: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The kind.
    pub kind: Kind,
    /// The request.
    pub trace: Trace,
    /// The beginning of its body, where that was read. No list has it.
    pub body: Option<Vec<u8>>,
}

/// The facts about a request that was rejected or ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trace {
    /// The source; empty where the path is no source's.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub source: Arc<str>,
    /// The request's id, as answered to the sender.
    pub request: String,
    /// The word for the ending, as in metrics.
    pub outcome: Cow<'static, str>,
    /// The reason.
    pub reason: String,
    /// The advice to the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The sender's address.
    pub client: String,
    /// The method.
    pub method: String,
    /// The URL that a signature is checked over, without credentials; of a request for no source,
    /// the beginning of its path.
    pub url: String,
    /// The headers, without credentials.
    pub headers: Vec<(String, String)>,
    /// The bytes of its body, where its beginning can be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

impl Kind {
    /// Returns the state of a request of this kind.
    pub fn state(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Rejected | Self::NearMiss | Self::NoSource => "rejected",
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.bytes_without_body() + self.body.as_ref().map_or(0, Vec::len)
    }

    fn bytes_without_body(&self) -> usize {
        let trace = &self.trace;
        let headers = trace
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>());
        size_of::<Self>()
            + trace.request.len()
            + trace.reason.len()
            + trace.help.as_ref().map_or(0, String::len)
            + trace.client.len()
            + trace.method.len()
            + trace.url.len()
            + headers.sum::<usize>()
    }

    /// Cuts what is longer than an entry may be.
    fn cut(&mut self) {
        let trace = &mut self.trace;
        for text in [&mut trace.reason, &mut trace.url, &mut trace.method] {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
        }
        if let Some(help) = &mut trace.help {
            help.truncate(help.floor_char_boundary(TEXT_BYTES));
        }
        if let Some(body) = &mut self.body {
            body.truncate(BODY_BYTES);
            body.shrink_to_fit();
        }
        while self.bytes_without_body() > ENTRY_BYTES && self.trace.headers.pop().is_some() {}
    }
}

impl Recent {
    /// Keeps an entry, which is numbered and cut to its bounds, and drops older ones for it.
    pub fn push(&self, mut entry: Entry) {
        entry.cut();
        let mut rings = self.rings.lock();
        let rings = &mut *rings;
        entry.number = rings.next;
        rings.next += 1;
        let bytes = entry.bytes();
        let key = (Arc::clone(&entry.trace.source), entry.kind);
        let ring = rings.rings.entry(key).or_default();
        ring.push_back(Arc::new(entry));
        rings.bytes += bytes;
        if ring.len() > ENTRIES
            && let Some(old) = ring.pop_front()
        {
            rings.bytes -= old.bytes();
        }
        while rings.bytes > BYTES {
            // Of those that are as long, the one with the oldest entry: a new one is never the first to go.
            let oldest = |ring: &VecDeque<Arc<Entry>>| ring.front().map(|entry| entry.number);
            let longest = rings
                .rings
                .values_mut()
                .max_by_key(|ring| (ring.len(), Reverse(oldest(ring))));
            let Some(old) = longest.and_then(VecDeque::pop_front) else {
                return;
            };
            rings.bytes -= old.bytes();
        }
    }

    /// Drops the entries of sources that are not configured any more.
    pub fn keep(&self, is_configured: impl Fn(&str) -> bool) {
        let mut rings = self.rings.lock();
        rings
            .rings
            .retain(|(source, _), _| source.is_empty() || is_configured(source));
        rings.bytes = rings.rings.values().flatten().map(|one| one.bytes()).sum();
    }

    /// Returns the entries that are wanted, newest first.
    pub fn list(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let rings = self.rings.lock();
        let mut found: Vec<_> = rings
            .rings
            .values()
            .flatten()
            .filter(|entry| is_wanted(entry))
            .map(Arc::clone)
            .collect();
        found.sort_by_key(|entry| Reverse(entry.number));
        found
    }

    /// Returns the number that the next entry will have: it changes with every one.
    pub fn next(&self) -> u64 {
        self.rings.lock().next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source: &str, kind: Kind, reason: &str) -> Entry {
        Entry {
            number: 0,
            at_ms: 0,
            kind,
            trace: Trace {
                source: source.into(),
                request: "r".into(),
                outcome: "forbidden".into(),
                reason: reason.into(),
                help: None,
                client: "192.0.2.1".into(),
                method: "POST".into(),
                url: "https://x.example/in/a".into(),
                headers: Vec::new(),
                body_bytes: None,
            },
            body: None,
        }
    }

    #[test]
    fn each_source_keeps_its_last_of_each_kind() {
        let recent = Recent::default();
        recent.push(entry("calm", Kind::Rejected, "first"));
        recent.push(entry("loud", Kind::Ignored, "ignored"));
        for number in 0..100 {
            recent.push(entry("loud", Kind::Rejected, &number.to_string()));
        }
        let of = |source: &str| recent.list(|entry| &*entry.trace.source == source);
        assert_eq!(of("calm").len(), 1);
        let loud = of("loud");
        assert_eq!(loud.len(), ENTRIES + 1);
        assert_eq!(
            (&*loud[0].trace.reason, &*loud[ENTRIES].trace.reason),
            ("99", "ignored")
        );
        assert_eq!(recent.next(), 102);
        recent.keep(|source| source == "calm");
        assert_eq!(recent.list(|_| true).len(), 1);
    }

    #[test]
    fn entries_are_bounded_in_bytes_each_and_together() {
        let recent = Recent::default();
        let mut large = entry("a", Kind::Rejected, &"é".repeat(10_000));
        large.trace.url = "u".repeat(100_000);
        large.trace.headers = vec![("n".to_owned(), "v".repeat(1000)); 50];
        large.body = Some(vec![b'x'; 100_000]);
        for source in 0..2000 {
            let mut entry = large.clone();
            entry.trace.source = source.to_string().into();
            recent.push(entry);
        }
        let kept = recent.list(|_| true);
        let body = |entry: &Entry| entry.body.as_ref().map(Vec::len);
        assert!(kept.iter().all(|entry| body(entry) == Some(BODY_BYTES)));
        assert!(
            kept.iter()
                .all(|entry| entry.bytes() <= ENTRY_BYTES + BODY_BYTES)
        );
        assert!(kept.len() > 500 && kept.iter().map(|one| one.bytes()).sum::<usize>() <= BYTES);
        assert_eq!(&*kept[0].trace.source, "1999", "the newest is there");
    }
}

//! Spans of distributed tracing (OpenTelemetry): the way of a request from its sender to the
//! receipt, as the tools of an operator show it. Off by default, and then each call is one look at
//! an empty option.
//!
//! | span | of | parent |
//! |---|---|---|
//! | `request` | the whole request | the sender's span, where `traceparent` names one |
//! | `plugin` | the plugin's call | `request` |
//! | `append` | the write, sync included | `request` |
//! | `attempt` | one delivery attempt, which takes its `traceparent` along | `request` |
//!
//! An attempt may come hours later and after a restart. So the trace and the first span of a
//! request follow from its id, which is stored: a UUID has the 128 bits of a trace. Only the trace
//! of a sender is remembered, for the last [`REMEMBERED`] requests that brought one; an attempt
//! after that begins the request's own trace.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::clock::wall_ns;

/// The header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// The spans that wait to be exported; more are left out and counted.
const WAITING: usize = 4096;
/// The requests whose sender's trace is remembered.
const REMEMBERED: usize = 10_000;
/// The longest text of an attribute, in characters.
const LONGEST: usize = 500;

tokio::task_local! {
    /// The `traceparent` of what this task sends.
    static SENT: String;
}

/// The recorder of spans. Clones share it; the default records none.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    ended: mpsc::Sender<Span>,
    /// A request is traced where the random bits of its id are below this.
    below: u64,
    senders: Mutex<Senders>,
    left_out: AtomicU64,
}

/// The traces that senders brought, by request; none where the sender's is not sampled.
#[derive(Debug, Default)]
struct Senders {
    traces: HashMap<Uuid, Option<Place>>,
    order: VecDeque<Uuid>,
}

/// The place of a span in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its place.
    pub place: Place,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// Its name.
    pub name: &'static str,
    /// The side of a message that it is on.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub begun: u64,
    /// Nanoseconds since 1970.
    pub ended: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// The reason why it failed.
    pub failed: Option<String>,
}

/// The side of a message that a span is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Neither.
    Internal,
    /// A request is answered.
    Server,
    /// A request is made.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, cut to 500 characters.
    Text(String),
    /// A number.
    Number(i64),
}

/// A span under way, which ends when it is dropped. One that is not recorded takes everything and
/// keeps nothing.
#[derive(Debug, Default)]
pub struct Active(Option<Box<Recording>>);

#[derive(Debug)]
struct Recording {
    recorder: Arc<Recorder>,
    span: Span,
}

/// The place below which the parts of a request are recorded.
#[derive(Debug, Clone, Default)]
pub struct Below(Option<(Arc<Recorder>, Place)>);

impl Spans {
    /// Returns a recorder for so many percent of all requests, and the spans that have ended.
    pub fn new(percent: usize) -> (Self, mpsc::Receiver<Span>) {
        let (ended, receiver) = mpsc::channel(WAITING);
        let recorder = Recorder {
            ended,
            below: (u64::MAX / 100).saturating_mul(percent.min(100) as u64),
            senders: Mutex::default(),
            left_out: AtomicU64::new(0),
        };
        let recorder = Recorder {
            below: if percent >= 100 {
                u64::MAX
            } else {
                recorder.below
            },
            ..recorder
        };
        (Self(Some(Arc::new(recorder))), receiver)
    }

    /// Returns true if spans are recorded.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the span of a request with this id, whose sender may have named a span of its own.
    pub fn request(&self, id: &str, traceparent: Option<&[u8]>) -> Active {
        let Some((recorder, id)) = self.0.as_ref().zip(id.parse().ok()) else {
            return Active::default();
        };
        let sender = traceparent.and_then(parse);
        let own = Place::of(id);
        let (place, parent) = match sender {
            Some((sender, is_sampled)) => {
                let place = Place {
                    trace: sender.trace,
                    ..own
                };
                let kept = is_sampled.then_some(place);
                recorder.senders.lock().remember(id, kept);
                let Some(place) = kept else {
                    return Active::default();
                };
                (place, Some(sender.span))
            }
            None if recorder.samples(id) => (own, None),
            None => return Active::default(),
        };
        recorder.begin("request", Kind::Server, place, parent)
    }

    /// Begins the span of an attempt at delivering an alert of the request with this id.
    pub fn attempt(&self, id: &str) -> Active {
        let Some((recorder, id)) = self.0.as_ref().zip(id.parse().ok()) else {
            return Active::default();
        };
        let of_sender = recorder.senders.lock().traces.get(&id).copied();
        let parent = match of_sender {
            Some(Some(place)) => place,
            None if recorder.samples(id) => Place::of(id),
            _ => return Active::default(),
        };
        recorder.begin(
            "attempt",
            Kind::Client,
            parent.new_span(),
            Some(parent.span),
        )
    }

    /// Returns the number of spans that were left out since this was asked last, because too many
    /// waited.
    pub fn left_out(&self) -> u64 {
        let recorder = self.0.as_ref();
        recorder.map_or(0, |recorder| recorder.left_out.swap(0, Ordering::Relaxed))
    }
}

impl Recorder {
    fn samples(&self, id: Uuid) -> bool {
        // The last four bytes are random; those before them count within a millisecond.
        (id.as_u64_pair().1 << 32) <= self.below
    }

    fn begin(
        self: &Arc<Self>,
        name: &'static str,
        kind: Kind,
        place: Place,
        parent: Option<u64>,
    ) -> Active {
        Active(Some(Box::new(Recording {
            recorder: Arc::clone(self),
            span: Span {
                place,
                parent,
                name,
                kind,
                begun: wall_ns(),
                ended: 0,
                attributes: Vec::new(),
                failed: None,
            },
        })))
    }
}

impl Senders {
    fn remember(&mut self, id: Uuid, place: Option<Place>) {
        self.traces.insert(id, place);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }
}

impl Place {
    /// Returns the place of a request's first span.
    fn of(id: Uuid) -> Self {
        Self {
            trace: id.as_u128(),
            span: id.as_u64_pair().1,
        }
    }

    fn new_span(self) -> Self {
        Self {
            // Zero is no span.
            span: fastrand::u64(1..),
            ..self
        }
    }

    /// Returns the header by which it is passed on.
    fn traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

impl Active {
    /// Adds something that is known.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &mut self.0 {
            recording.span.attributes.push((name, value.into()));
        }
    }

    /// Marks it as failed.
    pub fn fail(&mut self, why: impl FnOnce() -> String) {
        if let Some(recording) = &mut self.0 {
            recording.span.failed = Some(cut(why()));
        }
    }

    /// Returns true if it is recorded.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the place below which its parts are recorded.
    pub fn below(&self) -> Below {
        let recording = self.0.as_ref();
        Below(recording.map(|one| (Arc::clone(&one.recorder), one.span.place)))
    }

    /// Runs `sending` so that what it sends takes this span along.
    pub async fn sent<T>(&self, sending: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(recording) => {
                SENT.scope(recording.span.place.traceparent(), sending)
                    .await
            }
            None => sending.await,
        }
    }
}

impl Below {
    /// Begins a part.
    pub fn part(&self, name: &'static str) -> Active {
        match &self.0 {
            Some((recorder, place)) => {
                recorder.begin(name, Kind::Internal, place.new_span(), Some(place.span))
            }
            None => Active::default(),
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.span.ended = wall_ns();
        if self.recorder.ended.try_send(self.span.clone()).is_err() {
            self.recorder.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(cut(text.to_owned()))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Returns the `traceparent` of what this task sends, where it is traced.
pub fn traceparent() -> Option<String> {
    SENT.try_with(String::clone).ok()
}

/// Reads a `traceparent`, and whether its sender samples it. Versions to come begin alike.
fn parse(header: &[u8]) -> Option<(Place, bool)> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        let part = parts.next()?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (part.len() == digits && part.bytes().all(is_hex)).then_some(part)
    };
    let version = hex(2)?;
    let trace = u128::from_str_radix(hex(32)?, 16).ok()?;
    let span = u64::from_str_radix(hex(16)?, 16).ok()?;
    let flags = u8::from_str_radix(hex(2)?, 16).ok()?;
    let is_whole = version != "00" || parts.next().is_none();
    let is_valid = version != "ff" && trace != 0 && span != 0 && is_whole;
    is_valid.then_some((Place { trace, span }, flags & 1 == 1))
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const SENDER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn ended(receiver: &mut mpsc::Receiver<Span>) -> Vec<Span> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn parts_and_attempts_of_a_request_are_in_its_trace() {
        for (header, trace, parent) in [
            (None, ID.parse::<Uuid>().unwrap().as_u128(), None),
            (
                Some(SENDER),
                0x4bf92f3577b34da6a3ce929d0e0e4736,
                Some(0x00f067aa0ba902b7),
            ),
            (
                Some(&b"00-nonsense"[..]),
                ID.parse::<Uuid>().unwrap().as_u128(),
                None,
            ),
        ] {
            let (spans, mut receiver) = Spans::new(100);
            let mut request = spans.request(ID, header);
            request.set("http.request.method", "POST");
            let below = request.below();
            drop(below.part("plugin"));
            drop(request);
            let mut attempt = spans.attempt(ID);
            attempt.fail(|| "x".repeat(1000));
            drop(attempt);
            let [plugin, request, attempt] = &ended(&mut receiver)[..] else {
                panic!("three spans")
            };
            assert!(
                [plugin, request, attempt]
                    .iter()
                    .all(|span| span.place.trace == trace)
            );
            assert_eq!(request.parent, parent);
            for part in [plugin, attempt] {
                assert_eq!(part.parent, Some(request.place.span));
            }
            assert!(request.ended >= request.begun && request.begun > 0);
            assert_eq!(attempt.failed.as_ref().map(String::len), Some(LONGEST));
        }
    }

    #[test]
    fn what_is_not_sampled_leaves_nothing() {
        let (spans, mut receiver) = Spans::new(100);
        let not_sampled = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert!(!spans.request(ID, Some(not_sampled)).is_recorded());
        assert!(!spans.attempt(ID).is_recorded());
        let (none, _receiver) = Spans::new(0);
        assert!(!none.request(ID, None).is_recorded());
        assert!(
            none.request(ID, Some(SENDER)).is_recorded(),
            "the sender decides"
        );
        let off = Spans::default();
        assert!(!off.request(ID, Some(SENDER)).is_recorded());
        assert!(!off.request(ID, None).below().part("plugin").is_recorded());
        assert_eq!(ended(&mut receiver), []);
        let (half, _receiver) = Spans::new(50);
        let sampled = (0..1000).filter(|_| {
            let id = Uuid::now_v7().to_string();
            let sampled = half.request(&id, None).is_recorded();
            assert_eq!(half.attempt(&id).is_recorded(), sampled);
            sampled
        });
        assert!((300..700).contains(&sampled.count()));
    }

    #[test]
    fn only_a_valid_traceparent_is_taken() {
        for wrong in [
            &b""[..],
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            b"\xff",
        ] {
            assert_eq!(parse(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
        let later = b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(parse(later).is_some());
    }

    #[test]
    fn waiting_spans_and_remembered_traces_are_bounded() {
        let (spans, mut receiver) = Spans::new(100);
        for _ in 0..REMEMBERED + 10 {
            drop(spans.request(&Uuid::now_v7().to_string(), Some(SENDER)));
        }
        assert_eq!(ended(&mut receiver).len(), WAITING);
        assert_eq!(spans.left_out(), (REMEMBERED + 10 - WAITING) as u64);
        assert_eq!(spans.left_out(), 0);
        let senders = spans.0.as_ref().unwrap().senders.lock();
        assert_eq!(
            (senders.traces.len(), senders.order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }

    #[tokio::test]
    async fn what_is_sent_takes_its_span_along() {
        let (spans, mut receiver) = Spans::new(100);
        let attempt = spans.attempt(ID);
        let header = attempt.sent(async { traceparent() }).await.unwrap();
        drop(attempt);
        let span = ended(&mut receiver).remove(0);
        assert_eq!(parse(header.as_bytes()), Some((span.place, true)));
        assert_eq!(Active::default().sent(async { traceparent() }).await, None);
    }
}

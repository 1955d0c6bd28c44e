//! A load of events, each sent until it is accepted, and assertions about their alerts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use itoc360_double::Received;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Gateway, Itoc360, PATIENCE, Place, twilio};

/// The number of concurrent senders.
const SENDERS: usize = 8;

/// The numbers of the events to send.
pub type Waiting = Arc<Mutex<VecDeque<usize>>>;

/// Returns this many events.
pub fn events(count: usize) -> Waiting {
    Arc::new(Mutex::new((0..count).collect()))
}

/// Takes back the events beyond this number. A load that must not run dry has more than any machine
/// sends meanwhile.
pub fn keep_first(waiting: &Waiting, count: usize) {
    waiting.lock().retain(|number| *number < count);
}

/// A load: events, each sent until it is answered 200.
pub struct Load {
    waiting: Waiting,
    answered: watch::Sender<Answered>,
    sending: JoinSet<()>,
}

/// The counts of the answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answered {
    /// 200.
    pub accepted: usize,
    /// 503 with `Retry-After`; they were sent again.
    pub refused: usize,
    /// No answer: the connection broke.
    pub broken: usize,
}

impl Load {
    /// Sends the events until the gateway is gone. Each must be accepted.
    pub fn on(gateway: &Gateway, waiting: &Waiting) -> Self {
        Self::start(gateway, waiting, false)
    }

    /// Sends the events until the gateway is gone. An event answered 503 is sent again at once.
    pub fn on_a_bad_disk(gateway: &Gateway, waiting: &Waiting) -> Self {
        Self::start(gateway, waiting, true)
    }

    fn start(gateway: &Gateway, waiting: &Waiting, bad_disk: bool) -> Self {
        let answered = watch::Sender::new(Answered::default());
        let mut load = Self {
            waiting: Arc::clone(waiting),
            answered,
            sending: JoinSet::new(),
        };
        for _ in 0..SENDERS {
            let sender = gateway.sender();
            let waiting = Arc::clone(waiting);
            let answered = load.answered.clone();
            load.sending.spawn(async move {
                loop {
                    let Some(number) = waiting.lock().pop_front() else {
                        return;
                    };
                    match sender
                        .post(&twilio::error(&twilio::sid(number)).to("twilio"))
                        .await
                    {
                        Ok(answer) if answer.status == 503 && bad_disk => {
                            answer.is_problem(503);
                            assert!(!answer.header("retry-after").is_empty());
                            waiting.lock().push_front(number);
                            answered.send_modify(|answered| answered.refused += 1);
                        }
                        Ok(answer) => {
                            assert_eq!(answer.status, 200, "{}", answer.body);
                            answered.send_modify(|answered| answered.accepted += 1);
                        }
                        // Nobody knows whether it was kept. Twilio, told `#rc=3&rp=all`, sends it
                        // again.
                        Err(_) => {
                            waiting.lock().push_front(number);
                            answered.send_modify(|answered| answered.broken += 1);
                            return;
                        }
                    }
                }
            });
        }
        load
    }

    /// Waits until this many were answered 200, or until all were.
    pub async fn accepted(&mut self, count: usize) {
        self.until(|answered| answered.accepted >= count).await;
    }

    /// Waits until this many more than now were answered 200.
    pub async fn accepted_beyond(&mut self, more: usize) -> Answered {
        let before = self.answered().accepted;
        let answered = self
            .until(|answered| answered.accepted > before + more)
            .await;
        assert!(
            answered.accepted > before + more,
            "nothing is accepted any more: {answered:?}"
        );
        answered
    }

    /// Waits until the answers fulfil a condition, or until there are no more.
    pub async fn until(&mut self, so: impl Fn(&Answered) -> bool) -> Answered {
        let mut answered = self.answered.subscribe();
        let ended = async {
            while let Some(ended) = self.sending.join_next().await {
                ended.unwrap();
            }
        };
        tokio::select! {
            reached = timeout(PATIENCE, answered.wait_for(so)) => {
                assert!(reached.is_ok(), "it never came to this: {:?}", *self.answered.borrow());
            }
            () = ended => {}
        }
        self.answered()
    }

    /// Returns the counts until now.
    pub fn answered(&self) -> Answered {
        *self.answered.borrow()
    }

    /// Waits until the senders notice that the gateway is gone, or have sent everything. Returns
    /// whether everything was sent.
    pub async fn end(self) -> bool {
        self.sending.join_all().await;
        self.waiting.lock().is_empty()
    }
}

/// Asserts that each of so many events opened exactly one alert, that each is still open, and that
/// the store has them.
pub async fn each_opened_once(itoc360: &Itoc360, place: &Place, count: usize) {
    opened_once(itoc360, count).await;
    let lines = place.list(&[]).await;
    let kept: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line["event_id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(kept, (0..count).map(twilio::sid).collect());
}

/// Asserts that each of so many events opened exactly one alert, and that each is still open.
pub async fn opened_once(itoc360: &Itoc360, count: usize) {
    itoc360.open(count).await;
    let mut fingerprints = BTreeMap::<String, BTreeSet<String>>::new();
    for alert in itoc360.received().iter().map(Received::json) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fingerprint = text(&alert["alerts"][0]["fingerprint"]);
        fingerprints
            .entry(text(&alert["commonAnnotations"]["event_id"]))
            .or_default()
            .insert(fingerprint);
    }
    let expected: BTreeSet<_> = (0..count).map(twilio::sid).collect();
    assert_eq!(
        fingerprints.keys().cloned().collect::<BTreeSet<_>>(),
        expected
    );
    for (event_id, fingerprints) in &fingerprints {
        assert_eq!(
            fingerprints.len(),
            1,
            "{event_id} was sent under several fingerprints"
        );
        assert!(
            fingerprints
                .iter()
                .all(|fingerprint| itoc360.times_opened(fingerprint) == 1),
            "{event_id}"
        );
    }
    let tally = itoc360.tally();
    assert_eq!((tally.opened, tally.open), (count, count), "{tally:?}");
    println!(
        "{} of {} deliveries were repeated",
        tally.updated, tally.requests
    );
}

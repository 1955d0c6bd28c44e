//! Live updates of pages: server-sent events, each of which says only: something has changed.
//!
//! One task watches the store's commits and the health board for all viewers. A viewer costs a
//! waiting task and no question to the store. Its browser then fetches its page again, and a page
//! is drawn at most once a second for all.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::About;
use super::problem::Problem;
use crate::http::{self, Answer, AnswerBody};

/// The shortest time between two events of one viewer.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest: the ages on a page grow old.
const TICK: Duration = Duration::from_secs(15);
/// The time after which a stream ends, and the browser asks for another. By then it notices the
/// end of its session.
const LASTS: Duration = Duration::from_secs(60);
/// The time over which viewers are told of a change: told at once, all of them would fetch at once,
/// and senders would wait meanwhile.
const SPREAD: Duration = Duration::from_secs(1);
/// The most viewers.
const VIEWERS: usize = 200;

/// The source of live updates. Clones share it.
#[derive(Debug, Clone)]
pub struct Live {
    changes: watch::Sender<u64>,
    places: Arc<Semaphore>,
    ended: CancellationToken,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            changes: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(VIEWERS)),
            ended: CancellationToken::new(),
        }
    }
}

impl Live {
    /// Watches a gateway for all viewers, until `stop` is cancelled.
    pub async fn run(self, about: About, stop: CancellationToken) {
        let mut commits = about.store.commits();
        let mut board = about.health.watch();
        let mut recent = about.recent.next();
        let mut told = Instant::now();
        loop {
            let look = tokio::time::sleep(Duration::from_secs(1));
            let is_new = tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = commits.changed() => true,
                Ok(()) = board.changed() => true,
                () = look => false,
            };
            let refused = about.recent.next();
            if is_new || refused != recent || told.elapsed() >= TICK {
                (recent, told) = (refused, Instant::now());
                self.changes.send_modify(|change| *change += 1);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
        self.ended.cancel();
    }

    /// Returns the stream of one viewer.
    ///
    /// # Errors
    /// There are too many viewers.
    pub fn stream(&self) -> Result<Answer, Problem> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let too_many = "too many people look at pages: this one does not update itself";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, too_many));
        };
        let (pieces, body) = mpsc::channel(1);
        let mut changes = self.changes.subscribe();
        let ended = self.ended.clone();
        let until = Instant::now() + LASTS;
        tokio::spawn(async move {
            let _place = place;
            let first = Bytes::from_static(b"retry: 2000\n\n");
            let mut open = pieces.send(first).await.is_ok();
            while open {
                tokio::select! {
                    Ok(()) = changes.changed() => {}
                    () = tokio::time::sleep_until(until) => return,
                    () = pieces.closed() => return,
                    () = ended.cancelled() => return,
                }
                let late = SPREAD.mul_f64(fastrand::f64());
                tokio::select! {
                    () = tokio::time::sleep(late) => {}
                    () = pieces.closed() => return,
                    () = ended.cancelled() => return,
                }
                let changed = Bytes::from_static(b"event: changed\ndata: \n\n");
                open = pieces.send(changed).await.is_ok();
                // What changes meanwhile is one more event.
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = pieces.closed() => return,
                    () = ended.cancelled() => return,
                }
            }
        });
        let mut answer = http::answer(StatusCode::OK, "text/event-stream", "");
        *answer.body_mut() = AnswerBody::Live(body);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn next(answer: &mut Answer) -> Option<Bytes> {
        let frame = answer.body_mut().frame().await?;
        frame.unwrap().into_data().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn viewer_is_told_of_many_changes_by_one_event() {
        let live = Live::default();
        let mut answer = live.stream().unwrap();
        assert_eq!(next(&mut answer).await.unwrap(), "retry: 2000\n\n");
        let started = Instant::now();
        for _ in 0..10 {
            live.changes.send_modify(|change| *change += 1);
        }
        let event = next(&mut answer).await.unwrap();
        assert!(event.starts_with(b"event: changed"));
        assert_eq!(next(&mut answer).await, None, "nothing more has changed");
        assert!(started.elapsed() >= LASTS - PAUSE);
    }

    #[tokio::test]
    async fn viewers_are_bounded_and_end_with_the_listener() {
        let live = Live::default();
        let mut streams: Vec<_> = (0..VIEWERS).map(|_| live.stream().unwrap()).collect();
        assert!(live.stream().is_err());
        live.ended.cancel();
        let mut last = streams.pop().unwrap();
        while next(&mut last).await.is_some() {}
        drop(streams);
    }
}

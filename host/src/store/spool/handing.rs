//! Handing over: what is in the spool goes into the database, the oldest first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::SpoolError;
use super::file::Kept;
use super::handle::{Inner, Spool};
use super::request::Spooled;
use super::thread::{Message, Reply};
use crate::store::{Store, StoreError};

/// The pause between two tries to hand over.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest wait for the file to be closed.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The number of requests in a row that the database does not take, until it is taken to be away.
const FAULTS: usize = 8;

impl Spool {
    /// Hands over what is in it, whenever the database takes it, until `stop` is cancelled.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        loop {
            let handing = async {
                self.0.due().await;
                if let Err(error) = self.hand_over(&store).await {
                    tracing::debug!(%error, "the spool cannot be handed over; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            };
            // What is under way is found in the database by its id, where it got there.
            tokio::select! {
                () = handing => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Hands over what is left where the database takes it until `deadline`, and closes the file.
    pub async fn close(self, store: &Store, deadline: Instant) {
        let rest = async { while self.0.holds() && self.hand_over(store).await.is_ok() {} };
        let _ = timeout_at(deadline.into(), rest).await;
        let left = self.amount();
        if left.requests > 0 {
            tracing::warn!(
                "{left} are left in the spool: the next start of this gateway hands them over, and until then they are on \
                 this machine alone"
            );
        }
        let (reply, closed) = oneshot::channel();
        // A thread that is gone has closed it.
        if self.0.messages.send(Message::Close(reply)).is_ok() {
            let _ = timeout(CLOSING_TIME, closed).await;
        }
    }

    /// Hands over what has waited longest, all or none; where nothing waits, the way to the database
    /// is open again.
    async fn hand_over(&self, store: &Store) -> Result<(), StoreError> {
        let inner = self.0.as_ref();
        let handed = inner.gate.lock().handed();
        let next = inner.ask(Message::Next).await;
        let next = match next {
            Err(error @ SpoolError::Damaged(_)) => return Err(inner.give_up(&error)),
            other => other?,
        };
        if next.is_empty() {
            if inner.gate.lock().open(handed) {
                let requests = inner.passed.swap(0, Ordering::Relaxed);
                tracing::info!(
                    requests,
                    "the spool was handed over; requests go into the database again"
                );
            }
            return Ok(());
        }
        let mut numbers = Vec::new();
        let mut requests = Vec::new();
        for Kept { n, id, spooled } in next {
            match spooled {
                Ok(spooled) => {
                    numbers.push(n);
                    requests.push(spooled);
                }
                Err(why) => inner.set_aside(n, &id, why).await?,
            }
        }
        match store.append_spooled(requests.clone()).await {
            Ok(known) => {
                let requests = numbers.len();
                tracing::debug!(requests, known, "requests were handed over from the spool");
                inner.remove(numbers).await
            }
            Err(error) if may_be_of_one(&error) => {
                self.hand_over_singly(store, numbers, requests).await
            }
            Err(error) => Err(error),
        }
    }

    /// Hands over requests one by one: one that the database does not take must not cost its
    /// neighbours theirs. It is set aside once the database has taken another.
    async fn hand_over_singly(
        &self,
        store: &Store,
        numbers: Vec<i64>,
        requests: Vec<Arc<Spooled>>,
    ) -> Result<(), StoreError> {
        let inner = self.0.as_ref();
        let mut faults = Vec::new();
        let mut any = false;
        for (n, spooled) in numbers.into_iter().zip(requests) {
            match store.append_spooled(vec![Arc::clone(&spooled)]).await {
                Ok(_) => {
                    any = true;
                    inner.remove(vec![n]).await?;
                }
                Err(StoreError::Row(why)) => {
                    inner.set_aside(n, &spooled.request.id, why).await?;
                }
                Err(error) if may_be_of_one(&error) && (any || faults.len() < FAULTS) => {
                    faults.push((n, spooled, error));
                }
                Err(error) => return Err(error),
            }
        }
        match faults.pop() {
            // Nothing says that the database takes any.
            Some((.., error)) if !any => return Err(error),
            last => faults.extend(last),
        }
        for (n, spooled, error) in faults {
            let why = error.to_string();
            inner.set_aside(n, &spooled.request.id, why).await?;
        }
        Ok(())
    }
}

/// Returns whether an error may be of one request alone.
fn may_be_of_one(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Row(_) | StoreError::Damaged(_) | StoreError::Disk(_) | StoreError::Refused(_)
    )
}

impl Inner {
    /// Returns when the spool can be handed over.
    async fn due(&self) {
        loop {
            let changed = self.changed.notified();
            if self.gate.lock().is_due() {
                return;
            }
            changed.await;
        }
    }

    /// Returns whether requests go through the spool.
    fn holds(&self) -> bool {
        self.gate.lock().away().is_some()
    }

    /// Asks the thread.
    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, SpoolError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(message(reply));
        sent.map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Removes requests that the database has.
    async fn remove(&self, numbers: Vec<i64>) -> Result<(), StoreError> {
        let passed = numbers.len() as u64;
        self.passed.fetch_add(passed, Ordering::Relaxed);
        let removed = self.ask(|reply| Message::Remove(numbers, reply)).await;
        Ok(removed?)
    }

    /// Sets a request aside that the database does not take.
    async fn set_aside(&self, n: i64, request: &str, why: String) -> Result<(), StoreError> {
        tracing::error!(
            request,
            why,
            "a request of the spool cannot be handed over; it stays in the spool, and is tried again at the next start"
        );
        let aside = self.ask(|reply| Message::SetAside(n, why, reply)).await;
        Ok(aside?)
    }

    /// Takes nothing any more: the file cannot be read.
    fn give_up(&self, error: &SpoolError) -> StoreError {
        tracing::error!(%error, "the spool is of no more use: requests are refused while the database is away");
        self.takes.store(false, Ordering::Relaxed);
        self.gate.lock().give_up();
        let amount = *self.shown.amount.lock();
        self.shown.set(amount, Some(error));
        error.clone().into()
    }
}

//! Keeping requests: in the database, or in the spool while that does not take them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::SpoolError;
use super::file::Keep;
use super::gate::Way;
use super::handle::{Inner, Spool};
use super::thread::Message;

use crate::store::append::Append;
use crate::store::{Appended, NewRequest, Reading, Store, StoreError};

/// The time that the database has for a request. A sender waits longer, and most hiccups are over.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request on its way; dropped where its sender hangs up.
struct Ticket<'a> {
    inner: &'a Inner,
    n: i64,
    way: Way,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.inner.gate.lock().leave(self.way);
        self.inner.changed.notify_one();
    }
}

impl Spool {
    /// Has the store keep a request, or keeps it here until the store does. Its events then count as
    /// new: only the database knows which are repeats.
    ///
    /// # Errors
    /// The store's, where neither keeps it.
    pub async fn append(
        &self,
        store: &Store,
        request: NewRequest,
        reading: Reading,
    ) -> Result<Appended, StoreError> {
        let inner = self.0.as_ref();
        let mut ticket = inner.enter();
        let takes = inner.takes.load(Ordering::Relaxed);
        if ticket.way == Way::Database && !takes {
            return store.append(request, reading).await;
        }
        let append = Arc::new(store.to_append(request, reading));
        if ticket.way == Way::Database {
            let asked = timeout(PATIENCE, store.append_now(Arc::clone(&append))).await;
            let error = match asked {
                Ok(Err(error)) if is_of_all(&error) => error,
                Ok(answer) => return answer,
                Err(_) => {
                    StoreError::Away(format!("no answer within {} seconds", PATIENCE.as_secs()))
                }
            };
            ticket.turn(error);
        }
        // It will hand over nothing any more.
        if let Some(lost) = store.lost() {
            return Err(lost);
        }
        inner.keep(ticket, &append).await
    }

    /// Keeps a request as if the store were away.
    #[cfg(test)]
    pub(in crate::store) async fn fill(
        &self,
        store: &Store,
        request: NewRequest,
        reading: Reading,
    ) -> Result<Appended, StoreError> {
        let mut ticket = self.0.enter();
        if ticket.way == Way::Database {
            ticket.turn(StoreError::Away("a test says so".to_owned()));
        }
        self.0
            .keep(ticket, &store.to_append(request, reading))
            .await
    }
}

impl Inner {
    fn enter(&self) -> Ticket<'_> {
        let (n, way) = self.gate.lock().enter();
        Ticket {
            inner: self,
            n,
            way,
        }
    }

    /// Keeps a request in the file.
    async fn keep(&self, ticket: Ticket<'_>, append: &Append) -> Result<Appended, StoreError> {
        let keep =
            Keep::of(ticket.n, append).map_err(|error| StoreError::Row(error.to_string()))?;
        let why = self.gate.lock().away().cloned();
        let error = match ticket.hand(keep).await {
            Ok(Ok(())) => {
                return Ok(match &append.reading {
                    Reading::Alerts { alerts, .. } => Appended {
                        accepted: alerts.len(),
                        duplicates: 0,
                    },
                    _ => Appended::default(),
                });
            }
            Ok(Err(SpoolError::Unproven(source))) => return Err(StoreError::Unproven(source)),
            Ok(Err(error)) => error,
            Err(_) => SpoolError::Closed,
        };
        if let Some(left_out) = self.throttle.due("", error.kind()) {
            tracing::error!(%error, left_out, "the spool does not take a request that the database does not take");
        }
        Err(why.unwrap_or_else(|| error.into()))
    }
}

impl Ticket<'_> {
    /// Turns from the database to the spool.
    fn turn(&mut self, why: StoreError) {
        self.way = Way::Spool;
        let error = why.to_string();
        if self.inner.gate.lock().turn(why) {
            tracing::warn!(
                error,
                "requests are kept in the spool of this gateway until the database takes them"
            );
        }
        self.inner.changed.notify_one();
    }

    /// Hands the request to the thread. Whatever becomes of its sender, it is kept from then on.
    fn hand(mut self, keep: Keep) -> oneshot::Receiver<Result<(), SpoolError>> {
        let (reply, answer) = oneshot::channel();
        let mut gate = self.inner.gate.lock();
        // Where the thread is gone, the answer says so.
        let _ = self.inner.messages.send(Message::Keep(keep, reply));
        gate.hand();
        drop(gate);
        self.way = Way::Over;
        answer
    }
}

/// Returns whether an error says that the database takes no requests at present, and not that it
/// does not take this one.
fn is_of_all(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Away(_)
            | StoreError::Unknown(_)
            | StoreError::Refused(_)
            | StoreError::Busy
            | StoreError::Full
    )
}

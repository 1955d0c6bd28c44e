//! Mutes at work: which hold now, and the end of those that hold no more.

use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::contract;
use tokio_util::sync::CancellationToken;

use super::Intake;
use crate::clock::wall_ms;
use crate::config;
use crate::policy::Mutes;
use crate::store::{MuteRecord, Snapshot, StoreError};

/// The time between two looks. `mute add` and `mute end` run in another process, so nothing else
/// tells.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the mutes in the store, and ends them.
#[derive(Debug)]
pub struct Muter {
    intake: Arc<Intake>,
    reader: Snapshot,
}

impl Muter {
    /// Takes up the mutes of operators that hold now.
    ///
    /// # Errors
    /// What the disk said.
    pub fn new(intake: Arc<Intake>, reader: Snapshot) -> Result<Self, StoreError> {
        follow(&intake, &reader)?;
        Ok(Self { intake, reader })
    }

    /// Runs until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let Self { intake, mut reader } = self;
        let lease = intake.store.leads();
        loop {
            let of = Arc::clone(&intake);
            let looked = tokio::task::spawn_blocking(move || (follow(&of, &reader), reader));
            let Ok((followed, back)) = looked.await else {
                return;
            };
            reader = back;
            let ended = match followed {
                Ok(over) if lease.holds() => intake.end_mutes(over).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::warn!(%error, "mutes could not be followed; it tries again");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Takes up the mutes in the store, and returns those that are over and have work left.
fn follow(intake: &Intake, reader: &Snapshot) -> Result<Vec<i64>, StoreError> {
    let records = reader.mutes()?;
    let mutes = intake.take_up_mutes(&records);
    let now_ms = wall_ms();
    let is_over = |record: &&MuteRecord| {
        let is_to_come =
            record.name.is_none() && record.ended_ms.is_none() && now_ms < record.until_ms;
        !is_to_come && !mutes.is_active(record, now_ms)
    };
    Ok(records.iter().filter(is_over).map(|one| one.id).collect())
}

impl Intake {
    /// Has these mutes of the configuration hold from now on.
    pub(super) fn configure_mutes(&self, configured: Vec<config::Mute>) {
        let mut held = self.mutes.lock();
        let stored = std::mem::take(&mut held.stored);
        self.current_mutes.set(Mutes::new(&configured, &stored));
        (held.configured, held.stored) = (configured, stored);
    }

    fn take_up_mutes(&self, stored: &[MuteRecord]) -> Arc<Mutes> {
        let mut held = self.mutes.lock();
        if held.stored != stored {
            let now = Mutes::new(&held.configured, stored);
            self.current_mutes.set(now);
            held.stored = stored.to_vec();
        }
        self.current_mutes.get()
    }

    /// The mutes that may hold now.
    pub(super) fn mutes(&self) -> Arc<Mutes> {
        self.current_mutes.get()
    }

    async fn end_mutes(&self, over: Vec<i64>) -> Result<(), StoreError> {
        for mute in over {
            let mutes = self.mutes();
            let now_ms = wall_ms();
            let still = Arc::new(move |source: &str, alert: &contract::Alert| {
                mutes.of(source, alert, now_ms)
            });
            self.store.end_mute(mute, still).await?;
            tracing::info!(mute, "a mute has ended");
        }
        Ok(())
    }
}

/// The mutes as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Held {
    configured: Vec<config::Mute>,
    stored: Vec<MuteRecord>,
}

//! Doing what an operator asked for: reading a failed request with the plugin as it is now, sending
//! dead letters again, and dismissing both.

use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::contract::Answer;
use tokio_util::sync::CancellationToken;

use super::keep::proofs;
use super::{Entrance, Intake, prepare};
use crate::clock::wall_ms;
use crate::policy::Mutes;
use crate::store::{
    DueReader, History, JOBS, Job, JobKind, JobTarget, Part, Reading, RequestRecord, Reread,
    StoreError,
};

/// The pause between two looks at the list. `events replay` and `events dismiss` run in another
/// process, so nothing else tells.
const LOOK: Duration = Duration::from_secs(1);

/// Works off the list of jobs.
#[derive(Debug)]
pub struct Replayer {
    intake: Arc<Intake>,
    readers: Option<(DueReader, History)>,
}

impl Replayer {
    /// Reads with the plugins of `intake`.
    pub fn new(intake: Arc<Intake>, list: DueReader, history: History) -> Self {
        Self {
            intake,
            readers: Some((list, history)),
        }
    }

    /// Runs until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let lease = self.intake.store.leads();
        loop {
            let list = match lease.holds() {
                true => self.list().await,
                // Another gateway does it.
                false => Ok(Vec::new()),
            };
            match list {
                Ok(list) => {
                    let is_full = list.len() == JOBS;
                    if self.run_jobs(list, &stop).await && is_full {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the list of what operators asked for could not be read")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Does these until `stop` is cancelled. Returns whether any was done, so that there is room for
    /// others in the next list.
    async fn run_jobs(&mut self, jobs: Vec<Job>, stop: &CancellationToken) -> bool {
        let mut any = false;
        for job in jobs {
            if stop.is_cancelled() {
                return false;
            }
            match self.run_job(job).await {
                Ok(done) => any |= done,
                Err(error) => {
                    tracing::warn!(%error, "what an operator asked for could not be done; it is tried again");
                }
            }
        }
        any
    }

    async fn list(&mut self) -> Result<Vec<Job>, StoreError> {
        self.look(|list, _| list.jobs()).await
    }

    /// Does one, and returns whether it is off the list. What it needs of the request is read only now, because a list of them may be more
    /// than the memory holds.
    async fn run_job(&mut self, job: Job) -> Result<bool, StoreError> {
        if let JobKind::Dismiss { .. } = job.kind {
            self.intake.dismiss(job).await?;
            return Ok(true);
        }
        let request = match job.target {
            JobTarget::Request { seq, part } if part != Part::Dead => {
                self.look(move |_, history| request(history, seq)).await?
            }
            _ => None,
        };
        self.intake.replay(job, request).await
    }

    /// Reads the store where waiting for the disk holds up nobody.
    async fn look<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&DueReader, &History) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some((list, history)) = self.readers.take() else {
            return Err(StoreError::Closed);
        };
        let looked = tokio::task::spawn_blocking(move || (read(&list, &history), list, history));
        let (read, list, history) = looked.await.map_err(|_| StoreError::Closed)?;
        self.readers = Some((list, history));
        read
    }
}

impl Intake {
    async fn dismiss(&self, job: Job) -> Result<(), StoreError> {
        let dismissed = self.store.dismiss(job).await?;
        tracing::info!(
            requests = dismissed.requests,
            dead_letters = dismissed.dead,
            "dismissed by an operator"
        );
        Ok(())
    }

    async fn replay(&self, job: Job, request: Option<RequestRecord>) -> Result<bool, StoreError> {
        match request {
            Some(request) if request.state == "failed" => self.read_again(job, request).await,
            _ => {
                let alerts = self.store.requeue(job).await?;
                tracing::info!(alerts, "dead letters are sent again");
                Ok(true)
            }
        }
    }

    async fn read_again(&self, job: Job, request: RequestRecord) -> Result<bool, StoreError> {
        let source = request.source.as_str();
        let id = request.id.as_str();
        let entrances = self.entrances();
        let (reading, plugin) = match entrances.get(source) {
            Some(entrance) => match read(entrance, &request, &self.mutes()).await {
                Some(reading) => (reading, entrance.plugin),
                // It stays on the list, and has its turn at the next look.
                None => return Ok(false),
            },
            None => (
                Reading::Failed(format!("no source is called \"{source}\" any more").into()),
                request.plugin_id,
            ),
        };
        let (state, reason) = reading.state();
        tracing::info!(
            source,
            request = id,
            state,
            reason,
            "a kept request was read again"
        );
        let reread = Reread {
            job: job.id,
            seq: request.seq,
            source: request.source,
            at_ms: wall_ms(),
            plugin,
            reading,
        };
        self.store.finish_replay(reread).await?;
        Ok(true)
    }
}

/// A request that cannot be read is as good as none: it must not hold up the other replays.
fn request(history: &History, seq: i64) -> Result<Option<RequestRecord>, StoreError> {
    match history.request(seq) {
        Err(StoreError::Row(why)) => {
            tracing::error!(
                seq,
                why,
                "a request that is to be read again cannot be; see `alert-gateway store check`"
            );
            Ok(None)
        }
        read => read,
    }
}

/// What the plugin makes of it now; nothing where too much else waits for it. That it fails again
/// is told by the log alone: the alert that told it first is open still.
async fn read(entrance: &Entrance, request: &RequestRecord, mutes: &Mutes) -> Option<Reading> {
    let source = &entrance.source;
    let (answer, proven) = match source.read_proved(request).await {
        Ok((answer, proven)) => (Ok(answer), proven),
        Err(error) => (Err(error), None),
    };
    Some(match answer {
        Ok(Answer::Alerts(alerts)) => prepare::prepare(
            entrance,
            &request.id,
            &request.received_at,
            alerts.list,
            mutes,
        )
        .map_or_else(
            |reason| Reading::Failed(reason.into()),
            |prepared| {
                let (proved, among_all) = match proven {
                    Some(proven) => (proven.proved.proof, proven.among_all),
                    None => (None, None),
                };
                Reading::Alerts {
                    alerts: prepared.alerts,
                    proofs: proofs(&source.name, among_all, proved.or(alerts.proof)),
                }
            },
        ),
        Ok(Answer::Ignored { reason }) => Reading::Ignored(entrance.said(&reason)),
        Ok(Answer::Rejected(rejection)) => Reading::Rejected(entrance.said(&rejection.reason)),
        Ok(Answer::Reply { .. }) => {
            Reading::Ignored("the plugin has a reply to it, and no alert".to_owned())
        }
        Err(error) if error.is_busy() => return None,
        Err(error) => Reading::Failed(entrance.said(&error.to_string()).into()),
    })
}

//! The filter of the log, as commands on this machine see and change it.

use super::Gateway;
use super::control::Answer;
use crate::clock::wall_ms;
use crate::log_filter::{FilterError, LogFilter};
use crate::store::{Entry, Store};

impl Gateway {
    /// Answers with the filter.
    pub(super) fn log(&self) -> Answer {
        answer(self.log.text())
    }

    /// Changes the filter, or returns to the first one, and writes down who wanted it.
    pub(super) async fn change_log(&self, filter: Option<&str>, who: String) -> Answer {
        let changed = change(&self.log, self.reloading.store(), filter, who).await;
        answer(changed)
    }
}

async fn change(
    log: &LogFilter,
    store: &Store,
    filter: Option<&str>,
    who: String,
) -> Result<String, FilterError> {
    let before = log.text()?;
    let filter = log.change(filter)?;
    tracing::warn!(before, filter, who, "the filter of the log was changed");
    let entry = Entry {
        at_ms: wall_ms(),
        who,
        origin: "command line".to_owned(),
        action: "log-level".to_owned(),
        about: filter.clone(),
        why: None,
    };
    if let Err(error) = store.audit(entry).await {
        tracing::warn!(%error, "the change of the log's filter does not stand in the audit");
    }
    Ok(filter)
}

fn answer(outcome: Result<String, FilterError>) -> Answer {
    match outcome {
        Ok(filter) => Answer::Log { filter },
        Err(error) => Answer::Refused {
            problems: Vec::new(),
            why: error.to_string(),
        },
    }
}

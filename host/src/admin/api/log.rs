//! The filter of the log: shown, and changed until the next start.

use serde::{Deserialize, Serialize};

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::clock::wall_ms;
use crate::log_filter::FilterError;
use crate::store::Entry;

/// The body that changes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// The filter; none returns to the one that the gateway began with.
    #[serde(default)]
    filter: Option<String>,
}

/// The filter in force.
#[derive(Debug, Serialize)]
pub struct Filter {
    filter: String,
}

/// Returns the filter in force.
pub fn shown(desk: &Desk) -> Result<Filter, Problem> {
    let filter = desk.about.log.text()?;
    Ok(Filter { filter })
}

/// Changes the filter.
pub async fn change(desk: &Desk, asking: Asking, caller: &Caller) -> Result<Filter, Problem> {
    let before = desk.about.log.text()?;
    let filter = desk.about.log.change(asking.filter.as_deref())?;
    let who = &caller.who;
    tracing::warn!(before, filter, who, "the filter of the log was changed");
    let entry = Entry {
        at_ms: wall_ms(),
        who: who.clone(),
        origin: caller.origin.clone(),
        action: "log-level".to_owned(),
        about: filter.clone(),
        why: None,
    };
    desk.about.store.audit(entry).await?;
    Ok(Filter { filter })
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        let text = error.to_string();
        match error {
            FilterError::Wrong(_) => Self::wrong(format!("filter: {text}")),
            FilterError::Fixed => Self::conflict(text),
        }
    }
}

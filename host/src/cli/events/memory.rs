//! The memory of the gateway that runs on this machine: the last requests that it rejected or
//! ignored, which leave nothing in the store.

use std::path::Path;

use crate::gateway::control::{Answer, NoAnswer, Question, ask};
use crate::store::Traced;

/// Asks the gateway that runs with this data directory for them.
///
/// # Errors
/// None runs, or it cannot be reached.
pub async fn traced(data_dir: &Path) -> Result<Vec<Traced>, NoAnswer> {
    match ask(data_dir, &Question::Traced).await? {
        Answer::Traced { requests } => Ok(requests),
        _ => Err(NoAnswer::Stopped),
    }
}

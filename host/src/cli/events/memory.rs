//! The memory of the gateway on this machine. The last rejected or ignored requests leave nothing in
//! the store, and neither do the answers to the others and the state of a destination.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::control::{Answer, NoAnswer, Question, ask};
use crate::health::{DestinationState, HeldUp};
use crate::store::{RequestRecord, Traced};

/// A destination, as the gateway that runs tells it.
#[derive(Deserialize)]
struct Destination {
    name: String,
    #[serde(flatten)]
    health: HeldUp,
}

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

/// Tells the requests how they were answered. Where no gateway answers, it is not known.
pub async fn add_answers(data_dir: &Path, requests: &mut [RequestRecord]) {
    let ids = requests.iter().map(|request| request.id.clone()).collect();
    if let Ok(Answer::Answered { answers }) =
        ask(data_dir, &Question::Answered { requests: ids }).await
    {
        for (request, answered) in requests.iter_mut().zip(answers) {
            request.answered = answered;
        }
    }
}

/// Tells the deliveries the state of a destination that takes no alert now. Where no gateway
/// answers, none is known.
pub async fn add_held_up(data_dir: &Path, requests: &mut [RequestRecord]) {
    let waiting = requests.iter_mut().flat_map(RequestRecord::waiting);
    let mut waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return;
    }
    let Ok(Answer::Looked { mut state }) = ask(data_dir, &Question::Look { events: 1 }).await
    else {
        return;
    };
    let Value::Array(all) = state["destinations"].take() else {
        return;
    };
    for destination in all {
        // One that was never tried has no state.
        let Ok(Destination { name, health }) = serde_json::from_value(destination) else {
            continue;
        };
        if health.state != DestinationState::Healthy.as_str() {
            for delivery in waiting.iter_mut().filter(|one| one.destination == name) {
                delivery.held_up = Some(health.clone());
            }
        }
    }
}

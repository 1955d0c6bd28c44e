//! The memory of the gateway on this machine. The last rejected or ignored requests leave nothing in
//! the store, and neither do the answers to the others and the state of a destination.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::control::{Answer, NoAnswer, Question, ask};
use crate::health::{Breaker, HeldUp};
use crate::store::{FallsBack, RequestRecord, Traced};

/// A destination, as the gateway that runs tells it.
#[derive(Deserialize)]
struct Destination {
    name: String,
    fallback: Option<String>,
    fallback_after_s: Option<f64>,
    breaker: Option<Breaker>,
    /// None where it was never tried.
    #[serde(flatten)]
    health: Option<HeldUp>,
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

/// Tells pending deliveries their fallback, and the state of a destination with an open circuit
/// breaker. Where no gateway answers, none is known.
pub async fn add_outlook(data_dir: &Path, requests: &mut [RequestRecord]) {
    if requests
        .iter_mut()
        .all(|one| one.waiting().next().is_none())
    {
        return;
    }
    let Ok(Answer::Looked { mut state }) = ask(data_dir, &Question::Look { events: 1 }).await
    else {
        return;
    };
    let Value::Array(all) = state["destinations"].take() else {
        return;
    };
    let all = all.into_iter().map(serde_json::from_value);
    let all: Vec<Destination> = all.flatten().collect();
    let named = |name: &str| all.iter().find(|one| one.name == name);
    for request in requests {
        for delivery in request.waiting() {
            let found = named(&delivery.destination);
            let found = found.filter(|one| one.breaker.as_ref().is_some_and(Breaker::is_open));
            delivery.held_up = found.and_then(|one| one.health.clone());
        }
        for alert in &mut request.alerts {
            alert.add_fallbacks(|name, since| {
                let found = named(name)?;
                FallsBack::of(found.fallback.as_deref()?, found.fallback_after_s?, since)
            });
        }
    }
}

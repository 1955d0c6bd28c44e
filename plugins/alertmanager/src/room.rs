//! A storm of alerts in one notification, kept within the host's limit on an answer.
//!
//! An answer says most things twice (labels and message beside the whole member), so a notification
//! of some hundreds of alerts can exceed the limit. The host would refuse the answer, and no page
//! would go out in the very moment that matters. So an answer that is too large loses its least
//! valuable parts first. Nothing is lost for good: the host keeps the request.

use plugin_sdk::contract::Alert;

/// The plugin asks the host to take 8 MiB; what is left is for the answer's own frame.
const MAX_ANSWER_BYTES: usize = 8_000 * 1024;

/// So few alerts from so small a body never come near it.
const FEW: (usize, usize) = (16, 64 * 1024);

const LEFT_OUT: &str =
    "The notification is too large to show all of this alert: see the request it came in with.";

/// Takes from the largest alerts, until all fit.
pub fn fit(alerts: &mut [Alert], body_bytes: usize) {
    if alerts.len() <= FEW.0 && body_bytes <= FEW.1 {
        return;
    }
    let share = MAX_ANSWER_BYTES / alerts.len().max(1);
    for shed in [without_details, without_words] {
        if alerts.iter().map(size).sum::<usize>() <= MAX_ANSWER_BYTES {
            return;
        }
        alerts
            .iter_mut()
            .filter(|alert| size(alert) > share)
            .for_each(shed);
    }
}

fn without_details(alert: &mut Alert) {
    alert.details = None;
    alert.message = Some(
        alert
            .message
            .take()
            .map_or_else(|| LEFT_OUT.to_owned(), |said| said + "\n" + LEFT_OUT),
    );
}

fn without_words(alert: &mut Alert) {
    alert.message = Some(LEFT_OUT.to_owned());
    alert.link = None;
    alert.labels.clear();
}

/// The bytes of an alert as JSON.
fn size(alert: &Alert) -> usize {
    // Nothing in it can fail to become JSON.
    serde_json::to_vec(alert).unwrap_or_default().len() + 1
}

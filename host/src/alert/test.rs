//! An alert of a test. Its marks tell a person at once: nothing is wrong. It has an id and a key of
//! its own, so it neither repeats nor resolves anything else.

use plugin_sdk::contract::{Alert, Status};

/// The label of every alert of a test.
pub const LABEL: &str = "test";

/// Marks an alert, before the operator's rules see it. `way` names what is tested.
pub fn mark(alert: &mut Alert, way: &str) {
    alert.status = Status::Trigger;
    alert.title = format!("[test] {}", alert.title);
    let text = format!("A test of {way} by an operator: nothing is wrong, and it resolves itself.");
    alert.message = Some(match alert.message.take() {
        Some(message) => format!("{text}\n\n{message}"),
        None => text,
    });
    alert.labels.insert(LABEL.to_owned(), "true".to_owned());
}

/// Gives a marked alert an id and a key of its own: those of alert number `number` of test `id`. A
/// rule may have chosen a key that others have, so it comes after the rules.
pub fn identify(alert: &mut Alert, id: &str, number: usize) {
    alert.event_id = format!("test/{id}/{number}");
    alert.key = Some(alert.event_id.clone());
    alert.order = None;
}

/// Returns whether an alert was marked by test `id`.
pub fn is_marked(alert: &Alert, id: &str) -> bool {
    let number = alert.event_id.strip_prefix("test/");
    number.is_some_and(|number| number.starts_with(id)) && alert.labels.contains_key(LABEL)
}

/// Returns the alert that resolves a marked one.
pub fn resolve(alert: &Alert) -> Alert {
    Alert {
        event_id: format!("{}/over", alert.event_id),
        status: Status::Resolve,
        message: Some("The test is over.".to_owned()),
        details: None,
        ..alert.clone()
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract::Priority;

    use super::*;

    #[test]
    fn alert_of_a_test_shares_nothing_with_a_real_one() {
        let mut alert = Alert::new("NO1", Priority::High, "Disk full");
        alert.key = Some("disk".to_owned());
        alert.order = Some(7);
        alert.status = Status::Resolve;
        mark(&mut alert, "source a");
        identify(&mut alert, "r1", 0);
        assert_eq!((&*alert.event_id, alert.key()), ("test/r1/0", "test/r1/0"));
        assert_eq!((alert.status, alert.order), (Status::Trigger, None));
        assert_eq!(alert.labels[LABEL], "true");
        assert_eq!(alert.title, "[test] Disk full");
        assert!(is_marked(&alert, "r1") && !is_marked(&alert, "r2"));
        let over = resolve(&alert);
        assert_eq!((over.key(), over.status), (alert.key(), Status::Resolve));
        assert_ne!(over.event_id, alert.event_id);
    }
}

//! An alert as a fallback gets it: marked, so that a person sees why it comes by this way.

use plugin_sdk::contract::{Alert, Status};

/// The label that names the destination which a fallback stands in for.
pub const LABEL: &str = "fallback_for";

/// The reason why an alert went to a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its destination had not taken it in time.
    Late,
    /// Its destination rejected it for good.
    Rejected,
    /// Its destination has taken it after all, which the fallback is told.
    Taken,
}

impl Reason {
    /// Returns the word that the store has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Rejected => "rejected",
            Self::Taken => "taken",
        }
    }

    /// Returns the reason of a word in the store; whatever else somebody wrote there was late.
    pub fn of(word: &str) -> Self {
        [Self::Rejected, Self::Taken]
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .unwrap_or(Self::Late)
    }
}

/// Marks an alert that goes to a fallback of `destination`. Its key stays, so that what was opened
/// there is updated and closed.
pub fn mark(alert: &mut Alert, reason: Reason, destination: &str) {
    let (title, text) = match reason {
        Reason::Late => (
            format!("[fallback for {destination}] {}", alert.title),
            format!("{destination} has not taken this alert yet, so it comes by this way."),
        ),
        Reason::Rejected => (
            format!("[fallback for {destination}] {}", alert.title),
            format!("{destination} rejected this alert, so it comes by this way."),
        ),
        Reason::Taken => {
            alert.status = Status::Resolve;
            // A receiver that knows events by their id must not take it for the first one.
            alert.key = Some(alert.key().to_owned());
            alert.event_id += "/taken";
            (
                format!("[taken by {destination}] {}", alert.title),
                format!("{destination} has taken this alert after all; go on there."),
            )
        }
    };
    alert.title = title;
    alert.message = Some(match alert.message.take() {
        Some(message) => format!("{text}\n\n{message}"),
        None => text,
    });
    alert
        .labels
        .insert(LABEL.to_owned(), destination.to_owned());
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract::Priority;

    use super::*;

    #[test]
    fn marked_alert_says_why_and_keeps_its_key() {
        for reason in [Reason::Late, Reason::Rejected, Reason::Taken] {
            assert_eq!(Reason::of(reason.as_str()), reason);
            let mut alert = Alert::new("e", Priority::High, "Disk full");
            alert.message = Some("97 %".to_owned());
            let key = alert.key().to_owned();
            mark(&mut alert, reason, "itoc360");
            let resolves = alert.status == Status::Resolve;
            assert_eq!(resolves, reason == Reason::Taken);
            assert_eq!(alert.key(), key, "{reason:?}");
            assert_eq!(alert.labels[LABEL], "itoc360");
            assert!(alert.title.contains("itoc360") && alert.title.ends_with("Disk full"));
            let message = alert.message.unwrap();
            assert!(message.starts_with("itoc360 ") && message.ends_with("\n97 %"));
        }
    }
}

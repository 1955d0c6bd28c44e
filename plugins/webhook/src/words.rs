//! Statuses from the words that senders use.

use plugin_sdk::contract::Status;

/// The status that a word means, whatever its case. `None` for a word that nobody has agreed upon.
pub fn status(word: &str) -> Option<Status> {
    const TRIGGER: [&str; 20] = [
        "trigger",
        "triggered",
        "firing",
        "alerting",
        "alert",
        "alarm",
        "active",
        "open",
        "opened",
        "new",
        "created",
        "problem",
        "down",
        "failed",
        "failure",
        "failing",
        "error",
        "critical",
        "warning",
        "unhealthy",
    ];
    const RESOLVE: [&str; 18] = [
        "resolve",
        "resolved",
        "ok",
        "okay",
        "closed",
        "close",
        "up",
        "recovered",
        "recovery",
        "success",
        "successful",
        "succeeded",
        "passed",
        "healthy",
        "normal",
        "fixed",
        "cleared",
        "inactive",
    ];
    let is_in = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word.trim()));
    if is_in(&RESOLVE) {
        return Some(Status::Resolve);
    }
    is_in(&TRIGGER).then_some(Status::Trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_own_words_mean_themselves() {
        for word in [Status::Trigger, Status::Resolve] {
            assert_eq!(status(word.as_str()), Some(word));
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_are_none() {
        assert_eq!(status(" OK "), Some(Status::Resolve));
        assert_eq!(status("Firing"), Some(Status::Trigger));
        assert_eq!(status("pending"), None);
        assert_eq!(status(""), None);
    }
}

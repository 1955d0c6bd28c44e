//! Answers in one call.

use crate::contract::{Alert, Answer, Rejection, RejectionKind};

impl Answer {
    /// One alert.
    pub fn alert(alert: Alert) -> Self {
        Self::Alerts(vec![alert])
    }

    /// Nothing to tell anybody, and why.
    pub fn ignored(reason: impl Into<String>) -> Self {
        Self::Ignored { reason: reason.into() }
    }

    /// Not taken: `reason` is what the sender reads, `help` what the operator can do.
    pub fn rejected(kind: RejectionKind, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Rejected(Rejection { kind, reason: reason.into(), help: help.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Priority;

    #[test]
    fn each_answer_is_one_key_on_the_wire() {
        let wire = |answer: &Answer| serde_json::to_string(answer).unwrap();
        assert_eq!(
            wire(&Answer::alert(Alert::new("1", Priority::Low, "Hello"))),
            r#"{"alerts":[{"event_id":"1","status":"trigger","priority":"low","title":"Hello"}]}"#
        );
        assert_eq!(wire(&Answer::ignored("a test")), r#"{"ignored":{"reason":"a test"}}"#);
        assert_eq!(
            wire(&Answer::rejected(RejectionKind::Malformed, "not JSON", "look")),
            r#"{"rejected":{"kind":"malformed","reason":"not JSON","help":"look"}}"#
        );
    }
}

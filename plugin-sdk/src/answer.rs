//! Answers in one call.

use crate::contract::{Alert, Answer, Body, Rejection, RejectionKind};

impl Answer {
    /// One alert.
    pub fn alert(alert: Alert) -> Self {
        Self::Alerts(vec![alert])
    }

    /// Nothing to tell anybody, and why.
    pub fn ignored(reason: impl Into<String>) -> Self {
        Self::Ignored { reason: reason.into() }
    }

    /// 200 with this text, for a sender that asks whether the address is the operator's before it sends anything: it
    /// wants its challenge back, word for word.
    pub fn challenge(text: impl Into<String>) -> Self {
        let media_type = ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned());
        Self::Reply { status: 200, headers: vec![media_type], body: Body::Text(text.into()) }
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
        assert_eq!(
            wire(&Answer::challenge("abc")),
            r#"{"reply":{"status":200,"headers":[["content-type","text/plain; charset=utf-8"]],"body":{"text":"abc"}}}"#
        );
    }
}

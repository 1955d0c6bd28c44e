//! Answers in one call.

use crate::contract::{
    Alert, Answer, Body, MAX_ALERTS, MAX_EVENT_ID_BYTES, MAX_KEY_BYTES, ProofIdentity, Rejection,
    RejectionKind,
};

impl Answer {
    /// One alert.
    pub fn alert(alert: Alert) -> Self {
        Self::Alerts(vec![alert].into())
    }

    /// Several alerts, oldest first.
    pub fn alerts(alerts: Vec<Alert>) -> Self {
        Self::Alerts(alerts.into())
    }

    /// The answer with the proof that the plugin has checked by itself, where it has alerts.
    #[must_use]
    pub fn proved_by(mut self, proof: Option<ProofIdentity>) -> Self {
        if let Self::Alerts(alerts) = &mut self {
            alerts.proof = proof;
        }
        self
    }

    /// Nothing to tell anybody, and why.
    pub fn ignored(reason: impl Into<String>) -> Self {
        Self::Ignored {
            reason: reason.into(),
        }
    }

    /// 200 with this text, for a sender that asks whether the address is the operator's before it
    /// sends anything: it wants its challenge back, word for word.
    pub fn challenge(text: impl Into<String>) -> Self {
        let media_type = (
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
        );
        Self::Reply {
            status: 200,
            headers: vec![media_type],
            body: Body::Text(text.into()),
        }
    }

    /// Returns the part of the answer that the host cannot use, though the contract has it, or
    /// `None` where all is well. With a flaw the host keeps the request as a failed one, and pages
    /// for none of its alerts.
    pub fn flaw(&self) -> Option<String> {
        let Self::Alerts(alerts) = self else {
            return None;
        };
        if alerts.len() > MAX_ALERTS {
            return Some(format!(
                "{} alerts, and the host takes {MAX_ALERTS} of one request",
                alerts.len()
            ));
        }
        alerts.iter().enumerate().find_map(|(number, alert)| {
            let wrong = |field: &str, found: usize, max: usize| {
                let flaw = format!(
                    "`alerts[{number}].{field}` has {found} bytes, and the host takes 1 to {max}"
                );
                (!(1..=max).contains(&found)).then_some(flaw)
            };
            let key = alert
                .key
                .as_ref()
                .and_then(|key| wrong("key", key.len(), MAX_KEY_BYTES));
            wrong("event_id", alert.event_id.len(), MAX_EVENT_ID_BYTES).or(key)
        })
    }

    /// Rejects the request: `reason` is for the sender, `help` advises the operator.
    pub fn rejected(
        kind: RejectionKind,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::Rejected(Rejection::new(kind, reason, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Note, NoteKind, Priority};

    #[test]
    fn what_the_host_cannot_use_is_told() {
        let of = |id: &str, key: Option<&str>| {
            Answer::alert(Alert {
                key: key.map(str::to_owned),
                ..Alert::new(id, Priority::Low, "Hello")
            })
            .flaw()
        };
        assert_eq!(of("1", None), None);
        assert_eq!(of(&"x".repeat(256), Some(&"x".repeat(1024))), None);
        assert!(
            of("", None)
                .unwrap()
                .contains("`alerts[0].event_id` has 0 bytes")
        );
        assert!(
            of(&"x".repeat(257), None)
                .unwrap()
                .contains("takes 1 to 256")
        );
        assert!(
            of("1", Some(""))
                .unwrap()
                .contains("`alerts[0].key` has 0 bytes")
        );
        let many = vec![Alert::new("1", Priority::Low, "Hello"); 1_001];
        assert!(Answer::alerts(many).flaw().unwrap().contains("1001 alerts"));
    }

    #[test]
    fn each_answer_is_one_key_on_the_wire() {
        let wire = |answer: &Answer| serde_json::to_string(answer).unwrap();
        assert_eq!(
            wire(&Answer::alert(Alert::new("1", Priority::Low, "Hello"))),
            r#"{"alerts":[{"event_id":"1","status":"trigger","priority":"low","title":"Hello"}]}"#
        );
        let proof = ProofIdentity {
            id: "sha256:1".to_owned(),
            expires_at: None,
        };
        let proved = Answer::alerts(vec![]).proved_by(Some(proof.clone()));
        assert_eq!(wire(&proved), r#"{"alerts":[],"proof":{"id":"sha256:1"}}"#);
        let Answer::Alerts(read) = serde_json::from_str(&wire(&proved)).unwrap() else {
            panic!()
        };
        assert_eq!(read.proof, Some(proof));
        assert_eq!(
            wire(&Answer::ignored("a test")),
            r#"{"ignored":{"reason":"a test"}}"#
        );
        assert_eq!(
            wire(&Answer::rejected(
                RejectionKind::Malformed,
                "not JSON",
                "look"
            )),
            r#"{"rejected":{"kind":"malformed","reason":"not JSON","help":"look"}}"#
        );
        assert_eq!(
            wire(&Answer::challenge("abc")),
            r#"{"reply":{"status":200,"headers":[["content-type","text/plain; charset=utf-8"]],"body":{"text":"abc"}}}"#
        );
    }

    #[test]
    fn answer_that_is_none_or_two_is_refused() {
        for json in [
            "{}",
            r#"{"proof":{"id":"1"}}"#,
            r#"{"alerts":[],"ignored":{"reason":"x"}}"#,
            r#"{"alert":[]}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Answer>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn kind_of_note_that_is_not_known_is_another() {
        let note = |kind: &str| {
            serde_json::from_str::<Note>(&format!("{{\"kind\":\"{kind}\"}}"))
                .unwrap()
                .kind
        };
        assert_eq!(note("of a newer contract"), NoteKind::Other);
        assert_eq!(note("no_time"), NoteKind::NoTime);
    }
}

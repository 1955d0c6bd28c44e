//! Reads a receipt out of an accepting answer.
//!
//! ITOC360 echoes the whole payload in the middle of its answer, so the answer to a large alert may
//! be cut off at the client's limit. Therefore the answer is read as far as it goes, and what came
//! before the cut counts. An answer of another shape gives an empty receipt: the status has already
//! said that the event was taken.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::alert::Receipt;
use crate::mask::Mask;

/// The most characters of each field that are kept. ITOC360's own are at most 64 long.
const FIELD_MAX_CHARS: usize = 128;

/// The receipt in `answer`, as far as there is one.
pub(super) fn read(answer: &[u8], mask: &Mask) -> Receipt {
    let mut receipt = Receipt::default();
    // An error ends the reading, not the receipt.
    let _ = Fields {
        receipt: &mut receipt,
        mask,
    }
    .deserialize(&mut serde_json::Deserializer::from_slice(answer));
    receipt
}

struct Fields<'r> {
    receipt: &'r mut Receipt,
    mask: &'r Mask,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let field = match &*name {
                "id" => &mut self.receipt.id,
                "fingerprint" => &mut self.receipt.fingerprint,
                "type" => &mut self.receipt.kind,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = self
                .mask
                .excerpt(map.next_value::<String>()?.as_bytes(), FIELD_MAX_CHARS);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(answer: &str) -> Receipt {
        read(answer.as_bytes(), &Mask::new(["s3cret"]))
    }

    fn expected() -> Receipt {
        Receipt {
            id: "e-1".into(),
            fingerprint: "f7d5".into(),
            kind: "ALERT".into(),
        }
    }

    const ANSWER: &str = r#"{"id":"e-1","tenant_id":"t","provider_id":57,"source_id":"s","type":"ALERT",
        "fingerprint":"f7d5","payload":{"id":"not this"},"created_at":"2026-09-16T09:30:09.64973+00:00"}"#;

    #[test]
    fn documented_answer_gives_its_receipt() {
        assert_eq!(receipt(ANSWER), expected());
    }

    #[test]
    fn answer_cut_off_in_its_payload_still_gives_the_receipt() {
        let cut = ANSWER.find("not this").unwrap();
        assert_eq!(receipt(&ANSWER[..cut]), expected());
    }

    #[test]
    fn any_other_answer_gives_an_empty_receipt() {
        for other in [
            "",
            "OK",
            "<html>",
            "[]",
            "null",
            r#"{"ok":true}"#,
            r#"{"id":7}"#,
        ] {
            assert_eq!(receipt(other), Receipt::default(), "{other}");
        }
    }

    #[test]
    fn a_field_is_bounded_and_holds_no_token() {
        let answer = format!(r#"{{"id":"s3cret","fingerprint":"{}"}}"#, "f".repeat(9000));
        let receipt = receipt(&answer);
        assert_eq!(receipt.id, "***");
        assert_eq!(receipt.fingerprint.chars().count(), FIELD_MAX_CHARS);
    }
}

//! A setting that is a secret: one text, or several while one is being replaced.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// One secret or a list of them, as a setting. It is never shown.
///
/// The schema of such a setting is `{ "anyOf": [{ "type": "string", "minLength": 1 },
/// { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 }] }`, and its
/// name stands in [`Description::secrets`](crate::contract::Description::secrets).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Iterates over them, for [`Scheme::admit`](crate::contract::Scheme::admit).
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} secrets]", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Secrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret or a list of secrets")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
                Ok(Secrets(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
                let mut secrets = Vec::new();
                while let Some(secret) = list.next_element()? {
                    secrets.push(secret);
                }
                Ok(Secrets(secrets))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_and_several_are_read_and_not_shown() {
        for (json, expected) in [
            (r#""canary""#, &["canary"][..]),
            (r#"["canary", "next"]"#, &["canary", "next"]),
            ("[]", &[]),
        ] {
            let secrets: Secrets = serde_json::from_str(json).unwrap();
            assert_eq!(secrets.iter().collect::<Vec<_>>(), expected);
            assert_eq!(secrets.is_empty(), expected.is_empty());
            assert!(!format!("{secrets:?}").contains("canary"));
        }
        assert!(serde_json::from_str::<Secrets>("1").is_err());
        assert!(serde_json::from_str::<Secrets>("[1]").is_err());
    }
}

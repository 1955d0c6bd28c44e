//! Whose auth token signs: the setting `auth_token`, which every plugin for Twilio has.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

/// Whose auth token signs: one or several for all that is sent, or those of each account.
pub enum AuthToken {
    /// For whatever account sends. Several while one is being rotated: any may have signed.
    Any(Tokens),
    /// By AccountSid. A subaccount signs with a token of its own.
    PerAccount(BTreeMap<String, Tokens>),
}

/// The tokens of which any may have signed.
pub struct Tokens(Vec<String>);

impl Tokens {
    /// The tokens to try.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

// By hand, because serde's untagged enums decode everything twice.

impl<'de> Deserialize<'de> for AuthToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneSeveralOrTable;

        impl<'de> Visitor<'de> for OneSeveralOrTable {
            type Value = AuthToken;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an auth token, a list of them, or a table of either by AccountSid")
            }

            fn visit_str<E: de::Error>(self, token: &str) -> Result<AuthToken, E> {
                OneOrSeveral.visit_str(token).map(AuthToken::Any)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, tokens: A) -> Result<AuthToken, A::Error> {
                OneOrSeveral.visit_seq(tokens).map(AuthToken::Any)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<AuthToken, A::Error> {
                let mut accounts = BTreeMap::new();
                while let Some((account, tokens)) = table.next_entry()? {
                    accounts.insert(account, tokens);
                }
                Ok(AuthToken::PerAccount(accounts))
            }
        }

        deserializer.deserialize_any(OneSeveralOrTable)
    }
}

struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Tokens;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an auth token or a list of them")
    }

    fn visit_str<E: de::Error>(self, token: &str) -> Result<Tokens, E> {
        Ok(Tokens(vec![token.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = list.next_element()? {
            tokens.push(token);
        }
        Ok(Tokens(tokens))
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// The schema of the setting. What it bounds, bounds the work that a forged signature can cause.
pub fn auth_token_schema() -> Value {
    let token = json!({ "type": "string", "minLength": 1 });
    let tokens = json!([token, { "type": "array", "items": token, "minItems": 1, "maxItems": 4 }]);
    json!({
        "description": "The auth token of the Twilio account (Console → Account → API keys & tokens): one; a list of \
            which any may have signed, while it is being rotated; or a table from AccountSid to either, because a \
            subaccount signs with its own.",
        "anyOf": [
            tokens[0],
            tokens[1],
            {
                "type": "object",
                "description": "Auth tokens by AccountSid.",
                "minProperties": 1,
                "maxProperties": 1000,
                "propertyNames": { "pattern": "^AC[0-9a-fA-F]{32}$" },
                "additionalProperties": { "anyOf": tokens }
            }
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens_for(json: &str, account: &str) -> Option<Vec<String>> {
        match serde_json::from_str(json).unwrap() {
            AuthToken::Any(tokens) => Some(tokens.as_slice().to_vec()),
            AuthToken::PerAccount(accounts) => accounts.get(account).map(|tokens| tokens.as_slice().to_vec()),
        }
    }

    #[test]
    fn a_token_is_one_several_or_those_of_an_account() {
        assert_eq!(tokens_for(r#""a""#, "AC1").unwrap(), ["a"]);
        assert_eq!(tokens_for(r#"["a", "b"]"#, "AC1").unwrap(), ["a", "b"]);
        let table = r#"{"AC1": "a", "AC2": ["b", "c"]}"#;
        assert_eq!(tokens_for(table, "AC1").unwrap(), ["a"]);
        assert_eq!(tokens_for(table, "AC2").unwrap(), ["b", "c"]);
        assert_eq!(tokens_for(table, "AC3"), None);
    }
}

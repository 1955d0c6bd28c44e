//! Whose auth token signs: the setting `auth_token`, which every plugin for Twilio has.

use plugin_sdk::json::Object;
use serde_json::value::RawValue;

/// Whose auth token signs: one or several for all that is sent, or those of each account, because a subaccount signs with
/// a token of its own. Of several, as there are while one is being rotated, any may have signed.
///
/// It is read no further than a request needs: an operator may have a thousand accounts.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub struct AuthToken(Box<RawValue>);

impl AuthToken {
    /// Whether the tokens stand in a table by AccountSid.
    pub fn is_per_account(&self) -> bool {
        self.0.get().starts_with('{')
    }

    /// The tokens of an account, where they stand in a table; `None` where it has none.
    pub fn of_account(&self, account: &str) -> Option<Vec<String>> {
        Object::read(self.0.get()).get(account).map(one_or_several)
    }

    /// All tokens, whoever's they are.
    pub fn all(&self) -> Vec<String> {
        if self.is_per_account() {
            Object::read(self.0.get()).members().flat_map(|(_, tokens)| one_or_several(tokens)).collect()
        } else {
            one_or_several(self.0.get())
        }
    }
}

/// The schema lets nothing else through.
fn one_or_several(json: &str) -> Vec<String> {
    if json.starts_with('[') {
        serde_json::from_str(json).unwrap_or_default()
    } else {
        serde_json::from_str(json).into_iter().collect()
    }
}

/// A plugin's schema, with that of this setting in place of `{auth_token}`. What it bounds, bounds the work that a forged
/// signature can cause. `more` ends the setting's description.
pub fn settings_schema(schema: &str, more: &str) -> String {
    let auth_token = include_str!("auth_token.schema.json").replace("{more}", more);
    schema.replace("{auth_token}", auth_token.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_put_into_a_plugins_own() {
        let schema = settings_schema(r#"{"properties": {"auth_token": {auth_token}}}"#, " More.");
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let description = schema["properties"]["auth_token"]["description"].as_str().unwrap();
        assert!(description.ends_with("signs with its own. More."), "{description}");
    }

    #[test]
    fn a_token_is_one_several_or_those_of_an_account() {
        let read = |json| serde_json::from_str::<AuthToken>(json).unwrap();
        for (json, all) in [(r#""a""#, &["a"][..]), (r#"[ "a", "b\u0021" ]"#, &["a", "b!"])] {
            assert!(!read(json).is_per_account());
            assert_eq!(read(json).all(), all);
        }
        let table = read(r#"{"AC1": "a", "AC2": ["b", "c"]}"#);
        assert!(table.is_per_account());
        assert_eq!(table.of_account("AC1").unwrap(), ["a"]);
        assert_eq!(table.of_account("AC2").unwrap(), ["b", "c"]);
        assert_eq!(table.of_account("AC3"), None);
        assert_eq!(table.all(), ["a", "b", "c"]);
    }
}

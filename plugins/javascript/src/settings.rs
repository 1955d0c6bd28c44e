//! The plugin's description, and the source's settings.

use plugin_sdk::contract::{Demand, Description, Limits, Scheme, Way};
use serde::Deserialize;
use serde_json::Value;

/// The setting that holds the secrets.
const SECRET: &str = "secret";

/// Milliseconds of a call. A script runs some fifty times slower than compiled code.
pub(crate) const TIME_MS: u64 = 500;

/// The `settings` table of a source. The script reads its own `options` from the request.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// The script, with a function `read(request, options)`.
    pub script: String,
    /// The proof of the sender, as in the plugin `webhook`.
    #[serde(default)]
    pub sender: Option<Value>,
}

impl Settings {
    /// Returns the proof that the host is to demand before it calls the plugin.
    pub fn demands(&self) -> Vec<Demand> {
        let scheme = match &self.sender {
            Some(Value::String(name)) => Scheme::named(name),
            Some(Value::Object(table)) => {
                Scheme::of_fields(|name| Some(table.get(name)?.as_str()?.to_owned()))
            }
            _ => None,
        };
        scheme
            .map(|scheme| Demand::any([Way::new(scheme, SECRET)]))
            .into_iter()
            .collect()
    }
}

/// Returns the plugin's description of itself.
pub fn describe() -> Description {
    Description {
        secrets: vec![SECRET.to_owned()],
        files: vec!["script".to_owned()],
        setup: include_str!("setup.md").to_owned(),
        limits: Limits {
            time_ms: Some(TIME_MS),
            ..Limits::default()
        },
        // Some senders ask by it for an answer before they send anything.
        methods: vec!["GET".to_owned()],
        ..Description::new(
            "javascript",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_DESCRIPTION"),
            include_str!("settings.schema.json"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(settings: &str) -> Vec<Demand> {
        serde_json::from_str::<Settings>(settings)
            .unwrap()
            .demands()
    }

    #[test]
    fn sender_is_demanded_as_in_the_plugin_webhook() {
        assert!(demands(r#"{"script": "x"}"#).is_empty());
        let github = demands(r#"{"script": "x", "sender": "github", "secret": "s"}"#);
        assert_eq!(github[0].any[0], Way::new(Scheme::github(), "secret"));
        let header = demands(r#"{"script": "x", "sender": {"header": "X-Token"}}"#);
        let scheme = Scheme::Header {
            header: "x-token".into(),
        };
        assert_eq!(header[0].any[0].scheme, scheme);
    }

    #[test]
    fn description_has_no_flaw() {
        let json = serde_json::to_string(&describe()).unwrap();
        let description: Description<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(description.flaws(), Vec::<String>::new());
        assert!(description.settings["properties"]["script"].is_object());
    }
}

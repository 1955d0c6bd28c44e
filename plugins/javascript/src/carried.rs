//! A script that is carried as a plugin of its own: what its folder says of it, which the host
//! configures the engine with.

use plugin_sdk::contract::{Demand, Description, Fetch, Limits, Purpose};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::TIME_MS;

/// What `description.json` of the plugin's folder says: the part of a description that stands in no
/// other of its files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// As in [`Description::summary`].
    pub summary: String,
    /// As in [`Description::license`].
    #[serde(default)]
    pub license: String,
    /// As in [`Description::homepage`].
    #[serde(default)]
    pub homepage: String,
    /// As in [`Description::secrets`]. The script is given all other settings.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// As in [`Description::authenticates`].
    #[serde(default)]
    pub authenticates: bool,
    /// As in [`Description::url_suffix`].
    #[serde(default)]
    pub url_suffix: String,
    /// As in [`Description::limits`].
    #[serde(default)]
    pub limits: Limits,
    /// As in [`Description::methods`].
    #[serde(default)]
    pub methods: Vec<String>,
    /// As in [`Description::labels`].
    #[serde(default)]
    pub labels: Vec<String>,
    /// As in [`Description::proof`].
    #[serde(default)]
    pub proof: Vec<Demand>,
    /// As in [`Description::fetch`].
    #[serde(default)]
    pub fetch: Vec<Fetch>,
}

impl Carried {
    /// Returns the plugin's description of itself.
    pub fn describe(self, name: &str, settings: &str, setup: &str) -> Description {
        let Self {
            summary,
            license,
            homepage,
            secrets,
            authenticates,
            url_suffix,
            limits,
            methods,
            labels,
            proof,
            fetch,
        } = self;
        Description {
            license,
            homepage,
            secrets,
            authenticates,
            url_suffix,
            limits: Limits {
                time_ms: limits.time_ms.or(Some(TIME_MS)),
                ..limits
            },
            methods,
            labels,
            proof,
            fetch,
            setup: setup.to_owned(),
            ..Description::new(name, env!("CARGO_PKG_VERSION"), &summary, settings)
        }
    }

    /// Returns the demands that these settings hold a secret for, or whose key is fetched.
    pub fn demands(&self, settings: &Map<String, Value>) -> Vec<Demand> {
        let is_fetched = |secret: &str| {
            self.fetch.iter().any(|fetch| {
                fetch.purpose == Purpose::Key
                    && fetch.secret == secret
                    && settings.get(&fetch.setting) == Some(&Value::Bool(true))
            })
        };
        let is_set = |demand: &&Demand| {
            demand
                .any
                .iter()
                .any(|way| settings.contains_key(&way.secret) || is_fetched(&way.secret))
        };
        self.proof.iter().filter(is_set).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried() -> Carried {
        let text = r#"{
            "summary": "A bell.",
            "secrets": ["secret"],
            "labels": ["door"],
            "proof": [{"any": [{"scheme": "bearer", "secret": "secret"}]}]
        }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn description_is_made_of_the_files() {
        let schema = r#"{"type": "object", "properties": {"secret": {"type": "string"}}}"#;
        let description = carried().describe("bell", schema, "Push {url}.");
        let json = serde_json::to_string(&description).unwrap();
        let description: Description<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(description.flaws(), Vec::<String>::new());
        assert_eq!(
            (&*description.name, &*description.setup),
            ("bell", "Push {url}.")
        );
        assert_eq!(description.limits.time_ms, Some(TIME_MS));
        assert!(serde_json::from_str::<Carried>(r#"{"summary": "x", "lables": []}"#).is_err());
    }

    #[test]
    fn demand_is_made_where_its_key_is_fetched() {
        let mut carried = carried();
        let fetch = r#"{"purpose": "key", "url": "https://k.example.com/*", "at": "/url", "setting": "fetch",
            "secret": "secret"}"#;
        carried.fetch = vec![serde_json::from_str(fetch).unwrap()];
        for (settings, count) in [
            (r#"{"fetch": true}"#, 1),
            (r#"{"fetch": false}"#, 0),
            ("{}", 0),
        ] {
            let settings = serde_json::from_str(settings).unwrap();
            assert_eq!(carried.demands(&settings).len(), count);
        }
    }

    #[test]
    fn demand_without_its_secret_is_not_made() {
        let demands = |settings: &str| carried().demands(&serde_json::from_str(settings).unwrap());
        assert_eq!(demands(r#"{"secret": "s"}"#), carried().proof);
        assert!(demands(r#"{"other": 1}"#).is_empty());
    }
}

//! A description with the defaults filled in, and what no description may say.

use serde_json::Value;

use crate::contract::{CONTRACT_VERSION, Description, Limits, Purpose};

impl<S> Description<S> {
    /// A description of a plugin without secrets that does not authenticate its sender. The other
    /// fields are public: `Description { authenticates: true, ..Description::new(…) }`.
    pub fn new(name: &str, version: &str, summary: &str, settings: impl Into<S>) -> Self {
        Self {
            contract: CONTRACT_VERSION,
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            license: String::new(),
            homepage: String::new(),
            settings: settings.into(),
            secrets: Vec::new(),
            files: Vec::new(),
            authenticates: false,
            url_suffix: String::new(),
            setup: String::new(),
            limits: Limits::default(),
            methods: Vec::new(),
            labels: Vec::new(),
            proof: Vec::new(),
            fetch: Vec::new(),
        }
    }
}

impl Description<Value> {
    /// Lists flaws that its types do not rule out, each with its remedy. Empty where all is well.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        let name = &self.name;
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            flaws.push(format!("the name {name:?} must be lower-case letters, digits and dashes, as in \"door-bell\""));
        }
        let is_page = ["https://", "http://"]
            .iter()
            .any(|scheme| self.homepage.starts_with(scheme));
        if !self.homepage.is_empty() && !is_page {
            flaws.push(format!(
                "the homepage {:?} is no page: write it as in \"https://example.com/door-bell\"",
                self.homepage
            ));
        }
        let properties = self.settings.get("properties").and_then(Value::as_object);
        let known =
            |secret: &String| properties.is_some_and(|properties| properties.contains_key(secret));
        for secret in self.secrets.iter().filter(|secret| !known(secret)) {
            let names = properties
                .into_iter()
                .flat_map(|properties| properties.keys())
                .map(String::as_str);
            let names = names.collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {names}")
            };
            flaws.push(format!(
                "the secret {secret:?} is no property of the settings' schema ({names}): name a top-level setting, or \
                 what is meant to be secret may be printed"
            ));
        }
        for way in self.proof.iter().flat_map(|demand| &demand.any) {
            if !self.secrets.contains(&way.secret) {
                flaws.push(format!(
                    "the proof's secret {:?} is not among `secrets`: name it there, or it may be printed",
                    way.secret
                ));
            }
        }
        for fetch in &self.fetch {
            let url = &fetch.url;
            if let Some(flaw) = fetch.flaw() {
                flaws.push(format!("the address {url:?} of `fetch` {flaw}"));
            }
            if properties.is_none_or(|properties| !properties.contains_key(&fetch.setting)) {
                flaws.push(format!(
                    "the setting {:?} that turns on the fetch of {url:?} is no property of the settings' schema",
                    fetch.setting
                ));
            }
            let is_demanded = self
                .proof
                .iter()
                .flat_map(|demand| &demand.any)
                .any(|way| way.secret == fetch.secret);
            if fetch.purpose == Purpose::Key && !is_demanded {
                flaws.push(format!(
                    "the key from {url:?} stands in the place of {:?}, which no way of `proof` names",
                    fetch.secret
                ));
            }
        }
        flaws
    }
}

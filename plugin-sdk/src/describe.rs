//! A description with the defaults filled in.

use crate::contract::{CONTRACT_VERSION, Description};

impl Description {
    /// A description of a plugin without secrets that does not authenticate its sender. The other fields are public:
    /// `Description { authenticates: true, ..Description::new(…) }`.
    pub fn new(name: &str, version: &str, summary: &str, settings: serde_json::Value) -> Self {
        Self {
            contract: CONTRACT_VERSION,
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            settings,
            secrets: Vec::new(),
            authenticates: false,
            url_suffix: String::new(),
            setup: String::new(),
        }
    }
}

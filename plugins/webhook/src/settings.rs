//! The source's settings: how the sender proves itself, and what of a request becomes an alert.
//!
//! They are read as a body is, lazily: `settings.schema.json` says what they may be, the host has
//! checked them against it, and a call needs a part of them only. Types for all of it would be a
//! tenth of the plugin.

use serde_json::value::RawValue;

use crate::tree::Node;

/// The `settings` table of a source, as JSON.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct Settings(Box<RawValue>);

impl Settings {
    /// The table, to be asked for a setting by its name.
    pub fn table(&self) -> Node<'_> {
        Node::new(&self.0)
    }
}

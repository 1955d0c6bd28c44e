//! `schema`: the JSON Schema of the configuration, for editors and for checks without a gateway.

use std::io::Write;

use super::plugin::subject::{Subject, sandbox};
use super::{Outcome, block_on};
use crate::config::{self, PluginSettings};

/// Prints the schema with the settings of all bundled plugins.
pub fn schema() -> Outcome {
    let loaded = block_on(async {
        let sandbox = sandbox()?;
        let mut loaded = Vec::new();
        for bundled in alert_gateway_plugins::all() {
            let plugin = Subject::bundled(bundled).load(&sandbox).await?;
            loaded.push((bundled.name, plugin));
        }
        Ok(loaded)
    })?;
    let plugins: Vec<_> = loaded
        .iter()
        .map(|(name, plugin)| PluginSettings {
            name,
            settings: &plugin.description().settings,
            secrets: &plugin.description().secrets,
        })
        .collect();
    let text = serde_json::to_string_pretty(&config::schema(&plugins))?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

//! Every bundled plugin, compiled to wasm and embedded, so that the gateway is one self-contained
//! binary.
//!
//! The build script [compiles](compile) each crate beside this one under `plugins/`, and embeds each
//! [script]: a new plugin is bundled by being there. Plugin authors compile theirs in the same way,
//! with the [`sdk`] from here.

pub mod compile;
pub mod script;
pub mod sdk;
#[cfg(test)]
mod standalone;

/// A plugin that the gateway carries with it.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// The name in `plugin = "<name>"`; also that of the plugin's folder and package.
    pub name: &'static str,
    /// The compiled plugin; of a script, the engine that all scripts share.
    pub wasm: &'static [u8],
    /// The texts that the wasm is configured with, by name; empty but for a script.
    pub configuration: &'static [(&'static str, &'static str)],
    /// A request to show it with, where the plugin has `cases/sample.http`.
    pub sample: Option<Sample>,
}

impl Bundled {
    /// Returns the bytes that the plugin adds to the gateway.
    pub fn size(&self) -> usize {
        if self.configuration.is_empty() {
            return self.wasm.len();
        }
        self.configuration.iter().map(|(_, text)| text.len()).sum()
    }
}

/// A typical request of a plugin, with settings that accept it.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// An HTTP/1.1 request message, as `plugin_sdk::case::parse_request` reads it.
    pub request: &'static [u8],
    /// The source's settings: JSON text.
    pub settings: &'static str,
}

/// Every bundled plugin, ordered by name. A static is in the program once; a constant, or the value
/// of a function that is inlined, in each part of it that the compiler makes.
static PLUGINS: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// Returns every bundled plugin, ordered by name.
pub fn all() -> &'static [Bundled] {
    PLUGINS
}

/// The plugin of the demo.
pub const SHOWN_FIRST: &str = "twilio-errors";

/// Returns the bundled plugin of this name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    all().iter().find(|plugin| plugin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most bytes of a plugin: compiling it at start and holding it in memory costs by the
    /// byte. The three for Twilio carry its error codes, and all of them read bodies, words and
    /// times in every common spelling.
    const MAX_WASM_BYTES: usize = 404 * 1024;

    /// The most bytes of `webhook`, which has every signing scheme, regular expressions and an
    /// interpreter of mappings.
    const MAX_WEBHOOK_BYTES: usize = 660 * 1024;

    /// The most bytes of `javascript`, which carries an engine.
    const MAX_JAVASCRIPT_BYTES: usize = 1536 * 1024;

    /// The most bytes of a script, with its description, schema and setup. `aws-sns` has tables of the
    /// states of some twenty services.
    const MAX_SCRIPT_BYTES: usize = 32 * 1024;

    #[test]
    fn twilio_errors_is_bundled_with_a_sample() {
        let plugin = find("twilio-errors").unwrap();
        let sample = plugin.sample.unwrap();
        assert!(sample.request.starts_with(b"POST https://"));
        assert!(sample.settings.contains("auth_token"));
        assert!(find("bundle").is_none());
    }

    #[test]
    fn scripts_share_one_engine() {
        let engine = find(script::ENGINE).unwrap();
        for plugin in all()
            .iter()
            .filter(|plugin| !plugin.configuration.is_empty())
        {
            assert!(std::ptr::eq(plugin.wasm, engine.wasm), "{}", plugin.name);
            assert!(plugin.size() < MAX_SCRIPT_BYTES, "{}", plugin.name);
            assert!(plugin.sample.is_some(), "{}", plugin.name);
        }
    }

    #[test]
    fn every_plugin_is_wasm_and_small() {
        for plugin in all() {
            assert!(
                plugin.wasm.starts_with(b"\0asm\x01\0\0\0"),
                "{}",
                plugin.name
            );
            let max = match plugin.name {
                _ if !plugin.configuration.is_empty() => MAX_JAVASCRIPT_BYTES,
                script::ENGINE => MAX_JAVASCRIPT_BYTES,
                "webhook" => MAX_WEBHOOK_BYTES,
                _ => MAX_WASM_BYTES,
            };
            assert!(
                plugin.wasm.len() <= max,
                "{} has {} bytes",
                plugin.name,
                plugin.wasm.len()
            );
        }
    }

    #[test]
    fn no_plugin_knows_the_machine_that_built_it() {
        for plugin in all() {
            for folder in [env!("CARGO_MANIFEST_DIR"), "/.cargo/registry"] {
                let found = plugin
                    .wasm
                    .windows(folder.len())
                    .any(|bytes| bytes == folder.as_bytes());
                assert!(!found, "{} holds {folder}", plugin.name);
            }
        }
    }
}

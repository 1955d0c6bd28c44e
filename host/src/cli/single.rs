//! A configuration with one source, for the commands that have no file: `try --plugin` and `demo`.

use std::path::Path;

use anyhow::{Context, anyhow};
use toml::{Table, Value};

use crate::config::Config;

/// One source, and where it lives.
pub struct Single<'a> {
    /// A bundled plugin's name, or the path of a wasm file.
    pub plugin: &'a str,
    /// The URL that its requests are sent to: `<public_url>/in/<source>`, maybe with more behind
    /// it.
    pub url: &'a str,
    /// The plugin's settings, and where they were read.
    pub settings: Table,
    pub file: &'a Path,
    /// The address of ITOC360.
    pub itoc360: &'a str,
    pub format: &'a str,
    pub data_dir: &'a Path,
}

impl Single<'_> {
    /// The same as what an operator would write.
    pub fn config(self) -> anyhow::Result<Config> {
        let (public_url, source) = place(self.url)?;
        let path = Path::new(self.plugin);
        let plugin = if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let path = std::path::absolute(path)?;
            Value::Table(table([(
                "path",
                path.to_string_lossy().into_owned().into(),
            )]))
        } else {
            self.plugin.into()
        };
        let source_table = table([
            ("plugin", plugin),
            ("destination", "itoc360".into()),
            // Unused where the plugin proves its sender; needed where it does not.
            ("token", TOKEN.into()),
            ("settings", Value::Table(self.settings)),
        ]);
        let destination = table([
            ("kind", "itoc360".into()),
            ("url", self.itoc360.into()),
            ("token", TOKEN.into()),
            ("format", self.format.into()),
        ]);
        let gateway = table([
            ("listen", "127.0.0.1:0".into()),
            ("admin", "127.0.0.1:0".into()),
            ("public_url", public_url.into()),
            (
                "data_dir",
                self.data_dir.to_string_lossy().into_owned().into(),
            ),
        ]);
        let document = table([
            ("gateway", Value::Table(gateway)),
            (
                "destinations",
                Value::Table(table([("itoc360", Value::Table(destination))])),
            ),
            (
                "sources",
                Value::Table(table([(source, Value::Table(source_table))])),
            ),
        ]);
        let text = toml::to_string(&document).context("the settings cannot be written as TOML")?;
        Ok(Config::parse(&text, self.file, &|name| {
            std::env::var(name).ok()
        })?)
    }
}

/// The token of a source or destination that only exists for one command.
pub const TOKEN: &str = "demo-token";

/// Settings from a file: TOML, or JSON where its name ends so.
pub fn settings(path: &Path) -> anyhow::Result<Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if is_json(path) {
        from_json(&text)
    } else {
        Ok(text.parse()?)
    }
    .with_context(|| format!("{} does not hold settings", path.display()))
}

/// Returns whether a file of settings holds JSON, by its name.
pub fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

/// Settings from JSON text.
pub fn from_json(text: &str) -> anyhow::Result<Table> {
    Ok(serde_json::from_str(text)?)
}

/// The public URL and the source's name in a source's URL.
fn place(url: &str) -> anyhow::Result<(&str, &str)> {
    let (public_url, rest) = url.split_once("/in/").ok_or_else(|| {
        anyhow!("the request's URL is {url}; begin the file with the URL as the sender knows it: POST https://<host>/in/<source> HTTP/1.1")
    })?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Ok((public_url, &rest[..end]))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

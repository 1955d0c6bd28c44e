//! `plugin` of a source: a bundled one, a file of the operator's, or one that `plugin add` fetched.

use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;

use super::oci::OciImage;
use super::problem::did_you_mean;
use super::raw::{Table, Value};
use super::sha256::ContentHash;
use super::url::in_the_clear;

/// The plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PluginRef {
    /// One that is part of the gateway, by its name.
    Bundled(String),
    /// A wasm file of the operator's.
    File {
        /// Its path. A relative path starts at the configuration file's folder.
        path: PathBuf,
        /// The SHA-256 that the file must have, if the operator named one.
        sha256: Option<ContentHash>,
    },
    /// One that was fetched from elsewhere before the start.
    Fetched(Fetched),
}

/// A plugin of another machine, known by its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fetched {
    /// The place to fetch it from.
    pub from: FetchedFrom,
    /// The hash of the wasm file, or of the manifest in a registry, which names the file's.
    pub digest: ContentHash,
}

/// The place of a plugin on another machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FetchedFrom {
    /// The URL of a wasm file.
    Url(String),
    /// An artifact of a registry.
    Oci(OciImage),
}

impl Fetched {
    /// Returns the value of `plugin` in the configuration.
    pub fn toml(&self) -> String {
        let digest = self.digest;
        match &self.from {
            FetchedFrom::Url(url) => format!("{{ url = \"{url}\", sha256 = \"{digest}\" }}"),
            FetchedFrom::Oci(image) => format!("{{ oci = \"{image}@sha256:{digest}\" }}"),
        }
    }
}

impl fmt::Display for FetchedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Oci(image) => image.fmt(f),
        }
    }
}

/// Reads the value of `plugin`.
pub(super) fn read(value: &Value<'_>) -> Option<PluginRef> {
    match (value.string()?, value.value) {
        (Some(name), _) => bundled(value, name),
        (None, DeValue::Table(table)) => {
            let inner = value.inner(table);
            // A misspelt key says as well which kind is meant.
            let mut keys = table.keys().map(|key| &**key.get_ref());
            let known = ["url", "oci"].into_iter();
            let mut known = known.filter(|kind| table.contains_key(*kind));
            let near = || keys.find_map(|key| did_you_mean(key, ["path", "url", "oci"]));
            match known.next().or_else(near) {
                Some("url") => of_url(inner),
                Some("oci") => of_registry(inner),
                _ => file(inner),
            }
        }
        _ => {
            value.wrong_type("write the name of a bundled plugin, or { path = \"my.wasm\" }");
            None
        }
    }
}

fn bundled(value: &Value<'_>, name: &str) -> Option<PluginRef> {
    if !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Some(PluginRef::Bundled(name.to_owned()));
    }
    let help = if name.starts_with("https://") && value.variable().is_none() {
        "run `alert-gateway plugin add` with this URL, which prints the line to write".to_owned()
    } else if name.contains(['/', '.']) && value.variable().is_none() {
        format!("write {{ path = {name:?} }} for a file of your own")
    } else {
        "write the name of a bundled plugin, like \"twilio-errors\"".to_owned()
    };
    value.wrong_text(name, help);
    None
}

fn file(mut table: Table<'_>) -> Option<PluginRef> {
    let path = table.required("path", "path = \"my.wasm\"", |value| {
        let text = value.text("my.wasm")?;
        let path = value.reading.path(text);
        if path.is_file() {
            return Some(path);
        }
        let help = "relative paths start at the configuration file's folder";
        let found = match value.variable() {
            None => format!("there is no file {}", path.display()),
            Some(_) => format!("{} is {}, and no file", value.label, value.shown(text)),
        };
        value.problem(found, help);
        None
    });
    let sha256 = table.optional("sha256", None, |value| sha256(&value).map(Some));
    table.finish();
    Some(PluginRef::File {
        path: path?,
        sha256: sha256?,
    })
}

fn of_url(mut table: Table<'_>) -> Option<PluginRef> {
    let url = table.required("url", "url = \"https://…\"", |value| {
        let text = value.text("https://plugins.example.com/bell-1.2.0.wasm")?;
        let help = "write it as in https://plugins.example.com/bell-1.2.0.wasm";
        let url = value.url(text, help)?;
        if in_the_clear(&url) {
            value.problem(format!("{} is plain http", value.label), "write https");
            return None;
        }
        Some(text.to_owned())
    });
    let example = "sha256 = \"…\", as `alert-gateway plugin add` with the URL prints it";
    let digest = table.required("sha256", example, |value| sha256(&value));
    table.finish();
    Some(PluginRef::Fetched(Fetched {
        from: FetchedFrom::Url(url?),
        digest: digest?,
    }))
}

fn of_registry(mut table: Table<'_>) -> Option<PluginRef> {
    const EXAMPLE: &str = "ghcr.io/acme/bell:1.2@sha256:…";
    let fetched = table.required("oci", format!("oci = \"{EXAMPLE}\""), |value| {
        let text = value.text(EXAMPLE)?;
        match OciImage::parse(text) {
            Ok((image, Some(digest))) => Some(Fetched {
                from: FetchedFrom::Oci(image),
                digest,
            }),
            Ok((image, None)) => {
                let help = format!(
                    "run `alert-gateway plugin add {image}`, which prints the line to write"
                );
                value.problem(format!("{} has no digest", value.label), help);
                None
            }
            Err(why) => {
                value.problem(
                    format!("{} {why}", value.label),
                    format!("write it as in {EXAMPLE}"),
                );
                None
            }
        }
    });
    table.finish();
    fetched.map(PluginRef::Fetched)
}

fn sha256(value: &Value<'_>) -> Option<ContentHash> {
    let text = value.text("64 hex digits")?;
    let hash = ContentHash::parse(text);
    if hash.is_none() {
        value.wrong_text(text, "write the 64 hex digits that sha256sum prints");
    }
    hash
}

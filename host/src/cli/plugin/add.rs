//! `plugin add`: fetches plugins, before the gateway is started or reloaded.

use std::io::Write;

use alert_gateway_sandbox::{Plugin, Sandbox};
use anyhow::anyhow;
use clap::Args;

use super::fetch::fetch;
use super::fetch::web::{Web, parse_url};
use super::snippet::{Named, snippet};
use super::{Failure, Outcome, block_on, figures, subject};
use crate::cli::location::ConfigFile;
use crate::cli::{owner, plain};
use crate::config::{
    Config, ContentHash, Fetched, FetchedFrom, OciImage, PluginKey, PluginRef, listed,
};
use crate::sources::fetched::{Content, PluginStore, Unusable};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin add
  alert-gateway plugin add ghcr.io/acme/bell:1.2
  alert-gateway plugin add https://plugins.example.com/bell-1.2.0.wasm

A registry's user is that of `docker login`. Registries and servers are asked by https, and those of
this machine by http.")]
pub struct Add {
    /// A plugin that no source names yet: the URL of its wasm file, or its name in a registry
    #[arg(value_name = "URL|REGISTRY/NAME:TAG")]
    plugin: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

/// A plugin of the configuration, with the sources that it reads for.
pub struct Used {
    /// The plugin.
    pub plugin: Fetched,
    /// The names of the sources.
    pub sources: Vec<String>,
}

pub fn add(what: &Add) -> Outcome {
    let config = Config::load_without_secrets(&what.file.path()?, "unknown")?;
    let store = PluginStore::of(&config.gateway);
    block_on(async {
        match &what.plugin {
            Some(plugin) => add_one(&store, plugin).await,
            None => add_all(&store, &used(&config)).await,
        }
    })
}

/// Returns the fetched plugins of a configuration, each once, in the order of the sources.
pub fn used(config: &Config) -> Vec<Used> {
    let mut all: Vec<Used> = Vec::new();
    for source in &config.sources {
        let PluginRef::Fetched(plugin) = &source.plugin else {
            continue;
        };
        let name = source.name.clone();
        match all.iter_mut().find(|used| used.plugin == *plugin) {
            Some(used) => used.sources.push(name),
            None => all.push(Used {
                plugin: plugin.clone(),
                sources: vec![name],
            }),
        }
    }
    all
}

async fn add_all(store: &PluginStore, all: &[Used]) -> Outcome {
    let mut out = std::io::stdout().lock();
    if all.is_empty() {
        writeln!(out, "no source has a plugin of a URL or a registry")?;
    }
    let mut web = Web::default();
    let sandbox = subject::sandbox()?;
    let mut failed = 0;
    for Used { plugin, sources } in all {
        let from = &plugin.from;
        let sources = listed(sources.iter().map(String::as_str), "and");
        if store.read(plugin).is_ok() {
            writeln!(out, "{from} (of {sources}) is there")?;
            continue;
        }
        match fetch_into(store, &sandbox, &mut web, from, Some(plugin.digest)).await {
            Ok((_, content, _)) => {
                writeln!(
                    out,
                    "{from} (of {sources}) was fetched: {}",
                    told(store, plugin, &content)
                )?;
            }
            Err(error) => {
                failed += 1;
                eprintln!(
                    "error: {from} (of {sources}): {}",
                    plain::line(&format!("{error:#}"))
                );
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Run(anyhow!(
            "{failed} of {} plugins could not be fetched",
            all.len()
        ))),
    }
}

async fn add_one(store: &PluginStore, plugin: &str) -> Outcome {
    let (from, digest) = place(plugin).map_err(Failure::Usage)?;
    let sandbox = subject::sandbox()?;
    let mut web = Web::default();
    let (fetched, content, loaded) = fetch_into(store, &sandbox, &mut web, &from, digest).await?;
    let mut out = std::io::stdout().lock();
    let told = told(store, &fetched, &content);
    let written = snippet(loaded.description(), &Named::Fetched(&fetched));
    write!(
        out,
        "{from} was fetched: {told}\n\n{}",
        plain::lines(&written)
    )?;
    Ok(())
}

/// Reads the name of a plugin on the command line.
fn place(plugin: &str) -> Result<(FetchedFrom, Option<ContentHash>), String> {
    if plugin.starts_with("http:") || plugin.starts_with("https:") {
        let url = parse_url(plugin).map_err(|error| error.to_string())?;
        return match url.query() {
            None => Ok((FetchedFrom::Url(plugin.to_owned()), None)),
            Some(_) => Err(format!(
                "{plugin} has a query (?…), which a configuration cannot name"
            )),
        };
    }
    let (mut image, digest) = OciImage::parse(plugin).map_err(|why| {
        format!("{plugin} {why}; write https://… or a name as in ghcr.io/acme/bell:1.2")
    })?;
    if digest.is_none() {
        image.tag.get_or_insert_with(|| "latest".to_owned());
    }
    Ok((FetchedFrom::Oci(image), digest))
}

/// Fetches a plugin, judges it, loads it and keeps it.
///
/// # Errors
/// It cannot be had, is not to be run, or is no plugin. It is not kept then.
pub async fn fetch_into(
    store: &PluginStore,
    sandbox: &Sandbox,
    web: &mut Web,
    from: &FetchedFrom,
    digest: Option<ContentHash>,
) -> Result<(Fetched, Content, Plugin), anyhow::Error> {
    let signed = !store.keys().is_empty();
    let (fetched, content) = fetch(web, from, digest, signed).await?;
    content
        .judge(fetched.digest, store.keys())
        .map_err(|error| match (&error, from) {
            (Unusable::Changed { .. }, FetchedFrom::Url(_)) => anyhow!(
                "{error}; where the file was replaced on purpose: alert-gateway plugin upgrade"
            ),
            _ => anyhow!(error),
        })?;
    let loaded = sandbox.load(&from.to_string(), &content.wasm).await?;
    let kept = owner::as_owner_of(store.folder(), || Ok(store.keep(fetched.digest, &content)?));
    kept.map_err(|failure| {
        let folder = store.folder().display();
        anyhow!("cannot keep it in {folder}: {failure}")
    })?;
    Ok((fetched, content, loaded))
}

/// Returns the size of a plugin, and its signature.
fn told(store: &PluginStore, plugin: &Fetched, content: &Content) -> String {
    let size = figures::size(content.wasm.len());
    match content.judge(plugin.digest, store.keys()) {
        Ok(Some(PluginKey { file, .. })) if !file.is_empty() => {
            format!("{size}, signed by the key in {file}")
        }
        Ok(Some(_)) => format!("{size}, signed by a key of plugin_keys"),
        _ => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_is_named_by_url_or_registry() {
        let found = |text: &str| place(text).map(|(from, _)| from.to_string());
        for (text, expected) in [
            ("https://a.example/b.wasm", "https://a.example/b.wasm"),
            ("http://127.0.0.1:1/b.wasm", "http://127.0.0.1:1/b.wasm"),
            ("ghcr.io/acme/bell", "ghcr.io/acme/bell:latest"),
            ("ghcr.io/acme/bell:1", "ghcr.io/acme/bell:1"),
        ] {
            assert_eq!(found(text), Ok(expected.to_owned()));
        }
        for (text, part) in [
            ("http://a.example/b.wasm", "plain http"),
            ("https://a.example/b.wasm?sig=1", "has a query"),
            ("bell", "names no registry"),
            ("https:", "is no https URL"),
        ] {
            let told = found(text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}

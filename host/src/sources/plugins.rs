//! Loads the plugins that a configuration names, each once.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;

use super::fetched::{LARGEST_PLUGIN, PluginStore};
use crate::config::{self, Config, ContentHash, Fetched, FetchedFrom, PluginRef};
use alert_gateway_sandbox::{Plugin, Sandbox};

/// All that the configuration names, in parallel, each once however many sources name it.
pub(super) async fn load_plugins(
    config: &Config,
    sandbox: &Sandbox,
) -> HashMap<PluginRef, Result<Plugin, Unusable>> {
    let mut loading = JoinSet::new();
    let mut plugins = HashMap::new();
    for source in &config.sources {
        if plugins
            .insert(source.plugin.clone(), Err(Unusable::default()))
            .is_none()
        {
            let sandbox = sandbox.clone();
            let plugin = source.plugin.clone();
            let store = PluginStore::of(&config.gateway);
            let file = config.path.clone();
            loading.spawn(async move {
                let loaded = match &plugin {
                    PluginRef::Bundled(name) => load_bundled(&sandbox, name).await,
                    PluginRef::File { path, sha256 } => load_file(&sandbox, path, *sha256).await,
                    PluginRef::Fetched(fetched) => {
                        load_fetched(&sandbox, store, fetched.clone(), file).await
                    }
                };
                (loaded, plugin)
            });
        }
    }
    while let Some(loaded) = loading.join_next().await {
        match loaded {
            Ok((result, plugin)) => drop(plugins.insert(plugin, result)),
            Err(error) => tracing::error!(%error, "loading a plugin panicked"),
        }
    }
    plugins
}

/// The fault of a plugin, and the advice.
pub(super) type Unusable = (String, String);

/// One plugin of the store of fetched ones.
async fn load_fetched(
    sandbox: &Sandbox,
    store: PluginStore,
    plugin: Fetched,
    file: PathBuf,
) -> Result<Plugin, Unusable> {
    let from = plugin.from.clone();
    let unusable =
        |why: String, help: String| (format!("the plugin {from} cannot be used: {why}"), help);
    let read = tokio::task::spawn_blocking(move || store.read(&plugin)).await;
    let content = match read {
        Ok(Ok(content)) => content,
        Ok(Err(error)) => {
            let help = format!(
                "fetch it: alert-gateway plugin add --config {}",
                file.display()
            );
            return Err(unusable(error.to_string(), help));
        }
        Err(error) => return Err(unusable(error.to_string(), String::new())),
    };
    sandbox
        .load(&name(&from), &content.wasm)
        .await
        .map_err(|error| unusable(error.to_string(), String::new()))
}

/// Returns the name of a fetched plugin for the log, until it says its own.
fn name(from: &FetchedFrom) -> String {
    let path = match from {
        FetchedFrom::Url(url) => url.trim_end_matches(".wasm"),
        FetchedFrom::Oci(image) => &image.repository,
    };
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// One that is part of the gateway.
async fn load_bundled(sandbox: &Sandbox, name: &str) -> Result<Plugin, Unusable> {
    let bundled = alert_gateway_plugins::find(name).ok_or_else(|| unknown_plugin(name))?;
    sandbox
        .load_configured(name, bundled.wasm, bundled.configuration)
        .await
        .map_err(|error| (error.to_string(), String::new()))
}

/// One from a file of the operator's.
async fn load_file(
    sandbox: &Sandbox,
    path: &Path,
    sha256: Option<ContentHash>,
) -> Result<Plugin, Unusable> {
    let shown = path.display();
    let wasm = read_wasm(path.to_owned()).await.map_err(|error| {
        let help = "a relative path starts at the configuration's folder".to_owned();
        (format!("cannot read the plugin {shown}: {error}"), help)
    })?;
    if wasm.len() as u64 > LARGEST_PLUGIN {
        let help = "the bundled ones have a quarter of a MiB; build it in release, and strip it";
        let found = format!("the plugin {shown} is larger than 64 MiB");
        return Err((found, help.to_owned()));
    }
    let found = ContentHash::of(&wasm);
    if sha256.is_some_and(|expected| expected != found) {
        let help = format!("if you trust it as it is now, write sha256 = \"{found}\"");
        return Err((
            format!("{shown} is not the file that its sha256 names"),
            help,
        ));
    }
    let name = path.file_stem().unwrap_or(path.as_os_str());
    sandbox
        .load(&name.to_string_lossy(), &wasm)
        .await
        .map_err(|error| (format!("{shown}: {error}"), String::new()))
}

/// The bytes of a file, one more than a plugin may have at most. Beside the threads that answer
/// senders, because a plugin is also read while they do.
async fn read_wasm(path: PathBuf) -> std::io::Result<Vec<u8>> {
    let read = move || {
        let mut wasm = Vec::new();
        File::open(path)?
            .take(LARGEST_PLUGIN + 1)
            .read_to_end(&mut wasm)?;
        Ok(wasm)
    };
    tokio::task::spawn_blocking(read).await?
}

fn unknown_plugin(name: &str) -> Unusable {
    let names = || {
        alert_gateway_plugins::all()
            .iter()
            .map(|plugin| plugin.name)
    };
    let help = match config::did_you_mean(name, names()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "for a plugin of your own, write { path = \"my.wasm\" }".to_owned(),
    };
    (
        format!(
            "there is no bundled plugin \"{name}\", only {}",
            config::listed(names(), "and")
        ),
        help,
    )
}

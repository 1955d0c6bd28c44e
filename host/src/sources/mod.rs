//! Sources: what the operator wrote, joined with the plugin that it names.

pub mod schema;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::body::decode;
use plugin_sdk::contract::{Answer, Checked, Content};
use plugin_sdk::signature;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{self, Config, Limits, Networks, PluginRef, Problem, Problems, Secret};
use crate::plugin::{CallError, CallLimits, Plugin, Sandbox};

/// How many calls of one source run at once. Calls run on the threads that answer senders and a healthy one takes some
/// 20 µs without a pause, so more would gain nothing; fewer than all the time slices there are go to a source that loops.
pub const CALLS: usize = 2;
/// The most bytes of a plugin's file. A whole JavaScript engine has some two million.
const LARGEST_PLUGIN: u64 = 64 * 1024 * 1024;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A source, ready to read requests.
#[derive(Debug)]
pub struct Source {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where its senders send to: `<public_url>/in/<name>`.
    pub url: String,
    /// The destination of its alerts.
    pub destination: Arc<str>,
    /// What reads its requests.
    pub plugin: Plugin,
    /// The networks from which it takes requests; none where it takes them from anywhere.
    pub clients: Networks,
    /// What a sender must show; none where the plugin proves the sender by itself.
    pub tokens: Vec<Secret>,
    /// What a request may cost.
    pub limits: Limits,
    /// How long nothing may come in before that is told.
    pub expect_every: Option<Duration>,
    settings: config::Settings,
    calls: Semaphore,
}

/// The sources of a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// Each of them.
    pub sources: Vec<Source>,
    /// What is allowed and yet unwise.
    pub warnings: Vec<Problem>,
}

/// Why a request could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The plugin failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Too many requests of this source wait for the plugin.
    #[error("the plugin was busy with other requests of this source for {} s", TURN.as_secs())]
    Busy,
}

impl ReadError {
    /// Whether it is only that too much is asked for at once.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy | Self::Call(CallError::Busy { .. }))
    }

    /// The word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call(error) => error.kind(),
            Self::Busy => "busy",
        }
    }

    /// What the plugin's author can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Call(error) => error.advice(),
            Self::Busy => "Nothing: too much was asked for at once.",
        }
    }
}

/// A request in the shape of the contract, borrowed: [`plugin_sdk::contract::Request`] without its copies.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// See the contract; so for all fields.
    pub source: &'a str,
    /// RFC 3339, UTC, milliseconds.
    pub received_at: &'a str,
    /// In upper case.
    pub method: &'a str,
    /// The configured public URL with the received suffix and query.
    pub url: &'a str,
    /// Lower-case names and values.
    pub headers: &'a serde_json::value::RawValue,
    /// Text, or base64.
    pub body: Body<'a>,
    /// The body for reading, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Checked already.
    pub settings: &'a serde_json::value::RawValue,
}

/// A body in the shape of the contract, borrowed: [`plugin_sdk::contract::Body`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<'a> {
    /// It is UTF-8.
    Text(&'a str),
    /// It is not.
    Base64(String),
}

impl<'a> Body<'a> {
    /// The body of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        std::str::from_utf8(bytes).map_or_else(|_| Self::Base64(STANDARD.encode(bytes)), Self::Text)
    }
}

impl Source {
    /// What the operator set for the plugin.
    pub fn settings(&self) -> &config::Settings {
        &self.settings
    }

    /// What the plugin makes of a request. `request` gives the request's parts; the source adds its name and settings.
    ///
    /// # Errors
    /// Where the plugin fails, or is busy for too long. The request can be read again later.
    pub async fn read(
        &self,
        received_at: &str,
        method: &str,
        url: &str,
        headers: &serde_json::value::RawValue,
        body: &[u8],
    ) -> Result<Answer, ReadError> {
        // First, so that what waits is not held twice.
        let turn = tokio::time::timeout(TURN, self.calls.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(ReadError::Busy) };
        let request = Request {
            source: &self.name,
            received_at,
            method,
            url,
            headers,
            body: Body::new(body),
            content: content(headers, body, self.limits.body),
            settings: self.settings.json(),
        };
        // Nothing in it can fail to become JSON.
        let request = serde_json::to_vec(&request).unwrap_or_default();
        Ok(self.plugin.read(&self.name, &request, &call_limits(&self.limits)).await?)
    }
}

/// The body for reading, where that is another than the one that was sent. Nearly every body is plainly fit to be read, and
/// then the headers are not looked into.
fn content(headers: &serde_json::value::RawValue, body: &[u8], limit: usize) -> Option<Content> {
    let is_coded = headers.get().contains("\"content-encoding\"");
    if !decode::may_differ(is_coded, body) {
        return None;
    }
    let headers: Vec<(String, String)> = serde_json::from_str(headers.get()).unwrap_or_default();
    let all = |name: &str| {
        let named = headers.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value);
        let named: Vec<&str> = named.collect();
        (!named.is_empty()).then(|| named.join(", "))
    };
    decode::content(all("content-encoding").as_deref(), all("content-type").as_deref(), body, limit)
}

/// The limits of a call, of all the limits of a source.
pub fn call_limits(limits: &Limits) -> CallLimits {
    CallLimits { time: limits.time, memory: limits.memory, output: limits.output }
}

/// Loads each plugin once, checks every source's settings against its plugin's schema, and joins them.
///
/// # Errors
/// Every problem of every source, at the operator's line.
pub async fn load(config: &Config, sandbox: &Sandbox) -> Result<Loaded, Problems> {
    let plugins = load_plugins(config, sandbox).await;
    let mut problems = Vec::new();
    let (mut sources, mut warnings) = (Vec::new(), Vec::new());
    for source in &config.sources {
        match &plugins[&source.plugin] {
            Err((found, help)) => problems.push(config.problem(source.plugin_position, found, help)),
            Ok(plugin) => {
                let mut found = schema::check(source, plugin.description(), config);
                // A plugin is only asked about settings that fit its schema, as it is only given such.
                let checked = if found.is_empty() {
                    plugin.check(source.name.as_str(), source.settings.json().get().as_bytes()).await
                } else {
                    // One that has a check may prove its sender with other settings.
                    Ok(Checked { authenticates: plugin.has_check().then_some(true), ..Checked::default() })
                };
                match checked {
                    Ok(checked) => found.extend(schema::review(source, plugin.description(), &checked, config)),
                    Err(error) => {
                        let help = "the settings fit the plugin's schema, so this is a mistake of the plugin's: tell its author";
                        let what = format!("the plugin {:?} could not check the settings: {error}", plugin.name());
                        found.push(config.problem(source.plugin_position, what, help));
                    }
                }
                if found.is_empty() {
                    sources.push(join(config, source, plugin));
                }
                problems.extend(found);
                warnings.extend(schema::warnings(source, plugin.description(), config));
            }
        }
    }
    if problems.is_empty() { Ok(Loaded { sources, warnings }) } else { Err(Problems(problems)) }
}

fn join(config: &Config, source: &config::Source, plugin: &Plugin) -> Source {
    Source {
        name: source.name.as_str().into(),
        url: source.url(&config.gateway),
        destination: source.destination.as_str().into(),
        plugin: plugin.clone(),
        clients: source.clients.clone(),
        tokens: source.tokens.clone(),
        limits: source.limits,
        expect_every: source.expect_every,
        settings: source.settings.clone(),
        calls: Semaphore::new(CALLS),
    }
}

/// All that the configuration names, in parallel, each once however many sources name it.
async fn load_plugins(config: &Config, sandbox: &Sandbox) -> HashMap<PluginRef, Result<Plugin, Unusable>> {
    let mut loading = JoinSet::new();
    let mut plugins = HashMap::new();
    for source in &config.sources {
        if plugins.insert(source.plugin.clone(), Err(Unusable::default())).is_none() {
            let (sandbox, plugin) = (sandbox.clone(), source.plugin.clone());
            loading.spawn(async move { (load_plugin(&sandbox, &plugin).await, plugin) });
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

/// What is wrong with a plugin, and what helps.
type Unusable = (String, String);

/// One plugin, bundled or from a file.
async fn load_plugin(sandbox: &Sandbox, plugin: &PluginRef) -> Result<Plugin, Unusable> {
    match plugin {
        PluginRef::Bundled(name) => match alert_gateway_plugins::find(name) {
            Some(bundled) => sandbox.load(name, bundled.wasm).await.map_err(|error| (error.to_string(), String::new())),
            None => Err(unknown_plugin(name)),
        },
        PluginRef::File { path, sha256 } => {
            let wasm = read_wasm(path.clone()).await.map_err(|error| {
                let help = "a relative path starts at the configuration's folder".to_owned();
                (format!("cannot read the plugin {}: {error}", path.display()), help)
            })?;
            if wasm.len() as u64 > LARGEST_PLUGIN {
                let help = "the bundled ones have a quarter of a MiB; build it in release, and strip it".to_owned();
                return Err((format!("the plugin {} is larger than 64 MiB", path.display()), help));
            }
            if let Some(expected) = sha256
                && Sha256::digest(&wasm)[..] != expected[..]
            {
                let found = signature::sha256(&wasm).hex();
                let help = format!("if you trust it as it is now, write sha256 = \"{found}\"");
                return Err((format!("{} is not the file that its sha256 names", path.display()), help));
            }
            let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
            sandbox.load(&name, &wasm).await.map_err(|error| (format!("{}: {error}", path.display()), String::new()))
        }
    }
}

/// The bytes of a file, one more than a plugin may have at most. Beside the threads that answer senders, because a plugin is
/// also read while they do.
async fn read_wasm(path: PathBuf) -> std::io::Result<Vec<u8>> {
    let read = move || {
        let mut wasm = Vec::new();
        File::open(path)?.take(LARGEST_PLUGIN + 1).read_to_end(&mut wasm)?;
        Ok(wasm)
    };
    tokio::task::spawn_blocking(read).await?
}

fn unknown_plugin(name: &str) -> Unusable {
    let names = || alert_gateway_plugins::all().iter().map(|plugin| plugin.name);
    let help = match config::did_you_mean(name, names()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "for a plugin of your own, write { path = \"my.wasm\" }".to_owned(),
    };
    (format!("there is no bundled plugin \"{name}\", only {}", config::listed(names(), "and")), help)
}

//! `plugin dev`: a plugin runs while it is written. Every change is one round: build, load, test,
//! serve. A failed round changes nothing: the last sound build goes on serving.

mod serve;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alert_gateway_plugins::script;
use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch as latest};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::build::{self, Built, TargetDir};
use super::folder::{self, MANIFEST, Recipe};
use super::subject::Subject;
use super::test::Chosen;
use super::{ConfigFile, Failure, Outcome, block_on, test, trial};
use crate::cli::caches;
use crate::config::{Config, Listen, PluginRef, listed};
use crate::intake::{Admission, Fetcher, Gate};
use crate::{gateway, http, sources};
use serve::Serving;
use watch::Watch;

/// Watches the folder and the configuration, and at each change builds the plugin anew, runs its
/// cases, and lets it serve its source at [gateway] listen, by plain HTTP. Every request is
/// answered as the gateway would, under the source's limits, and the plugin's answer is printed;
/// nothing is stored or sent. A broken build leaves the last good one serving. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin dev
  alert-gateway plugin dev my-sender --source my-source")]
pub struct Dev {
    /// The folder of the plugin's plugin.toml or Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// The source to serve, where it is not the only one of this plugin
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Make a case of each request that comes, in this folder: live-001.http with the plugin's answer
    /// in live-001.json; credentials are replaced, as `events export` does
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    #[command(flatten)]
    target: TargetDir,
}

/// The product of a round.
enum Made {
    /// A wasm file.
    Wasm(Built),
    /// A script, which needs no build: it is in the settings of its source.
    Script(PathBuf),
}

impl Made {
    fn shown(&self) -> String {
        match self {
            Self::Wasm(built) => format!("{}, {} bytes of wasm", built.name, built.wasm.len()),
            Self::Script(script) => script.display().to_string(),
        }
    }

    /// Returns whether a source that names this plugin is read by the product.
    fn is_plugin(&self, plugin: &PluginRef) -> bool {
        match (self, plugin) {
            (Self::Wasm(built), PluginRef::File { path, .. }) => path
                .canonicalize()
                .is_ok_and(|path| built.path.canonicalize().is_ok_and(|wasm| path == wasm)),
            (Self::Script(_), PluginRef::Bundled(name)) => name == script::ENGINE,
            _ => false,
        }
    }
}

/// The listener, and the plugin served there once there is one.
struct Stage {
    listen: Listen,
    address: Listen,
    serving: latest::Sender<Arc<Serving>>,
    // Never told to stop: it ends with the program, and there is nothing to be saved.
    _stop: DropGuard,
}

pub fn dev(what: &Dev) -> Outcome {
    block_on(async {
        // Before anything is said, so that who reads it can rely on it.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        // What no build would fix, before the first one.
        let config = what.file.path()?;
        let help = "name the plugin's folder, and the configuration with --config FILE";
        if !config.is_file() {
            let config = config.display();
            return Err(Failure::Usage(format!("there is no file {config}; {help}")));
        }
        if !folder::is_plugin(&what.dir) {
            return Err(Failure::Usage(format!(
                "there is neither a {MANIFEST} nor a Cargo.toml in {}; {help}",
                what.dir.display()
            )));
        }
        let rounds = async {
            let mut watch = Watch::start(&what.dir, &config)?;
            let mut stage = None;
            for number in 1.. {
                what.round(number, &mut stage).await?;
                watch.changed().await?;
            }
            Ok(())
        };
        tokio::select! {
            outcome = rounds => outcome,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

impl Dev {
    /// One round. It fails only where no later one could succeed.
    async fn round(&self, number: u32, stage: &mut Option<Stage>) -> Outcome {
        let made = match self.make().await {
            Ok(made) => made,
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        say(&format!("build {number}: {}", made.shown()))?;
        let config = match self.config(&made) {
            Ok(config) => config,
            Err(failure) if stage.is_none() => return Err(failure),
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        let serving = match load(&config, number, self.record.clone()).await {
            Ok(serving) => Arc::new(serving),
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        // A case that is answered otherwise is what the author works on, and no reason to serve
        // something older.
        let cases = self.dir.join("cases");
        let subject = match &made {
            Made::Script(script) => Subject::of_script(script).ok(),
            Made::Wasm(_) => None,
        };
        let tested = test::run(
            &cases,
            &serving.source.plugin,
            subject.as_ref(),
            serving.source.limits(),
            &Chosen::default(),
            &mut std::io::stdout(),
        )
        .await;
        if let Err(failure) = tested {
            eprintln!("{failure}");
        }
        let name = Arc::clone(&serving.source.name);
        let address = match stage {
            Some(stage) => {
                stage.serving.send_replace(serving);
                if stage.listen != config.gateway.listen {
                    say("`listen` is another one now; for that, start this command again")?;
                }
                stage.address.clone()
            }
            None => stage
                .insert(Stage::open(&config, serving).await?)
                .address
                .clone(),
        };
        let path = config.gateway.public_url.path();
        say(&format!(
            "build {number} serves {name} at http://{address}{path}/in/{name}; nothing is stored or sent; Ctrl-C ends it"
        ))
    }

    /// In a thread that is left where the program ends first: from a terminal, Ctrl-C ends cargo as
    /// well.
    async fn make(&self) -> Result<Made, Failure> {
        if let Recipe::Script(script) = folder::recipe(&self.dir)? {
            return Ok(Made::Script(script));
        }
        let (done, built) = oneshot::channel();
        let dir = self.dir.clone();
        let target_dir = self.target.target_dir.clone();
        std::thread::spawn(move || done.send(build::wasm_of(&dir, target_dir.as_deref())));
        let built = built
            .await
            .map_err(|_| anyhow!("the build ended without a word"))??;
        Ok(Made::Wasm(built))
    }

    /// The configuration with the one source, and with what was built as its plugin.
    fn config(&self, made: &Made) -> Result<Config, Failure> {
        let mut config = self.file.load()?;
        let name = match &self.source {
            Some(name) => name.clone(),
            None => source_of(&config, made)?,
        };
        trial::narrow(&mut config, &name)?;
        let Made::Wasm(built) = made else {
            return Ok(config);
        };
        for source in &mut config.sources {
            source.plugin = PluginRef::File {
                path: built.path.clone(),
                sha256: None,
            };
        }
        Ok(config)
    }
}

impl Stage {
    async fn open(config: &Config, serving: Arc<Serving>) -> anyhow::Result<Self> {
        let listener = gateway::bind(&config.gateway.listen, "listen").await?;
        let address = listener
            .address()?
            .map_or_else(|| config.gateway.listen.clone(), Listen::Tcp);
        let listener = http::Listener {
            socket: listener,
            tls: None,
        };
        let (serving, shown) = latest::channel(serving);
        let stop = CancellationToken::new();
        let proxies = Arc::new(config.gateway.trusted_proxies.clone());
        tokio::spawn(http::serve(
            listener,
            http::FEW,
            stop.clone(),
            Duration::ZERO,
            move |request, peer| {
                let client = http::Client::of(peer, request.headers(), &proxies);
                let serving = Arc::clone(&shown.borrow());
                async move { serving.answer(request, client).await }
            },
        ));
        Ok(Self {
            listen: config.gateway.listen.clone(),
            address,
            serving,
            _stop: stop.drop_guard(),
        })
    }
}

/// The one source that is read by what was made.
fn source_of(config: &Config, made: &Made) -> Result<String, Failure> {
    let line = match made {
        Made::Wasm(built) => {
            let wasm = std::path::absolute(&built.path)?;
            format!("plugin = {{ path = {wasm:?} }}")
        }
        Made::Script(_) => format!("plugin = {:?}", script::ENGINE),
    };
    let names: Vec<&str> = config
        .sources
        .iter()
        .filter(|source| made.is_plugin(&source.plugin))
        .map(|source| source.name.as_str())
        .collect();
    let file = config.path.display();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => Err(Failure::Usage(format!(
            "no source of {file} is read by this plugin; write {line} in one, or name one with --source"
        ))),
        _ => {
            let names = listed(names, "and");
            Err(Failure::Usage(format!(
                "{file} has several sources of this plugin: {names}; name one with --source"
            )))
        }
    }
}

async fn load(config: &Config, build: u32, record: Option<PathBuf>) -> Result<Serving, Failure> {
    // One of its own for each round, because the limits may be others.
    let sandbox = gateway::sandbox(config, caches::compiled())?;
    let mut loaded = sources::load(config, &sandbox).await?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let source = loaded
        .sources
        .pop()
        .ok_or_else(|| anyhow!("the configuration has no source"))?;
    let gate = Gate::new(
        Admission::within(config.gateway.memory).join(),
        source.limits(),
    );
    Ok(Serving {
        build,
        source,
        gate,
        fetcher: Fetcher::default(),
        public_path: config.gateway.public_url.path().to_owned(),
        record,
    })
}

/// Tells why a round failed, and what holds now.
fn broken(number: u32, failure: &Failure, stage: Option<&Stage>) -> Outcome {
    eprintln!("{failure}");
    match stage {
        Some(stage) => {
            let last = stage.serving.borrow().build;
            say(&format!(
                "build {number} is broken; build {last} goes on serving"
            ))
        }
        None => say(&format!(
            "build {number} is broken; nothing is served until a change fixes it"
        )),
    }
}

fn say(line: &str) -> Outcome {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

//! `plugin dev`: a plugin runs while it is written. Every change is one round: build, load, test,
//! serve. A failed round changes nothing: the last sound build goes on serving.

mod serve;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch as latest};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::build::{self, Built, TargetDir};
use super::test::Chosen;
use super::{ConfigFile, Failure, Outcome, block_on, test, trial};
use crate::config::{Config, Listen, PluginRef, listed};
use crate::intake::{Admission, Gate};
use crate::{gateway, http, sources};
use serve::Serving;
use watch::Watch;

/// Watches the crate and the configuration, and at each change builds the plugin anew, runs its
/// cases, and lets it serve its source at [gateway] listen, by plain HTTP. Every request is
/// answered as the gateway would, under the source's limits, and the plugin's answer is printed;
/// nothing is stored or sent. A broken build leaves the last good one serving. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin dev
  alert-gateway plugin dev my-sender --source my-source")]
pub struct Dev {
    /// The folder of the plugin's Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// The source to serve, where it is not the one whose plugin is this crate's wasm
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    target: TargetDir,
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
        for file in [&config, &what.dir.join("Cargo.toml")] {
            if !file.is_file() {
                let help = "name the plugin's folder, and the configuration with --config FILE";
                return Err(Failure::Usage(format!(
                    "there is no file {}; {help}",
                    file.display()
                )));
            }
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
        let built = match self.build().await {
            Ok(built) => built,
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        say(&format!(
            "build {number}: {}, {} bytes of wasm",
            built.name,
            built.wasm.len()
        ))?;
        let config = match self.config(&built) {
            Ok(config) => config,
            Err(failure) if stage.is_none() => return Err(failure),
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        let serving = match load(&config, number).await {
            Ok(serving) => Arc::new(serving),
            Err(failure) => return broken(number, &failure, stage.as_ref()),
        };
        // A case that is answered otherwise is what the author works on, and no reason to serve
        // something older.
        let cases = self.dir.join("cases");
        let tested = test::run(
            &cases,
            &serving.source.plugin,
            None,
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
    async fn build(&self) -> Result<Built, Failure> {
        let (done, built) = oneshot::channel();
        let dir = self.dir.clone();
        let target_dir = self.target.target_dir.clone();
        std::thread::spawn(move || done.send(build::wasm_of(&dir, target_dir.as_deref())));
        built
            .await
            .map_err(|_| anyhow!("the build ended without a word"))?
    }

    /// The configuration with the one source, and with what was built as its plugin.
    fn config(&self, built: &Built) -> Result<Config, Failure> {
        let mut config = self.file.load()?;
        let name = match &self.source {
            Some(name) => name.clone(),
            None => source_of(&config, &built.path)?,
        };
        trial::narrow(&mut config, &name)?;
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

/// The one source whose plugin is the file at `wasm`.
fn source_of(config: &Config, wasm: &Path) -> Result<String, Failure> {
    let wasm = std::path::absolute(wasm)?;
    let same = |path: &Path| {
        path.canonicalize()
            .is_ok_and(|path| wasm.canonicalize().is_ok_and(|wasm| path == wasm))
    };
    let ours = |source: &&crate::config::Source| matches!(&source.plugin, PluginRef::File { path, .. } if same(path));
    let names: Vec<&str> = config
        .sources
        .iter()
        .filter(ours)
        .map(|source| source.name.as_str())
        .collect();
    let file = config.path.display();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => Err(Failure::Usage(format!(
            "no source of {file} is read by {wasm}; write plugin = {{ path = {wasm:?} }} in one, or name one with --source",
            wasm = wasm.display()
        ))),
        _ => {
            let names = listed(names, "and");
            Err(Failure::Usage(format!(
                "{file} has several sources of this plugin: {names}; name one with --source"
            )))
        }
    }
}

async fn load(config: &Config, build: u32) -> Result<Serving, Failure> {
    // One of its own for each round, because the limits may be others.
    let sandbox = gateway::sandbox(config, false)?;
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
        public_path: config.gateway.public_url.path().to_owned(),
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

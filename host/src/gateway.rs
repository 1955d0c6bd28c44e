//! The whole house: assembled from its configuration, run, and taken apart in order.
//!
//! Start: the store (so that a second gateway stops here), the plugins, the listeners, then delivery of what a former run
//! left behind. Stop: no new connections, finish the requests under way, finish the deliveries under way, close the store.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::config::{Config, Destination};
use crate::delivery::Delivery;
use crate::health::Health;
use crate::http;
use crate::intake::{Entrance, Intake, Replayer};
use crate::itoc360::Itoc360;
use crate::metrics::Metrics;
use crate::plugin::{Sandbox, SandboxOptions};
use crate::sources::{self, Source};
use crate::store::{self, Closing, PluginRecord, Store};

/// How many plugin instances a source adds to the sandbox: one plugin gets a quarter of all, which is what a source uses.
const INSTANCES_PER_SOURCE: u32 = 4 * sources::CALLS as u32;
/// No more instances than this, however many sources there are: each reserves some GiB of address space.
const INSTANCES: u32 = 256;

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    /// Where senders reach it.
    pub address: SocketAddr,
    /// Where monitoring reaches it, if it may.
    pub admin: Option<SocketAddr>,
    intake: Hallway,
    delivery: Hallway,
    monitoring: Hallway,
    health: Health,
    closing: Closing,
    grace: Duration,
}

/// Tasks that stop together.
#[derive(Debug)]
struct Hallway {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What only a benchmark or a demonstration asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the store is opened.
    pub store: store::Options,
}

impl Gateway {
    /// Starts all of it. Once this returns, requests are taken.
    ///
    /// # Errors
    /// Whatever keeps it from working as configured; nothing runs then.
    pub async fn start(config: &Config, options: &Options) -> anyhow::Result<Self> {
        let started = Instant::now();
        let (metrics, health) = (Metrics::new(), Health::default());
        let data_dir = &config.gateway.data_dir;
        let (store, closing) = Store::open(data_dir, &options.store, metrics.clone())
            .with_context(|| format!("cannot open the store in {}", data_dir.display()))?;
        let loaded = sources::load(config, &sandbox(config, true)?).await?;
        for warning in config.warnings.iter().chain(&loaded.warnings) {
            tracing::warn!("{warning}");
        }

        let listener = bind(config.gateway.listen, "listen").await?;
        let address = listener.local_addr()?;
        let admin_listener = match config.gateway.admin {
            Some(address) => Some(bind(address, "admin").await?),
            None => None,
        };
        let admin_address = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        warn_of_strays(config, &store)?;
        let mut entrances = Vec::with_capacity(loaded.sources.len());
        for source in loaded.sources {
            announce(&source);
            let plugin = store.plugin(record(&source)).await?;
            entrances.push(Entrance { source, plugin });
        }
        let public_path = config.gateway.public_url.path();
        let way_in = Intake::new(entrances, public_path, store.clone(), health.clone(), metrics.clone());
        let way_in = Arc::new(way_in);
        let replayer = Replayer::new(Arc::clone(&way_in), store.due_reader()?, store.history()?);
        let admin_pages = Admin::new(health.clone(), metrics.clone(), store.due_reader()?);
        let ways_out: Vec<Delivery> = config
            .destinations
            .iter()
            .map(|destination| way_out(destination, &store, &health, &metrics))
            .collect::<Result<_, _>>()?;

        // From here on nothing fails: what is sent now will be settled.
        let (mut intake, mut delivery, mut admin) = (Hallway::new(), Hallway::new(), Hallway::new());
        let grace = config.gateway.shutdown_grace;
        for way_out in ways_out {
            delivery.tasks.spawn(way_out.run(delivery.stop.subscribe()));
        }
        let retention = &config.retention;
        let stop = delivery.stop.subscribe();
        let retaining = store::keep_within(store.clone(), retention.age, retention.size, metrics.clone(), stop);
        delivery.tasks.spawn(retaining);
        if let Some(listener) = admin_listener {
            admin.tasks.spawn(http::serve(listener, admin.stop.subscribe(), grace, move |request, _| {
                admin_pages.clone().answer(request.method().clone(), request.uri().path().to_owned())
            }));
        }
        intake.tasks.spawn(replayer.run(intake.stop.subscribe()));
        intake.tasks.spawn(http::serve(listener, intake.stop.subscribe(), grace, move |request, _| {
            let way_in = Arc::clone(&way_in);
            async move { way_in.answer(request).await }
        }));
        health.set_ready(true, None);
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(%address, admin = admin_address.map(tracing::field::display), took_ms, "ready");
        Ok(Self { address, admin: admin_address, intake, delivery, monitoring: admin, health, closing, grace })
    }

    /// Stops it: refuses what is new, finishes what is under way within the grace period, closes the store.
    pub async fn stop(self) {
        tracing::info!(grace = ?self.grace, "stopping: finishing what is under way");
        self.health.set_ready(false, Some("the gateway is stopping".to_owned()));
        let deadline = Instant::now() + self.grace;
        // Side by side: a sender that is slow to finish must not use up the time in which deliveries are written down.
        tokio::join!(self.intake.stop(deadline, "requests"), self.delivery.stop(deadline, "deliveries"));
        self.monitoring.stop(Instant::now(), "monitoring").await;
        self.closing.close().await;
        tracing::info!("stopped; all that was accepted is on disk");
    }
}

impl Hallway {
    fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    async fn stop(mut self, deadline: Instant, what: &str) {
        self.stop.send_replace(true);
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline.into(), finish).await.is_err() {
            tracing::warn!(
                what,
                "not all of it finished in time; what was accepted is on disk and goes on at the next start"
            );
            self.tasks.shutdown().await;
        }
    }
}

/// The sandbox that this configuration needs. `cached` says whether compiled plugins are kept in the data directory.
///
/// # Errors
/// Where the machine does not give what it needs.
pub fn sandbox(config: &Config, cached: bool) -> anyhow::Result<Sandbox> {
    let max_memory = config.sources.iter().map(|source| source.limits.memory).max().unwrap_or_default();
    let cache_dir = cached.then(|| config.gateway.data_dir.join("cache"));
    let instances = (config.sources.len() as u32).saturating_mul(INSTANCES_PER_SOURCE).min(INSTANCES);
    Ok(Sandbox::new(SandboxOptions { cache_dir, instances, max_memory })?)
}

fn way_out(destination: &Destination, store: &Store, health: &Health, metrics: &Metrics) -> anyhow::Result<Delivery> {
    let Destination { name, url, token, format, timeout, concurrency, .. } = destination;
    let itoc360 = Itoc360::new(url.clone(), token.expose(), *format, *timeout, *concurrency)
        .with_context(|| format!("cannot use destination \"{name}\""))?;
    let (store, health, metrics) = (store.clone(), health.clone(), metrics.clone());
    Ok(Delivery::new(name.as_str().into(), itoc360, *concurrency, store, health, metrics)?)
}

/// A listener at the address that the operator wrote for `key` in `[gateway]`.
///
/// # Errors
/// Where something else is there.
pub async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen at {address}: is another program there? Choose another address for `{key}` in [gateway]")
    })
}

/// What the operator needs to see: the URL to paste.
fn announce(source: &Source) {
    let description = source.plugin.description();
    let paste = format!("{}{}", source.url, description.url_suffix);
    tracing::info!(
        source = &*source.name,
        plugin = source.plugin.name(),
        version = description.version,
        destination = &*source.destination,
        "paste this URL at the sender: {paste}"
    );
}

fn record(source: &Source) -> PluginRecord {
    let (name, sha256) = (source.plugin.name().to_owned(), source.plugin.sha256().to_owned());
    PluginRecord { name, version: source.plugin.description().version.clone(), sha256 }
}

/// Alerts may wait for a destination that was renamed or removed. They are kept; the operator must know.
fn warn_of_strays(config: &Config, store: &Store) -> anyhow::Result<()> {
    let known: HashSet<&str> = config.destinations.iter().map(|destination| destination.name.as_str()).collect();
    let reader = store.due_reader()?;
    for destination in reader.waiting_for()? {
        if !known.contains(destination.as_str()) {
            let alerts = reader.count_waiting_for(&destination)?;
            tracing::error!(
                destination,
                alerts,
                "alerts wait for a destination that is not configured any more; \
                they are kept, and go out once a destination has this name again"
            );
        }
    }
    Ok(())
}

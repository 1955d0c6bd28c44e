//! The whole house: assembled from its configuration, run, and taken apart in order.
//!
//! Start: the store (so that a second gateway stops here), the plugins, the listeners, then delivery of what a former run
//! left behind. Stop: no new connections, finish the requests under way, finish the deliveries under way,
//! write down what is known of the sources, close the store.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{Admin, Guard};
use crate::config::{Config, Destination, TlsFiles};
use crate::delivery::Delivery;
use crate::health::Health;
use crate::http::{self, Client, Following, Listener, Tls};
use crate::intake::{Admission, Entrance, Gate, Intake, Replayer};
use crate::itoc360::Itoc360;
use crate::metrics::Metrics;
use crate::operator::{Direct, Expected, Operator, Plan};
use crate::plugin::{Sandbox, SandboxOptions};
use crate::sources::{self, Source};
use crate::store::{self, Closing, PluginRecord, Store};

/// How many plugin instances a source adds to the sandbox: one plugin gets a quarter of all, which is what a source uses.
const INSTANCES_PER_SOURCE: u32 = 4 * sources::CALLS as u32;
/// No more instances than this, however many sources there are: each reserves some GiB of address space.
const INSTANCES: u32 = 256;
/// How long what comes last at a stop may take, even where what came before has used up the grace period.
const MOMENT: Duration = Duration::from_secs(1);

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    /// Where senders reach it.
    pub address: SocketAddr,
    /// Where monitoring reaches it, if it may.
    pub admin: Option<SocketAddr>,
    intake: Hallway,
    delivery: Hallway,
    operator: Hallway,
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

        let (listener, certificate) =
            open(config.gateway.listen, config.gateway.tls.as_ref(), "listen", &metrics).await?;
        let address = listener.tcp.local_addr()?;
        let monitoring = match &config.gateway.admin {
            Some(admin) => {
                let pages = Admin::new(Guard::new(admin), health.clone(), metrics.clone(), store.due_reader()?);
                Some((open(admin.address, admin.tls.as_ref(), "admin", &metrics).await?, pages))
            }
            None => None,
        };
        let admin_address = monitoring.as_ref().map(|((listener, _), _)| listener.tcp.local_addr()).transpose()?;
        let gone = strays(config, &store)?;
        let expected: Vec<_> = loaded.sources.iter().map(expected).collect();
        let admission = Admission::within(config.gateway.memory);
        let mut entrances = Vec::with_capacity(loaded.sources.len());
        for source in loaded.sources {
            announce(&source);
            let plugin = store.plugin(record(&source)).await?;
            let gate = Gate::new(admission.join(), &source.limits);
            entrances.push(Entrance { source, gate, plugin });
        }
        let public_path = config.gateway.public_url.path();
        let way_in = Intake::new(entrances, public_path, store.clone(), health.clone(), metrics.clone());
        let way_in = Arc::new(way_in);
        let replayer = Replayer::new(Arc::clone(&way_in), store.due_reader()?, store.history()?);
        let plan = Plan {
            sources: expected,
            destinations: config.destinations.iter().map(|destination| destination.name.clone()).collect(),
            operator_destination: config.gateway.operator_destination.clone(),
            gone,
        };
        let teller = Operator::new(&plan, store.clone(), health.clone(), metrics.clone())?;
        let mut ways_out = Vec::with_capacity(config.destinations.len());
        let mut direct = None;
        for destination in &config.destinations {
            let itoc360 = itoc360(destination)?;
            if plan.operator_destination.as_ref() == Some(&destination.name) {
                direct = Some(Direct::new(itoc360.clone(), &store));
            }
            let Destination { name, concurrency, .. } = destination;
            let (store, health, metrics) = (store.clone(), health.clone(), metrics.clone());
            ways_out.push(Delivery::new(name.as_str().into(), itoc360, *concurrency, store, health, metrics)?);
        }

        // From here on nothing fails: what is sent now will be settled.
        let (mut intake, mut delivery, mut admin) = (Hallway::new(), Hallway::new(), Hallway::new());
        let mut operator = Hallway::new();
        let grace = config.gateway.shutdown_grace;
        for way_out in ways_out {
            delivery.tasks.spawn(way_out.run(delivery.stop.subscribe()));
        }
        operator.tasks.spawn(teller.run(operator.stop.subscribe()));
        if let Some(direct) = direct {
            operator.tasks.spawn(direct.run(operator.stop.subscribe()));
        }
        let retention = &config.retention;
        let stop = delivery.stop.subscribe();
        let retaining = store::keep_within(store.clone(), retention.age, retention.size, metrics.clone(), stop);
        delivery.tasks.spawn(retaining);
        if let Some(((listener, certificate), pages)) = monitoring {
            admin.follow(certificate);
            admin.tasks.spawn(http::serve(listener, http::FEW, admin.stop.subscribe(), grace, move |request, peer| {
                pages.clone().answer(request.into_parts().0, peer)
            }));
        }
        intake.follow(certificate);
        intake.tasks.spawn(replayer.run(intake.stop.subscribe()));
        let proxies = Arc::new(config.gateway.trusted_proxies.clone());
        let connections = http::connections_within(config.gateway.memory);
        intake.tasks.spawn(http::serve(listener, connections, intake.stop.subscribe(), grace, move |request, peer| {
            let client = Client::of(peer, request.headers(), &proxies);
            let way_in = Arc::clone(&way_in);
            async move { way_in.answer(request, client).await }
        }));
        health.set_ready(true, None);
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(%address, admin = admin_address.map(tracing::field::display), took_ms, "ready");
        let monitoring = admin;
        Ok(Self { address, admin: admin_address, intake, delivery, operator, monitoring, health, closing, grace })
    }

    /// Stops it: refuses what is new, finishes what is under way within the grace period, closes the store.
    pub async fn stop(self) {
        tracing::info!(grace = ?self.grace, "stopping: finishing what is under way");
        self.health.set_ready(false, Some("the gateway is stopping".to_owned()));
        let deadline = Instant::now() + self.grace;
        // Side by side: a sender that is slow to finish must not use up the time in which deliveries are written down.
        tokio::join!(self.intake.stop(deadline, "requests"), self.delivery.stop(deadline, "deliveries"));
        // After them, so that it knows all that came; and however long they took, there is time to write that down.
        self.operator.stop(deadline.max(Instant::now() + MOMENT), "what the operator is told").await;
        self.monitoring.stop(Instant::now() + MOMENT, "monitoring").await;
        self.closing.close().await;
        tracing::info!("stopped; all that was accepted is on disk");
    }
}

impl Hallway {
    fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    /// Keeps a listener's certificate, if it has one, in step with its files.
    fn follow(&mut self, certificate: Option<Following>) {
        if let Some(certificate) = certificate {
            self.tasks.spawn(certificate.run(self.stop.subscribe()));
        }
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

fn itoc360(destination: &Destination) -> anyhow::Result<Itoc360> {
    let Destination { name, url, token, format, timeout, concurrency, .. } = destination;
    Itoc360::new(url.clone(), token.expose(), *format, *timeout, *concurrency)
        .with_context(|| format!("cannot use destination \"{name}\""))
}

fn expected(source: &Source) -> Expected {
    let (name, destination) = (Arc::clone(&source.name), Arc::clone(&source.destination));
    Expected { source: name, destination, every: source.expect_every }
}

/// The listener that the operator wrote as `key` in `[gateway]`, and what keeps its certificate in step with the files.
async fn open(
    address: SocketAddr,
    files: Option<&TlsFiles>,
    key: &'static str,
    metrics: &Metrics,
) -> anyhow::Result<(Listener, Option<Following>)> {
    let tls = files.map(|files| Tls::load(files, key, metrics)).transpose();
    let (tls, certificate) = tls.with_context(|| format!("`{key}` in [gateway] cannot speak TLS"))?.unzip();
    Ok((Listener { tcp: bind(address, key).await?, tls }, certificate))
}

/// A socket at the address that the operator wrote for `key` in `[gateway]`.
///
/// # Errors
/// Where something else is there, or the address is not one that the gateway may have.
pub async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let help = match error.kind() {
            ErrorKind::PermissionDenied => "a port below 1024 needs the capability CAP_NET_BIND_SERVICE".to_owned(),
            ErrorKind::AddrNotAvailable => format!("this machine has no such address; choose another for `{key}`"),
            _ => format!("is another program there? Choose another address for `{key}` in [gateway]"),
        };
        anyhow::Error::new(error).context(format!("cannot listen at {address}: {help}"))
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

/// Alerts may wait for a destination that was renamed or removed. They are kept; the operator must know. Not of those that the
/// gateway told there of itself: what they say is told anew where the operator hears of it now, and the name that they wait
/// for may never come back, so an alert about them would be open for ever and tell of nothing that is lost.
fn strays(config: &Config, store: &Store) -> anyhow::Result<Vec<(String, i64)>> {
    let known: HashSet<&str> = config.destinations.iter().map(|destination| destination.name.as_str()).collect();
    let reader = store.due_reader()?;
    let mut waiting = Vec::new();
    for destination in reader.waiting_for()? {
        if !known.contains(destination.as_str()) {
            let alerts = reader.count_waiting_for(&destination)?;
            if alerts == 0 {
                continue;
            }
            tracing::error!(
                destination,
                alerts,
                "alerts wait for a destination that is not configured any more; \
                they are kept, and go out once a destination has this name again"
            );
            waiting.push((destination, alerts));
        }
    }
    Ok(waiting)
}

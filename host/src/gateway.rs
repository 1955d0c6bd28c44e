//! The whole gateway: assembled from its configuration, run, reloaded, and shut down in order.
//!
//! Start: the store (so that a second gateway stops here), the plugins, the listeners, then
//! delivery of the backlog of earlier runs. Shutdown: no new connections, drain the requests under
//! way, drain the deliveries under way, store the sources' heartbeats, close the store.

pub mod control;
mod deliveries;
mod reload;
mod secrets;
mod systemd;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{About, Admin, Catalogue};
use crate::config::{Config, Listen, Problem, TlsFiles, causes};
use crate::destinations::Ping;
use crate::health::Health;
use crate::http::{self, Client, Following, Listener, Socket, Tls, UnixSocket};
use crate::intake::{Intake, Muter, Replayer};
use crate::metrics::Metrics;
use crate::monitor::{Direct, Expected, Monitor, Pings, Plan, Reloaded};
use crate::policy;
use crate::recent::Recent;
use crate::sources::{self, Loaded, Source};
use crate::store::{
    self, Closing, DueReader, PluginId, PluginRecord, Retention, Store, StoreError,
};
use alert_gateway_sandbox::{Sandbox, SandboxOptions};

use control::Asked;
use deliveries::Deliveries;
use reload::Reloading;

/// The instances that a source adds to the sandbox: four times its calls, because one plugin may
/// use a quarter of all.
const INSTANCES_PER_SOURCE: u32 = 4 * sources::CALLS as u32;
/// The most instances, for any number of sources: each reserves some GiB of address space.
const INSTANCES: u32 = 256;
/// The least time for the last steps of a shutdown, even if the earlier ones used up the grace
/// period.
const MOMENT: Duration = Duration::from_secs(1);

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    /// The address for senders.
    pub address: Listen,
    /// The address for monitoring, if there is one.
    pub admin: Option<SocketAddr>,
    intake: Hallway,
    delivery: Hallway,
    monitor: Hallway,
    monitoring: Hallway,
    reloading: Reloading,
    deliveries: Deliveries,
    asked: mpsc::Receiver<Asked>,
    health: Health,
    closing: Closing,
    grace: Duration,
    broken: CancellationToken,
}

/// Tasks that stop together.
#[derive(Debug)]
struct Hallway {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    broken: CancellationToken,
}

/// Accompanies a task, and raises the alarm if the task ends or panics before the shutdown.
struct Alarm {
    what: &'static str,
    stopped: CancellationToken,
    broken: CancellationToken,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.stopped.is_cancelled() {
            tracing::error!(
                what = self.what,
                "a part of the gateway has ended and should not have: this is a bug"
            );
            self.broken.cancel();
        }
    }
}

/// Options of benchmarks and demonstrations.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Options of the store.
    pub store: store::Options,
}

impl Gateway {
    /// Starts the gateway. Requests are accepted once this returns.
    ///
    /// # Errors
    /// Anything that keeps it from working as configured; nothing runs then.
    pub async fn start(config: &Config, options: &Options) -> anyhow::Result<Self> {
        let started = Instant::now();
        let (metrics, health) = (Metrics::new(), Health::default());
        let recent = Recent::default();
        let data_dir = &config.gateway.data_dir;
        let (store, closing) = Store::open(data_dir, &options.store, metrics.clone())
            .with_context(|| format!("cannot open the store in {}", data_dir.display()))?;
        let loaded = sources::load(config, &sandbox(config, true)?).await?;
        for cause in causes(&warnings(config, &loaded)) {
            tracing::warn!("{cause}");
        }
        let catalogue = watch::Sender::new(Catalogue::of(config, &loaded.sources));

        let (listener, certificate) = open(
            &config.gateway.listen,
            config.gateway.tls.as_ref(),
            "listen",
            &metrics,
        )
        .await?;
        let address = listener
            .socket
            .address()?
            .map_or_else(|| config.gateway.listen.clone(), Listen::Tcp);
        let monitoring = match &config.gateway.admin {
            Some(admin) => {
                let about = About {
                    metrics: metrics.clone(),
                    health: health.clone(),
                    store: store.clone(),
                    recent: recent.clone(),
                    catalogue: catalogue.subscribe(),
                };
                let pages = Admin::new(config, admin, about)?;
                Some((
                    open(
                        &Listen::Tcp(admin.address),
                        admin.tls.as_ref(),
                        "admin",
                        &metrics,
                    )
                    .await?,
                    pages,
                ))
            }
            None => None,
        };
        let admin_address = monitoring
            .as_ref()
            .map(|((listener, _), _)| listener.socket.address())
            .transpose()?
            .flatten();
        let reader = store.due_reader()?;
        let waiting = reader.waiting_for()?;
        let gone = strays(config, &reader, &waiting)?;
        let expected: Vec<_> = loaded.sources.iter().map(expected).collect();
        loaded.sources.iter().for_each(announce);
        let (memory, public_path) = (config.gateway.memory, config.gateway.public_url.path());
        let way_in = Arc::new(Intake::new(
            memory,
            public_path,
            config.gateway.operator_destination.clone(),
            store.clone(),
            health.clone(),
            metrics.clone(),
            recent,
        ));
        way_in.open(known(loaded.sources, &store).await?, config.mutes.clone());
        let muter = Muter::new(Arc::clone(&way_in), store.snapshot()?)?;
        let replayer = Replayer::new(Arc::clone(&way_in), store.due_reader()?, store.history()?);
        let plan = Plan {
            sources: expected,
            destinations: destination_names(config),
            operator_destination: config.gateway.operator_destination.clone(),
            waiting,
            gone,
        };
        let reloaded = Reloaded {
            sources: plan.sources.clone(),
            destinations: plan.destinations.clone(),
            since: tokio::time::Instant::now(),
        };
        let reloading = Reloading::new(
            config,
            reloaded,
            Arc::clone(&way_in),
            store.clone(),
            metrics.clone(),
            catalogue,
        );
        let monitor = Monitor::new(&plan, store.clone(), health.clone(), metrics.clone())?;
        let pings = pings(config, &store, &health, &metrics)?;
        let mut deliveries = Deliveries::new(store.clone(), health.clone(), metrics.clone());
        let change = deliveries.change(config).await?;

        let passing = store.snapshot()?;

        // From here on nothing fails: what is sent now will be settled.
        let broken = CancellationToken::new();
        let [mut intake, mut delivery, mut admin, mut monitor_tasks] =
            std::array::from_fn(|_| Hallway::new(&broken));
        let kept = store.clone();
        delivery.spawn("the store", |stop| async move {
            tokio::select! {
                () = kept.ended() => {}
                () = stop.cancelled() => {}
            }
        });
        let grace = config.gateway.shutdown_grace;
        deliveries.apply(change, &mut delivery);
        let direct = plan
            .operator_destination
            .as_ref()
            .and_then(|name| deliveries.client(name));
        let direct = direct.map(|client| Direct::new(client, &store));
        let (asks, asked) = mpsc::channel(1);
        match control::bind(data_dir) {
            Ok(socket) => intake.spawn("the control socket", |stop| {
                control::serve(socket, asks, stop)
            }),
            // SIGHUP does the same.
            Err(error) => {
                tracing::warn!(%error, "`alert-gateway reload` does not reach this gateway: its socket cannot be made in data_dir");
            }
        }
        if let Some(pings) = pings {
            monitor_tasks.spawn("the heartbeat", |stop| pings.run(stop));
        }
        let watched = broken.clone();
        monitor_tasks.spawn("the watchdog", |stop| systemd::watchdog(watched, stop));
        monitor_tasks.spawn("the monitor", |stop| {
            monitor.run(reloading.subscribe(), stop)
        });
        if let Some(direct) = direct {
            monitor_tasks.spawn("the monitor of the store", |stop| direct.run(stop));
        }
        let retention = Retention {
            age: config.retention.age,
            size: config.retention.size,
            identities: config.retention.identities,
            operator_destination: config.gateway.operator_destination.clone(),
        };
        delivery.spawn("retention", |stop| {
            store::keep_within(store.clone(), retention, metrics.clone(), stop)
        });
        delivery.spawn("groups and timers", |stop| {
            store::pass_time(store.clone(), passing, stop)
        });
        if let Some(((listener, certificate), pages)) = monitoring {
            admin.follow(certificate);
            let live = pages.clone();
            admin.spawn("live updates", |stop| live.watch(stop));
            admin.spawn("monitoring", |stop| {
                http::serve(listener, http::ADMIN, stop, grace, move |request, peer| {
                    let (head, body) = request.into_parts();
                    pages.clone().answer(head, Some(body), peer)
                })
            });
        }
        intake.follow(certificate);
        intake.spawn("replays", |stop| replayer.run(stop));
        intake.spawn("mutes", |stop| muter.run(stop));
        let proxies = Arc::new(config.gateway.trusted_proxies.clone());
        let attempts: usize = config
            .destinations
            .iter()
            .map(|destination| destination.concurrency)
            .sum();
        let wanted = http::connections_within(config.gateway.memory);
        let connections = http::connections_beside(http::ADMIN + attempts, wanted);
        intake.spawn("the listener", |stop| {
            http::serve(listener, connections, stop, grace, move |request, peer| {
                let client = Client::of(peer, request.headers(), &proxies);
                let way_in = Arc::clone(&way_in);
                async move { way_in.answer(request, client).await }
            })
        });
        health.set_ready(true, None);
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(%address, admin = admin_address.map(tracing::field::display), took_ms, "ready");
        systemd::ready(&reload::summary(config));
        let monitoring = admin;
        let admin = admin_address;
        Ok(Self {
            address,
            admin,
            intake,
            delivery,
            monitor: monitor_tasks,
            monitoring,
            reloading,
            deliveries,
            asked,
            health,
            closing,
            grace,
            broken,
        })
    }

    /// Is cancelled when a task has ended early: the gateway would look alive, but part of it is
    /// not.
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    /// Shuts down: refuses new connections, drains requests and deliveries within the grace period,
    /// closes the store.
    pub async fn stop(self) {
        tracing::info!(grace = ?self.grace, "stopping: finishing what is under way");
        systemd::stopping();
        self.health
            .set_ready(false, Some("the gateway is stopping".to_owned()));
        let deadline = Instant::now() + self.grace;
        // Side by side: a slow sender must not use up the time for settling deliveries.
        tokio::join!(
            self.intake.stop(deadline, "requests"),
            self.delivery.stop(deadline, "deliveries")
        );
        // After them, so that it knows every request; it has time to store that, however long they
        // took.
        self.monitor
            .stop(deadline.max(Instant::now() + MOMENT), "the monitor")
            .await;
        self.monitoring
            .stop(Instant::now() + MOMENT, "monitoring")
            .await;
        if self.closing.close().await {
            tracing::info!("stopped; all that was accepted is on disk");
        }
    }
}

impl Hallway {
    fn new(broken: &CancellationToken) -> Self {
        Self {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            broken: broken.clone(),
        }
    }

    /// Runs the task that `begin` makes until the shutdown; `what` names it.
    fn spawn<T>(&mut self, what: &'static str, begin: impl FnOnce(CancellationToken) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let task = begin(stop.clone());
        self.spawn_until(what, stop, task);
    }

    /// Runs a task that is to end once `stopped` is cancelled.
    fn spawn_until(
        &mut self,
        what: &'static str,
        stopped: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let alarm = Alarm {
            what,
            stopped,
            broken: self.broken.clone(),
        };
        self.tasks.spawn(async move {
            task.await;
            drop(alarm);
        });
    }

    /// Keeps a listener's certificate, if it has one, in step with its files.
    fn follow(&mut self, certificate: Option<Following>) {
        if let Some(certificate) = certificate {
            self.spawn("the certificate", |stop| certificate.run(stop));
        }
    }

    async fn stop(mut self, deadline: Instant, what: &str) {
        self.stop.cancel();
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline.into(), finish)
            .await
            .is_err()
        {
            tracing::warn!(
                what,
                "not all of it finished in time; what was accepted is on disk and goes on at the next start"
            );
            self.tasks.shutdown().await;
        }
    }
}

/// Returns everything in a configuration that is allowed and yet unwise, rules that can never match
/// included.
pub fn warnings(config: &Config, loaded: &Loaded) -> Vec<Problem> {
    let unmatched = loaded.sources.iter().flat_map(|source| {
        let declared = &source.plugin.description().labels;
        // A plugin that declares no labels may set any.
        policy::lint(
            &source.configured,
            (!declared.is_empty()).then_some(declared.as_slice()),
        )
    });
    let unmatched =
        unmatched.map(|finding| config.problem(finding.position, finding.found, finding.help));
    config
        .warnings
        .iter()
        .chain(&loaded.warnings)
        .cloned()
        .chain(unmatched)
        .collect()
}

/// Creates the sandbox for a configuration. `cached` keeps compiled plugins in the data directory.
///
/// # Errors
/// The machine lacks memory or processor features for it.
pub fn sandbox(config: &Config, cached: bool) -> anyhow::Result<Sandbox> {
    let granted = config
        .sources
        .iter()
        .map(|source| source.limits.memory)
        .max()
        .unwrap_or_default();
    let max_memory = granted.max(sources::LARGEST_ASKED_MEMORY);
    let cache_dir = cached.then(|| config.gateway.data_dir.join("cache"));
    let instances = (config.sources.len() as u32)
        .saturating_mul(INSTANCES_PER_SOURCE)
        .clamp(INSTANCES_PER_SOURCE, INSTANCES);
    Ok(Sandbox::new(SandboxOptions {
        cache_dir,
        instances,
        max_memory,
    })?)
}

/// Returns the outgoing heartbeat, where one is configured.
fn pings(
    config: &Config,
    store: &Store,
    health: &Health,
    metrics: &Metrics,
) -> anyhow::Result<Option<Pings>> {
    let Some(heartbeat) = &config.gateway.heartbeat else {
        return Ok(None);
    };
    let ping = Ping::new(heartbeat.url.expose()).context("cannot use the heartbeat's url")?;
    let reads = (store.clone(), store.due_reader()?);
    Ok(Some(Pings::new(
        heartbeat,
        ping,
        health.clone(),
        reads,
        metrics.clone(),
    )))
}

fn destination_names(config: &Config) -> Vec<String> {
    let names = config.destinations.iter();
    names.map(|destination| destination.name.clone()).collect()
}

fn expected(source: &Source) -> Expected {
    let (name, destination) = (Arc::clone(&source.name), Arc::clone(&source.destination));
    Expected {
        source: name,
        destination,
        every: source.configured.expect_every,
    }
}

/// Opens the listener of `key` in `[gateway]`, with the task that follows its certificate's files.
async fn open(
    listen: &Listen,
    files: Option<&TlsFiles>,
    key: &'static str,
    metrics: &Metrics,
) -> anyhow::Result<(Listener, Option<Following>)> {
    let tls = files
        .map(|files| Tls::load(files, key, metrics))
        .transpose();
    let (tls, certificate) = tls
        .with_context(|| format!("`{key}` in [gateway] cannot speak TLS"))?
        .unzip();
    Ok((
        Listener {
            socket: bind(listen, key).await?,
            tls,
        },
        certificate,
    ))
}

/// A socket at the address that the operator wrote for `key` in `[gateway]`.
///
/// # Errors
/// Where something else is there, or the address is not one that the gateway may have.
pub async fn bind(listen: &Listen, key: &str) -> anyhow::Result<Socket> {
    let bound = match listen {
        Listen::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
        Listen::Unix { path, mode } => UnixSocket::bind(path, *mode).map(Socket::Unix),
    };
    bound.map_err(|error| {
        let is_unix = listen.address().is_none();
        let help = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::NotFound if is_unix => {
                "its folder must exist and be the gateway's own; \
                a systemd unit makes one with RuntimeDirectory=alert-gateway"
                    .to_owned()
            }
            ErrorKind::PermissionDenied => {
                "a port below 1024 needs the capability CAP_NET_BIND_SERVICE, \
                and in a systemd unit PrivateUsers=no with it"
                    .to_owned()
            }
            ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address; choose another for `{key}`")
            }
            _ => {
                format!("is another program there? Choose another address for `{key}` in [gateway]")
            }
        };
        anyhow::Error::new(error).context(format!("cannot listen at {listen}: {help}"))
    })
}

/// Logs each source with the URL to paste at its sender.
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

/// Returns the sources, each with the number of its plugin in the store.
async fn known(sources: Vec<Source>, store: &Store) -> Result<Vec<(Source, PluginId)>, StoreError> {
    let mut known = Vec::with_capacity(sources.len());
    for source in sources {
        let (name, sha256) = (
            source.plugin.name().to_owned(),
            source.plugin.sha256().to_owned(),
        );
        let record = PluginRecord {
            name,
            version: source.plugin.description().version.clone(),
            sha256,
        };
        let plugin = store.plugin(record).await?;
        known.push((source, plugin));
    }
    Ok(known)
}

/// Returns the destinations that were renamed or removed while alerts of senders wait for them,
/// with the number of these alerts. They stay in the store; the operator must know.
///
/// Internal alerts do not count. They fire anew at the present `operator_destination`. An alert
/// about them could stay open for ever, although nothing is lost.
fn strays(
    config: &Config,
    reader: &DueReader,
    waiting: &[String],
) -> anyhow::Result<Vec<(String, i64)>> {
    let known: HashSet<&str> = config
        .destinations
        .iter()
        .map(|destination| destination.name.as_str())
        .collect();
    let mut gone = Vec::new();
    for destination in waiting {
        if !known.contains(destination.as_str()) {
            let alerts = reader.count_waiting_for(destination)?;
            if alerts == 0 {
                continue;
            }
            tracing::error!(
                destination,
                alerts,
                "alerts wait for a destination that is not configured any more; \
                they are kept, and go out once a destination has this name again"
            );
            gone.push((destination.clone(), alerts));
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn part_that_ends_or_panics_early_raises_the_alarm() {
        let broken = CancellationToken::new();
        let mut hallway = Hallway::new(&broken);
        hallway.spawn("one that stops in order", |stop| async move {
            stop.cancelled().await
        });
        hallway
            .stop(Instant::now() + Duration::from_secs(60), "all")
            .await;
        assert!(!broken.is_cancelled());

        for panics in [false, true] {
            let broken = CancellationToken::new();
            let mut hallway = Hallway::new(&broken);
            hallway.spawn("one that is gone", |_| async move {
                assert!(!panics, "on purpose")
            });
            broken.cancelled().await;
        }
    }
}

//! The whole gateway: assembled from its configuration, run, reloaded, and shut down in order.
//!
//! Start: the store (so that a second gateway stops here), the plugins, the listeners, then
//! delivery of the backlog of earlier runs. Shutdown: no new connections, drain the requests under
//! way, drain the deliveries under way, store the sources' heartbeats, close the store.

pub mod control;
mod deliveries;
mod leading;
mod listening;
mod logging;
mod parts;
mod reload;
mod secrets;
mod setup;
pub mod shadow;
mod systemd;
mod tasks;
pub mod testing;
mod traces;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alert_gateway_sandbox::Compiler;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Desk};
use crate::config::{Config, Listen};
use crate::health::Health;
use crate::hops::{self, Hop};
use crate::http::{self, Client, Listener};
use crate::intake::Intake;
use crate::log_filter::LogFilter;
use crate::monitor::Direct;
use crate::store::{self, Closing, Retention, Spool, Store};

use control::{Asked, Asking};
use deliveries::Deliveries;
use leading::Leading;
use parts::Parts;
use reload::Reloading;
use tasks::Tasks;
use testing::Tester;

pub use listening::{bind, open};
pub use setup::{sandbox, warnings};

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
    intake: Tasks,
    delivery: Tasks,
    monitor: Tasks,
    monitoring: Tasks,
    reloading: Reloading,
    deliveries: Deliveries,
    asked: mpsc::Receiver<Asked>,
    tests: mpsc::Receiver<hops::Asked>,
    tester: Tester,
    testing: JoinSet<()>,
    health: Health,
    closing: Closing,
    /// The spool, and the store that it goes into.
    spool: Option<(Spool, Store)>,
    log: LogFilter,
    grace: Duration,
    broken: CancellationToken,
}

/// Options of benchmarks and demonstrations.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Options of the store.
    pub store: store::Options,
    /// The filter of the log.
    pub log: LogFilter,
    /// The program that compiles plugins, where that is not this one.
    pub compiler: Option<Compiler>,
}

impl Gateway {
    /// Starts the gateway. Requests are accepted once this returns.
    ///
    /// # Errors
    /// Anything that keeps it from working as configured; nothing runs then.
    pub async fn start(config: &Config, options: &Options) -> anyhow::Result<Self> {
        let started = Instant::now();
        let starting = systemd::starting();
        let parts = Parts::assemble(config, options).await?;
        let listening = parts.senders.listener.socket.address()?;
        let address = listening.map_or_else(|| config.gateway.listen.clone(), Listen::Tcp);
        let admin = match &parts.admin {
            Some((opened, _)) => opened.listener.socket.address()?,
            None => None,
        };
        // From here on nothing fails: what is sent now will be settled.
        let gateway = Self::run(config, parts, address, admin, options.log.clone());
        gateway.health.set_ready(true, None);
        let address = &gateway.address;
        let admin = admin.map(tracing::field::display);
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(%address, admin, took_ms, "ready");
        drop(starting);
        systemd::ready(&reload::summary(config));
        Ok(gateway)
    }

    /// Runs the parts: the store and the deliveries first, the listener for senders last.
    fn run(
        config: &Config,
        parts: Parts,
        address: Listen,
        admin: Option<SocketAddr>,
        log: LogFilter,
    ) -> Self {
        let grace = config.gateway.shutdown_grace;
        let broken = CancellationToken::new();
        let [mut intake, mut delivery, mut monitor, mut monitoring] =
            std::array::from_fn(|_| Tasks::new(&broken));
        let store = parts.store;

        let kept = store.clone();
        delivery.spawn("the store", |stop| async move {
            tokio::select! {
                () = kept.ended() => {}
                () = stop.cancelled() => {}
            }
        });
        let mut deliveries = parts.deliveries;
        deliveries.apply(parts.change, &mut delivery);
        let retention = Retention {
            age: config.retention.age,
            size: config.retention.size,
            identities: config.retention.identities,
            operator_destination: config.gateway.operator_destination.clone(),
        };
        let swept = store.clone();
        let kept_metrics = parts.metrics.clone();
        delivery.spawn("retention", |stop| {
            store::keep_within(swept, retention, kept_metrics, stop)
        });
        let timed = store.clone();
        delivery.spawn("groups and timers", |stop| {
            store::pass_time(timed, parts.timers, stop)
        });

        let reloaded = parts.reloading.subscribe();
        let leading = Leading {
            plan: parts.plan,
            store: store.clone(),
            health: parts.health.clone(),
            metrics: parts.metrics.clone(),
        };
        let first = parts.monitor;
        monitor.spawn("the monitor", |stop| leading.monitor(first, reloaded, stop));
        if store.is_shared() {
            let shared = store.clone();
            let health = parts.health.clone();
            monitor.spawn("the news of other gateways", |stop| {
                store::share_heard(shared, health, stop)
            });
        }
        let operator = config.gateway.operator_destination.as_deref();
        if let Some(client) = operator.and_then(|name| deliveries.client(name)) {
            let direct = Direct::new(client, &store);
            monitor.spawn("the monitor of the store", |stop| direct.run(stop));
        }
        monitor.spawn("the heartbeat", |stop| parts.pings.run(stop));
        if let Some(exporter) = parts.exporter {
            // It ends with monitoring, after the last attempt.
            monitoring.spawn("the export of spans", |stop| exporter.run(stop));
        }
        let watched = broken.clone();
        monitor.spawn("the watchdog", |stop| systemd::watchdog(watched, stop));

        if let Some((opened, pages)) = parts.admin {
            monitoring.follow(opened.certificate);
            let live = pages.clone();
            monitoring.spawn("live updates", |stop| live.watch(stop));
            monitoring.spawn("monitoring", |stop| {
                serve_admin(opened.listener, pages, grace, stop)
            });
        }

        let asked = serve_control(
            &config.gateway.data_dir,
            parts.tests,
            parts.desk,
            &mut intake,
        );
        intake.follow(parts.senders.certificate);
        intake.spawn("replays", |stop| parts.replayer.run(stop));
        intake.spawn("mutes", |stop| parts.muter.run(stop));
        let spool = parts.spool.map(|spool| (spool, store.clone()));
        if let Some((spool, store)) = spool.clone() {
            intake.spawn("the spool", |stop| spool.run(store, stop));
        }
        let listener = parts.senders.listener;
        let entrance = parts.intake;
        intake.spawn("the listener", |stop| {
            serve_senders(config, listener, entrance, stop)
        });
        Self {
            address,
            admin,
            intake,
            delivery,
            monitor,
            monitoring,
            reloading: parts.reloading,
            deliveries,
            asked,
            tests: parts.asked_tests,
            tester: parts.tester,
            testing: JoinSet::new(),
            health: parts.health,
            closing: parts.closing,
            spool,
            log,
            grace,
            broken,
        }
    }

    /// Is cancelled when a task has ended early: the gateway would look alive, but part of it is
    /// not.
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    /// Begins a test that an operator asks for, beside all else.
    fn test(&mut self, asked: hops::Asked) {
        if self.testing.len() >= testing::TESTS {
            let found = format!("{} other tests run", testing::TESTS);
            // The one who asked hears nothing else.
            let _ = asked
                .hops
                .try_send(Hop::failed("test", found, "ask again in a minute"));
            return;
        }
        let clients = self.deliveries.clients();
        self.testing.spawn(self.tester.clone().run(asked, clients));
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
        // After the last request.
        if let Some((spool, store)) = self.spool {
            spool
                .close(&store, deadline.max(Instant::now() + MOMENT))
                .await;
        }
        // After them, so that it knows every request; it has time to store that, however long they
        // took.
        self.monitor
            .stop(deadline.max(Instant::now() + MOMENT), "the monitor")
            .await;
        self.monitoring
            .stop(Instant::now() + MOMENT, "monitoring")
            .await;
        // It holds the admin listener's readers. The writer closes the file last, or else the log
        // stays beside it.
        drop(self.reloading);
        if self.closing.close().await {
            tracing::info!("stopped; all that was accepted is on disk");
        }
    }
}

/// Serves monitoring until `stop` is cancelled.
fn serve_admin(
    listener: Listener,
    pages: Admin,
    grace: Duration,
    stop: CancellationToken,
) -> impl Future<Output = ()> {
    http::serve(listener, http::ADMIN, stop, grace, move |request, peer| {
        let (head, body) = request.into_parts();
        pages.clone().answer(head, Some(body), peer)
    })
}

/// Serves senders until `stop` is cancelled, over as many connections as memory and file
/// descriptors allow beside those of monitoring and deliveries.
fn serve_senders(
    config: &Config,
    listener: Listener,
    intake: Arc<Intake>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let proxies = Arc::new(config.gateway.trusted_proxies.clone());
    let destinations = config.destinations.iter();
    let attempts: usize = destinations
        .map(|destination| destination.concurrency)
        .sum();
    let wanted = http::connections_within(config.gateway.memory);
    let connections = http::connections_beside(http::ADMIN + attempts, wanted);
    let grace = config.gateway.shutdown_grace;
    http::serve(listener, connections, stop, grace, move |request, peer| {
        let client = Client::of(peer, request.headers(), &proxies);
        let intake = Arc::clone(&intake);
        async move { intake.answer(request, client).await }
    })
}

/// Serves the control socket, and returns what is asked there.
fn serve_control(
    data_dir: &Path,
    tests: mpsc::Sender<hops::Asked>,
    desk: Arc<Desk>,
    tasks: &mut Tasks,
) -> mpsc::Receiver<Asked> {
    let (asks, asked) = mpsc::channel(1);
    let asking = Asking {
        asked: asks,
        tests,
        desk,
    };
    match control::bind(data_dir) {
        Ok(socket) => tasks.spawn("the control socket", |stop| {
            control::serve(socket, asking, stop)
        }),
        // SIGHUP does the same.
        Err(error) => {
            tracing::warn!(%error, "`alert-gateway reload` does not reach this gateway: its socket cannot be made in data_dir");
        }
    }
    asked
}

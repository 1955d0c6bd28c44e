//! The parts of a gateway, assembled from its configuration. Nothing of them runs yet, so whatever
//! fails leaves nothing behind.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::Options;
use super::deliveries::{Change, Deliveries};
use super::listening::{self, Opened};
use super::reload::{Followers, Reloading};
use super::setup;
use super::testing::Tester;
use super::traces::Exporter;
use crate::admin::{About, Admin, Catalogue, Desk};
use crate::config::{Config, Listen, causes};
use crate::health::Health;
use crate::hops;
use crate::intake::{Intake, Muter, Replayer};
use crate::metrics::Metrics;
use crate::monitor::{Beat, Monitor, Pings, Plan, Reloaded};
use crate::policy::CurrentMutes;
use crate::recent::Recent;
use crate::sources;
use crate::spans::Spans;
use crate::store::{Closing, Location, Snapshot, Spool, Store};

/// The parts of a gateway.
pub struct Parts {
    pub store: Store,
    pub closing: Closing,
    /// The requests that wait for the store, where it may be away.
    pub spool: Option<Spool>,
    pub metrics: Metrics,
    pub health: Health,
    pub intake: Arc<Intake>,
    pub muter: Muter,
    pub replayer: Replayer,
    pub monitor: Option<Monitor>,
    /// The plan that the monitor begins with, each time that this gateway leads the others.
    pub plan: Plan,
    pub pings: Pings,
    pub reloading: Reloading,
    pub deliveries: Deliveries,
    /// The first change of the deliveries: all of them begin.
    pub change: Change,
    /// The reader of the task of groups and timers.
    pub timers: Snapshot,
    /// Takes tests, for the control socket.
    pub tests: mpsc::Sender<hops::Asked>,
    /// Has those that are asked for.
    pub asked_tests: mpsc::Receiver<hops::Asked>,
    /// Makes them.
    pub tester: Tester,
    /// Looks at the gateway, for the control socket.
    pub desk: Arc<Desk>,
    /// The export of spans, where one is configured.
    pub exporter: Option<Exporter>,
    /// The listener for senders.
    pub senders: Opened,
    /// The listener for monitoring, and its pages.
    pub admin: Option<(Opened, Admin)>,
}

impl Parts {
    /// Assembles the parts: the store first, so that a second gateway stops here, then the plugins
    /// and the listeners.
    ///
    /// # Errors
    /// Anything that keeps the gateway from working as configured.
    pub async fn assemble(config: &Config, options: &Options) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        let health = Health::default();
        let recent = Recent::default();
        let location = Location::of(config).context("cannot use [store]")?;
        // It says what waits, also where the database does not answer.
        let spool = setup::spool(config, &metrics, &health);
        let (store, closing) = Store::open(&location, &options.store, metrics.clone())
            .with_context(|| format!("cannot open the store in {}", location.shown()))?;
        let loaded =
            sources::load(config, &setup::cached_sandbox(config, options.compiler)?).await?;
        for cause in causes(&setup::warnings(config, &loaded)) {
            tracing::warn!("{cause}");
        }
        let catalogue = watch::Sender::new(Catalogue::of(config, &loaded.sources));
        let listen = &config.gateway.listen;
        let tls = config.gateway.tls.as_ref();
        let senders = listening::open(listen, tls, "listen", &metrics).await?;
        let (tests, asked_tests) = mpsc::channel(1);
        let about = About {
            metrics: metrics.clone(),
            health: health.clone(),
            store: store.clone(),
            recent: recent.clone(),
            catalogue: catalogue.subscribe(),
            tests: tests.clone(),
            log: options.log.clone(),
        };
        let desk = Arc::new(Desk::new(config, about));
        let admin = admin(config, &desk).await?;

        let snapshot = store.snapshot()?;
        let waiting = snapshot.waiting_for()?;
        let gone = setup::strays(config, &snapshot, &waiting)?;
        let plan = Plan {
            sources: loaded.sources.iter().map(setup::expected).collect(),
            destinations: setup::destination_names(config),
            operator_destination: config.gateway.operator_destination.clone(),
            waiting,
            gone,
            mutes: CurrentMutes::default(),
        };
        loaded.sources.iter().for_each(setup::announce);
        let (spans, exporter) = match &config.gateway.traces {
            Some(traces) => {
                let (spans, exporter) =
                    Exporter::new(traces).context("cannot use traces in [gateway]")?;
                (spans, Some(exporter))
            }
            None => (Spans::default(), None),
        };
        let intake = Intake::new(
            config.gateway.memory,
            config.gateway.public_url.path(),
            config.gateway.operator_destination.clone(),
            store.clone(),
            health.clone(),
            metrics.clone(),
            recent.clone(),
        );
        let intake = intake.spooled(spool.clone()).muted_by(plan.mutes.clone());
        let intake = Arc::new(intake.traced(spans.clone()));
        let known = setup::known(loaded.sources, &store).await?;
        let destinations = setup::destination_names(config);
        intake.open(known, config.mutes.clone(), destinations.into());
        let listening = senders.listener.socket.address()?;
        let tester = Tester {
            intake: Arc::clone(&intake),
            store: store.clone(),
            health: health.clone(),
            recent,
            listen: listening.map_or_else(|| listen.clone(), Listen::Tcp),
            speaks_tls: tls.is_some(),
            public_url: config.gateway.public_url.clone(),
        };
        let muter = Muter::new(Arc::clone(&intake), store.snapshot()?)?;
        let replayer = Replayer::new(Arc::clone(&intake), store.due_reader()?, store.history()?);
        let reloaded = Reloaded {
            sources: plan.sources.clone(),
            destinations: plan.destinations.clone(),
            since: tokio::time::Instant::now(),
        };
        let beat = config.gateway.heartbeat.as_ref().map(Beat::new);
        let beat = beat.transpose().context("cannot use the heartbeat's url")?;
        let heartbeat = watch::Sender::new(beat);
        let pings = Pings::new(
            heartbeat.subscribe(),
            health.clone(),
            store.clone(),
            metrics.clone(),
        );
        let followers = Followers {
            catalogue,
            admin: admin.as_ref().map(|(_, pages)| pages.clone()),
            heartbeat,
        };
        let reloading = Reloading::new(
            config,
            reloaded,
            Arc::clone(&intake),
            store.clone(),
            metrics.clone(),
            followers,
            options.compiler,
        );
        let deliveries = Deliveries::new(store.clone(), health.clone(), metrics.clone(), spans);
        Ok(Self {
            muter,
            replayer,
            monitor: match store.is_shared() {
                true => None,
                false => Some(Monitor::new(
                    &plan,
                    store.clone(),
                    health.clone(),
                    metrics.clone(),
                )?),
            },
            plan,
            pings,
            reloading,
            change: deliveries.change(config).await?,
            deliveries,
            timers: store.snapshot()?,
            tests,
            asked_tests,
            tester,
            desk,
            exporter,
            senders,
            admin,
            intake,
            store,
            closing,
            spool,
            metrics,
            health,
        })
    }
}

/// Returns the listener for monitoring with its pages, where one is configured.
async fn admin(config: &Config, desk: &Arc<Desk>) -> anyhow::Result<Option<(Opened, Admin)>> {
    let Some(admin) = &config.gateway.admin else {
        return Ok(None);
    };
    let pages = Admin::new(config, admin, Arc::clone(desk))?;
    let listen = Listen::Tcp(admin.address);
    let metrics = &desk.about.metrics;
    let opened = listening::open(&listen, admin.tls.as_ref(), "admin", metrics).await?;
    Ok(Some((opened, pages)))
}

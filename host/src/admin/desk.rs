//! What the admin listener looks at: the running gateway, its store, and its configuration as
//! understood.

use std::sync::Arc;

use hyper::header::HeaderName;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::readers::Readers;
use crate::clock::wall_ms;
use crate::config::{self, Config, Secret, StoreKind};
use crate::health::Health;
use crate::hops;
use crate::log_filter::LogFilter;
use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::sources::{RequestMask, Source, Summary};
use crate::store::{FallsBack, Store};

/// The parts of a running gateway that the admin listener shows.
#[derive(Debug, Clone)]
pub struct About {
    /// The metrics.
    pub metrics: Metrics,
    /// The health board.
    pub health: Health,
    /// The store.
    pub store: Store,
    /// The last requests that left nothing in the store.
    pub recent: Recent,
    /// The configuration in force, as far as a reload changes it.
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
    /// Takes the tests that operators ask for.
    pub tests: mpsc::Sender<hops::Asked>,
    /// The filter of the log.
    pub log: LogFilter,
}

/// The part of a configuration that a reload changes, as operators see it.
#[derive(Debug)]
pub struct Catalogue {
    /// The sources, in the order of the file.
    pub sources: Arc<[Summary]>,
    /// The destinations, in the order of the file.
    pub destinations: Vec<DestinationFacts>,
    /// The mutes, in the order of the file.
    pub mutes: Vec<config::Mute>,
    /// Its secrets, to be hidden in what leaves.
    pub secrets: Vec<Secret>,
    /// True if there is a token or a user to log in with.
    pub has_login: bool,
    /// The keys of `[gateway]`, `[admin]` and `[retention]`, as understood.
    pub settings: Vec<(&'static str, String)>,
}

/// All that an answer is made from.
#[derive(Debug)]
pub struct Desk {
    /// The running gateway.
    pub about: About,
    /// The readers of its store.
    pub readers: Readers,
    /// The facts of its configuration that do not change while it runs.
    pub facts: Facts,
}

/// Facts that need a restart to change; no secret.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The name of this gateway: that of its machine, but where it shares its store under another.
    pub node: String,
    /// The start of the gateway: Unix milliseconds.
    pub started_ms: i64,
    /// The file of the configuration.
    pub file: String,
}

/// A destination as it is configured.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationFacts {
    /// Its name.
    pub name: String,
    /// Its kind; [`REMOVED`] where alerts wait for it and the configuration has none of its name.
    pub kind: &'static str,
    /// Its address, without a credential.
    pub address: String,
    /// The number of deliveries that may run at once.
    pub concurrency: usize,
    /// The destination in its place for alerts that it does not take.
    pub fallback: Option<String>,
    /// The time until that gets them, in seconds.
    pub fallback_after_s: Option<f64>,
    /// True if internal alerts about other destinations go there.
    pub operator: bool,
}

impl Desk {
    /// Looks at a gateway that runs with this configuration.
    pub fn new(config: &Config, about: About) -> Self {
        let readers = Readers::new(about.store.clone());
        Self {
            readers,
            facts: Facts::of(config),
            about,
        }
    }

    /// Returns the sources of the configuration in force.
    pub fn sources(&self) -> Arc<[Summary]> {
        Arc::clone(&self.catalogue().sources)
    }

    /// Returns the configuration in force, as far as a reload changes it.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.about.catalogue.borrow())
    }

    /// Returns what hides the credentials in requests of a source.
    pub fn mask(&self, source: &str) -> Arc<RequestMask> {
        let sources = self.sources();
        let found = sources.iter().find(|one| *one.name == *source);
        found.map_or_else(Arc::default, |found| Arc::clone(&found.mask))
    }
}

/// The kind of a destination that was removed.
pub const REMOVED: &str = "removed";

impl DestinationFacts {
    /// The facts of a destination that was removed.
    pub fn removed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: REMOVED,
            address: String::new(),
            concurrency: 0,
            fallback: None,
            fallback_after_s: None,
            operator: false,
        }
    }

    /// Returns the way of an alert that waits since this time: Unix milliseconds, by the store's
    /// clock.
    pub fn falls_back(&self, since_ms: i64) -> Option<FallsBack> {
        FallsBack::of(self.fallback.as_deref()?, self.fallback_after_s?, since_ms)
    }
}

impl Catalogue {
    /// The facts of this configuration, whose sources were loaded.
    pub fn of(config: &Config, sources: &[Source]) -> Arc<Self> {
        let operator = config.gateway.operator_destination.as_deref();
        let destinations = config.destinations.iter();
        let destinations = destinations.map(|destination| DestinationFacts {
            name: destination.name.clone(),
            kind: destination.kind.as_str(),
            address: destination.kind.shown(),
            concurrency: destination.concurrency,
            fallback: destination
                .fallback
                .as_ref()
                .map(|fallback| fallback.destination.clone()),
            fallback_after_s: destination
                .fallback
                .as_ref()
                .map(|fallback| fallback.after.as_secs_f64()),
            operator: operator == Some(&destination.name),
        });
        Arc::new(Self {
            sources: sources.iter().map(Summary::of).collect(),
            destinations: destinations.collect(),
            mutes: config.mutes.clone(),
            secrets: config.secrets(),
            has_login: config
                .gateway
                .admin
                .as_ref()
                .is_some_and(|admin| !admin.tokens.is_empty() || !admin.users.list.is_empty()),
            settings: settings(config),
        })
    }
}

impl Facts {
    fn of(config: &Config) -> Self {
        let node = match &config.store {
            StoreKind::Postgres(shared) => shared.node.clone(),
            // The kernel's own; a machine without it has no name.
            StoreKind::Embedded => std::fs::read_to_string("/proc/sys/kernel/hostname")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        };
        Self {
            node,
            started_ms: wall_ms(),
            file: config.path.display().to_string(),
        }
    }
}

/// Returns the keys that are shown; none where nobody can look at them.
fn settings(config: &Config) -> Vec<(&'static str, String)> {
    let gateway = &config.gateway;
    let Some(admin) = &gateway.admin else {
        return Vec::new();
    };
    let operator = gateway.operator_destination.as_deref();
    let yes = |is_so: bool, word: &str| if is_so { word } else { "none" }.to_owned();
    let certificate = admin
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    let asks = !admin.tokens.is_empty() || !admin.users.is_empty();
    let asked = match (asks, certificate) {
        (false, true) => "a client certificate",
        (false, false) => "nothing, because only this machine reaches it",
        (true, true) => "a client certificate and a token or a user",
        (true, false) => "a token or a user",
    };
    let users = admin.users.list.iter();
    let users = users.map(|user| {
        format!(
            "{} ({})",
            user.name,
            if user.operates { "operator" } else { "viewer" }
        )
    });
    let users: Vec<_> = users.collect();
    let retention = &config.retention;
    // As it is written in the file, without the quotes.
    let size = |bytes| config::size_text(bytes).trim_matches('"').to_owned();
    vec![
        ("listen", gateway.listen.to_string()),
        ("tls", yes(gateway.tls.is_some(), "a certificate in a file")),
        ("public_url", gateway.public_url.to_string()),
        ("data_dir", gateway.data_dir.display().to_string()),
        ("memory", size(gateway.memory)),
        (
            "shutdown_grace",
            config::shown_duration(gateway.shutdown_grace),
        ),
        (
            "operator_destination",
            operator.unwrap_or("none").to_owned(),
        ),
        ("admin", admin.address.to_string()),
        ("admin asks for", asked.to_owned()),
        (
            "admin users",
            if users.is_empty() {
                "none".to_owned()
            } else {
                users.join(", ")
            },
        ),
        (
            "admin user_header",
            admin
                .users
                .header
                .as_ref()
                .map_or("none", HeaderName::as_str)
                .to_owned(),
        ),
        ("retention age", config::shown_duration(retention.age)),
        (
            "retention size",
            size(usize::try_from(retention.size).unwrap_or(usize::MAX)),
        ),
    ]
}

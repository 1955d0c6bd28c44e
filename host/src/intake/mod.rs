//! Intake: from a sender's request to an answer that is true.
//!
//! The order is what matters: who is it for, may it come in, is there room for it, all of its body,
//! what does the plugin make of it, keep it on disk, and only then answer. A request that ends
//! before the disk was asked leaves nothing behind; one whose sender hangs up after that is kept
//! whole, because the store's writer does not depend on the one who asked.

mod admission;
mod awaited;
mod conditions;
mod ending;
mod fetch;
mod keep;
mod mutes;
mod notes;
mod prepare;
mod rate;
mod received;
mod refusals;
mod replay;
mod report;
pub mod route;
pub mod shadow;
mod trace;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, StatusCode};
use plugin_sdk::contract::{self, ProofIdentity};
use uuid::Uuid;

use crate::alert::internal::{self, Topic};
use crate::clock::wall_ms;
use crate::config::Mute;
use crate::health::Health;
use crate::http::{self, Client};
use crate::log_throttle::LogThrottle;
use crate::metrics::{FailureLabels, Metrics, RequestLabels, SourceLabel};
use crate::policy::{CurrentMutes, Policy};
use crate::recent::Recent;
use crate::sources::{ReadError, Source};
use crate::spans::{self, Active, Spans};
use crate::store::{Notice, PluginId, Spool, Store};
use alert_gateway_sandbox::CallError;
use conditions::Condition;
use notes::Reasons;

pub use admission::Admission;
pub use awaited::{Awaited, Awaiting, HEADER as TEST_HEADER, Marked, Seen};
pub use ending::{Ending, alerts_of};
pub use fetch::Fetcher;
pub use mutes::Muter;
pub use received::{Gate, Received, Refusal, receive};
use refusals::Refusals;
pub use replay::Replayer;

/// The way in, for all sources.
#[derive(Debug)]
pub struct Intake {
    /// Taken out once for each request, so that all of it goes by the same.
    sources: RwLock<Arc<Entrances>>,
    mutes: Mutex<mutes::Held>,
    current_mutes: CurrentMutes,
    admission: Arc<Admission>,
    public_path: String,
    store: Store,
    /// Takes what the store does not, where the configuration says so.
    spool: Option<Spool>,
    /// The destination that is told of a storm.
    operator_destination: Option<String>,
    health: Health,
    metrics: Metrics,
    /// What leaves nothing in the store.
    recent: Recent,
    /// The tests whose requests are on their way.
    awaited: Awaited,
    throttle: LogThrottle,
    /// The refusals of paths without a source.
    refusals: Refusals,
    fetcher: Fetcher,
    spans: Spans,
}

/// The path where a load balancer asks whether the process answers. No source has this path.
const HEALTH: &str = "/healthz";

/// A source, what a request has to pass to it, and the number under which the store knows its
/// plugin.
#[derive(Debug)]
struct Entrance {
    source: Source,
    policy: Policy,
    /// The destination that is told of a storm.
    operator_destination: Option<String>,
    /// The names of all destinations.
    destinations: Arc<[String]>,
    gate: Gate,
    plugin: PluginId,
    standing: Arc<Standing>,
}

impl Entrance {
    /// Returns the words of the plugin, without what they may repeat of the source's secrets, and of
    /// what is masked in its stored requests.
    fn said(&self, words: &str) -> String {
        let words = self.source.request_mask().text(words);
        match self.policy.stored() {
            Some(redactor) => redactor.text(&words).0,
            None => words,
        }
    }
}

/// The state of a source that outlives a configuration.
#[derive(Debug)]
struct Standing {
    /// True if no more of them are kept.
    full: Condition,
    /// True if requests of proved senders are refused for their shape.
    rejected: Condition,
    /// The reason why requests could not be read.
    reasons: Reasons,
    /// The refusals of requests that prove nothing.
    refusals: Refusals,
}

/// By the names of their sources.
type Entrances = HashMap<Arc<str>, Entrance>;

impl Intake {
    /// The way in, to no source yet: see [`Intake::open`]. `public_path` is the path of the public
    /// URL, which a proxy may or may not strip.
    pub fn new(
        memory: usize,
        public_path: &str,
        operator_destination: Option<String>,
        store: Store,
        health: Health,
        metrics: Metrics,
        recent: Recent,
    ) -> Self {
        let sources = RwLock::default();
        let admission = Admission::within(memory);
        let public_path = public_path.to_owned();
        let throttle = LogThrottle::default();
        Self {
            sources,
            mutes: Mutex::default(),
            current_mutes: CurrentMutes::default(),
            admission,
            public_path,
            store,
            spool: None,
            operator_destination,
            health,
            metrics,
            recent,
            awaited: Awaited::default(),
            throttle,
            refusals: Refusals::default(),
            fetcher: Fetcher::default(),
            spans: Spans::default(),
        }
    }

    /// Records spans of each request to a source.
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Keeps requests in a spool, where there is one, while the store does not take them.
    pub fn spooled(self, spool: Option<Spool>) -> Self {
        Self { spool, ..self }
    }

    /// Keeps the mutes that hold where others ask for them as well.
    pub fn muted_by(self, current_mutes: CurrentMutes) -> Self {
        Self {
            current_mutes,
            ..self
        }
    }

    /// Opens the way to these sources, each with the number of its plugin, and closes it to all
    /// others, in one step. A request under way ends with the source that it began with. One of the
    /// same name as before holds what that held, and has as much of its rate left: a new
    /// configuration is no new allowance. `destinations` are the names of all that are configured.
    pub fn open(
        &self,
        sources: Vec<(Source, PluginId)>,
        mutes: Vec<Mute>,
        destinations: Arc<[String]>,
    ) {
        self.configure_mutes(mutes);
        let before = self.entrances();
        let enter = |(source, plugin): (Source, PluginId)| {
            let (gate, standing) = match before.get(&source.name) {
                Some(entrance) => (
                    entrance.gate.with(source.limits()),
                    Arc::clone(&entrance.standing),
                ),
                None => (
                    Gate::new(self.admission.join(), source.limits()),
                    Arc::new(self.standing(&source.name)),
                ),
            };
            let policy = Policy::of(&source.configured);
            (
                Arc::clone(&source.name),
                Entrance {
                    source,
                    policy,
                    operator_destination: self.operator_destination.clone(),
                    destinations: Arc::clone(&destinations),
                    gate,
                    plugin,
                    standing,
                },
            )
        };
        let entrances: Arc<Entrances> = Arc::new(sources.into_iter().map(enter).collect());
        *self.sources.write() = Arc::clone(&entrances);
        for source in entrances.keys() {
            self.metrics
                .add_source(source, &Ending::OUTCOMES, &CallError::KINDS);
        }
        let gone = before.iter();
        for (source, entrance) in gone.filter(|(name, _)| !entrances.contains_key(*name)) {
            self.metrics
                .remove_source(source, &Ending::OUTCOMES, &CallError::KINDS);
            entrance.standing.reasons.end(source, &self.metrics);
        }
        self.recent.keep(|source| entrances.contains_key(source));
    }

    /// The sources as they are now.
    fn entrances(&self) -> Arc<Entrances> {
        Arc::clone(&self.sources.read())
    }

    /// Answers a request of `client`, once all that it carries is on disk.
    pub async fn answer(&self, mut request: Request<Incoming>, client: Client) -> http::Answer {
        let started = Instant::now();
        let uri = request.uri().clone();
        let method = request.method().clone();
        if uri.path() == HEALTH
            || uri.path().strip_prefix(self.public_path.as_str()) == Some(HEALTH)
        {
            return health(request.method());
        }
        let number = Uuid::now_v7();
        let id = number.to_string();
        let entrances = self.entrances();
        let found = route::find(&self.public_path, uri.path())
            .and_then(|route| Some((entrances.get(route.source)?, route.suffix)));
        let mut test = self.awaited.by_header(request.headers_mut());
        let mut span = match found {
            Some((entrance, _)) => self.begin(&id, &entrance.source, &mut request),
            None => Active::default(),
        };
        let (ending, proved) = match found {
            None => (Ending::NoSource, false),
            Some((entrance, suffix)) => {
                self.take(&id, entrance, suffix, client, request, &mut test)
                    .await
            }
        };
        let source = found.map(|(entrance, _)| &entrance.source);
        self.count(source, &ending, started);
        if test.is_none() {
            self.hear(source, &ending, proved);
        }
        self.tell(&ending);
        match found {
            // A test says nothing of the sender.
            Some(_) if test.is_some() => {}
            Some((entrance, _)) => self.judge(entrance, &id, &ending, proved),
            None => {
                let sources = entrances.values().map(|entrance| &entrance.source);
                let lost = report::Lost::of(uri.path(), sources);
                report::report_path(&id, &lost, client, &self.throttle);
                self.trace_lost(&id, client, method.as_str(), &lost);
            }
        }
        match test {
            // The one who tests is told, and the log is not filled.
            Some(test) => {
                let refused = trace::refused(&ending, source);
                let source = source.map(|source| &*source.name);
                test.tell(&id, source, client, ending.outcome(), refused);
            }
            None => report::report(&id, source, client, &ending, &self.throttle),
        }
        span.set("alert_gateway.outcome", ending.outcome());
        let is_stored = matches!(ending, Ending::Accepted { .. } | Ending::Kept);
        let answer = ending.into_answer(&id, source);
        let status = answer.status();
        if is_stored {
            let answers = &self.recent.answers;
            answers.push(number.as_u128(), status.as_u16(), started.elapsed());
        }
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.fail(|| status.to_string());
        }
        if status.is_client_error() && !proved {
            let refusals =
                found.map_or(&self.refusals, |(entrance, _)| &entrance.standing.refusals);
            refusals.pace().await;
        }
        answer
    }

    /// Begins the span of a request, whose parts find it in the request's extensions.
    fn begin(&self, id: &str, source: &Source, request: &mut Request<Incoming>) -> Active {
        if !self.spans.are_on() {
            return Active::default();
        }
        let traceparent = request.headers().get(spans::TRACEPARENT);
        let mut span = self
            .spans
            .request(id, traceparent.map(HeaderValue::as_bytes));
        span.set("alert_gateway.request_id", id);
        span.set("alert_gateway.source", &*source.name);
        span.set("http.request.method", request.method().as_str());
        request.extensions_mut().insert(span.below());
        span
    }

    async fn take(
        &self,
        id: &str,
        entrance: &Entrance,
        suffix: &str,
        client: Client,
        request: Request<Incoming>,
        test: &mut Option<Marked>,
    ) -> (Ending, bool) {
        let mut received = match receive(
            id,
            &entrance.source,
            &entrance.gate,
            &self.fetcher,
            suffix,
            client,
            request,
        )
        .await
        {
            Ok(received) => received,
            Err(refusal) => {
                if test.is_none() {
                    self.trace_refused(id, entrance, suffix, client, &refusal);
                }
                return (refusal.ending, refusal.proved);
            }
        };
        if test.is_none() {
            let source = &entrance.source.name;
            *test = self.awaited.by_body(source, &received.body);
        }
        received.is_test = test.is_some();
        let proved = received.proved;
        (self.take_in(entrance, received, client).await, proved)
    }

    async fn take_in(&self, entrance: &Entrance, received: Received, client: Client) -> Ending {
        match self.read(entrance, &received).await {
            Ok(contract::Answer::Reply {
                status,
                headers,
                body,
            }) => received
                .reply(body.bytes().into_owned())
                .map_or_else(Ending::NoRoom, |body| ending::reply(status, &headers, body)),
            Ok(answer)
                if self
                    .is_confirmed(&entrance.source, &received, &answer)
                    .await =>
            {
                let ending = Ending::Ignored("its sender is confirmed, as it asked".to_owned());
                self.trace_read(entrance, &received, client, &ending);
                ending
            }
            Ok(mut answer) => {
                let checked = received
                    .proof
                    .as_ref()
                    .and_then(|proved| proved.proof.clone());
                let proof = checked.or_else(|| match &mut answer {
                    contract::Answer::Alerts(alerts) => alerts.proof.take(),
                    _ => None,
                });
                self.take_alerts(entrance, received, client, answer, proof)
                    .await
            }
            // Not the plugin's fault, and nothing that an operator could fix: the sender is to send
            // it again.
            Err(error) if error.is_busy() => Ending::Busy(error),
            // Read again later, it would be no test any more.
            Err(error) if received.is_test => {
                Ending::Ignored(format!("the plugin failed: {error}"))
            }
            Err(error) => self.keep_raw(entrance, received, &error).await,
        }
    }

    /// Gets the address by which a proved sender wants to be confirmed, where the plugin declares it
    /// and takes the request. Returns whether that is done.
    async fn is_confirmed(
        &self,
        source: &Source,
        received: &Received,
        answer: &contract::Answer,
    ) -> bool {
        let may = received.proved
            && !received.is_test
            && matches!(answer, contract::Answer::Alerts(alerts) if !alerts.is_empty());
        if !may {
            return false;
        }
        let id = &*received.id;
        match self.fetcher.confirm(source, &received.body).await {
            None => false,
            Some(Ok(())) => {
                let source = &*source.name;
                tracing::info!(source, request = id, "the sender is confirmed, as it asked");
                true
            }
            Some(Err(error)) => {
                let source = &*source.name;
                if let Some(left_out) = self.throttle.due(source, "unconfirmed") {
                    let help = "open the link of its alert";
                    tracing::warn!(
                        source,
                        request = id,
                        error,
                        help,
                        left_out,
                        "the sender cannot be confirmed"
                    );
                }
                false
            }
        }
    }

    async fn take_alerts(
        &self,
        entrance: &Entrance,
        received: Received,
        client: Client,
        answer: contract::Answer,
        proof: Option<ProofIdentity>,
    ) -> Ending {
        match alerts_of(answer) {
            Ok(alerts) => {
                self.note(entrance, &received.id, &alerts);
                self.keep_alerts(entrance, received, alerts, proof).await
            }
            Err(ending) => {
                self.trace_read(entrance, &received, client, &ending);
                ending
            }
        }
    }

    async fn read(
        &self,
        entrance: &Entrance,
        received: &Received,
    ) -> Result<contract::Answer, ReadError> {
        let source = &entrance.source;
        let started = Instant::now();
        let mut span = received.below.part("plugin");
        span.set("alert_gateway.plugin", source.plugin.name());
        let answer = received.read(source).await;
        if let Err(error) = &answer {
            span.fail(|| entrance.said(&error.to_string()));
        }
        drop(span);
        let label = SourceLabel {
            source: Arc::clone(&source.name),
        };
        self.metrics
            .plugin_duration
            .get_or_create(&label)
            .observe(started.elapsed().as_secs_f64());
        if let Err(error) = &answer {
            let labels = FailureLabels {
                source: Arc::clone(&source.name),
                kind: error.kind(),
            };
            self.metrics.plugin_failures.get_or_create(&labels).inc();
        }
        answer
    }

    /// Tells `/readyz` whether requests can be kept. A proxy may send nothing more to a gateway that
    /// is not ready; then the monitor's probe finds out that the disk is well again.
    fn tell(&self, ending: &Ending) {
        let may_have_changed = match ending {
            Ending::Store(_) => true,
            Ending::Accepted { .. } | Ending::Kept => self.health.is_unstored(),
            _ => false,
        };
        if may_have_changed {
            self.health.set_unstored(|| self.store.unstored());
        }
    }

    /// Fires and resolves the internal alerts about this source that follow from how a request
    /// ended.
    fn judge(&self, entrance: &Entrance, id: &str, ending: &Ending, proved: bool) {
        let Entrance {
            source, standing, ..
        } = entrance;
        let now = tokio::time::Instant::now();
        let mut events = Vec::new();
        match ending {
            _ if proved && ending.is_refused_for_its_shape() => {
                let told = standing.rejected.is_wrong(now);
                events.extend(told.then(|| internal::rejected(&source.name, ending.outcome(), id)));
            }
            Ending::QuotaUsedUp => {
                let count = keep::UNPROVEN.count;
                let mib = keep::UNPROVEN.bytes >> 20;
                let told = standing.full.is_wrong(now);
                events.extend(told.then(|| internal::quota_used_up(&source.name, count, mib)));
            }
            Ending::Accepted { .. } => {
                events.extend(
                    standing
                        .rejected
                        .is_well(now)
                        .then(|| Topic::Rejected.resolves(&source.name)),
                );
                events.extend(
                    standing
                        .full
                        .is_well(now)
                        .then(|| Topic::QuotaUsedUp.resolves(&source.name)),
                );
            }
            _ => {}
        }
        for event in events {
            let notice = Notice {
                destination: source.destination.to_string(),
                event,
                at_ms: wall_ms(),
            };
            let store = self.store.clone();
            // The sender does not wait for it.
            tokio::spawn(async move {
                if let Err(error) = store.tell(notice).await {
                    tracing::warn!(%error, "an internal alert could not be kept");
                }
            });
        }
    }

    /// The standing of a source, with the internal alerts that an earlier run has left open.
    fn standing(&self, source: &str) -> Standing {
        let told = self
            .store
            .snapshot()
            .and_then(|snapshot| snapshot.told())
            .unwrap_or_default();
        let is_open = |topic: Topic| told.iter().any(|told| told.key == topic.key(source));
        Standing {
            full: Condition::new(is_open(Topic::QuotaUsedUp)),
            rejected: Condition::new(is_open(Topic::Rejected)),
            reasons: Reasons::default(),
            refusals: Refusals::default(),
        }
    }

    fn count(&self, source: Option<&Source>, ending: &Ending, started: Instant) {
        let label = label(source);
        self.metrics
            .request_duration
            .get_or_create(&label)
            .observe(started.elapsed().as_secs_f64());
        self.count_activity(&label.source, ending);
        self.metrics
            .requests
            .get_or_create(&RequestLabels {
                source: label.source,
                outcome: ending.outcome(),
            })
            .inc();
    }

    /// Takes down that the sender of a source is alive, where a request that ended so shows it.
    fn hear(&self, source: Option<&Source>, ending: &Ending, proved: bool) {
        if ending.shows_the_sender(proved) {
            let label = label(source);
            let now_ms = wall_ms();
            self.metrics
                .source_last_seen
                .get_or_create(&label)
                .set(now_ms as f64 / 1000.0);
            self.health.heard(&label.source, now_ms);
        }
    }
}

/// Returns the label of a source. A request for nobody has an empty source: its path is the
/// sender's to choose, and must make no series.
fn label(source: Option<&Source>) -> SourceLabel {
    let source = source.map_or_else(|| "".into(), |source| Arc::clone(&source.name));
    SourceLabel { source }
}

/// Answers a load balancer, which asks only whether the process answers.
fn health(method: &Method) -> http::Answer {
    if matches!(*method, Method::GET | Method::HEAD) {
        return http::answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n");
    }
    let mut answer = http::problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address answers GET and HEAD",
        None,
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

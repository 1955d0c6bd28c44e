//! Every bundled plugin in the real sandbox, against ten thousand mutations of real requests; and the
//! cases of the scripts.

use std::sync::Arc;

use alert_gateway_plugins::{Bundled, script};
use alert_gateway_sandbox::{
    Beginning, CallLimits, Description, Measured, Plugin, Sandbox, SandboxOptions,
};
use plugin_sdk::case::{self, Case};
use plugin_sdk::contract::{Alert, Answer, Body, Request, Status};
use plugin_sdk::signature::{Scheme, sha256};
use plugin_sdk::testing::{self, hostile};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{random, root};

const REQUESTS: usize = 10_000;

/// The requests of a script, which takes some fifty times as long for each. There are many scripts,
/// and their engine meets all of them.
const REQUESTS_OF_A_SCRIPT: usize = 500;

const MIB: usize = 1024 * 1024;

/// The limits of a source, with more time: the machine may be busy with other tests.
const LIMITS: CallLimits = CallLimits {
    time: std::time::Duration::from_secs(20),
    memory: 16 * MIB,
    output: MIB,
};

/// Every second request is signed, if its scheme is known, so that it gets past the proof of the
/// sender.
#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_request_breaks_a_plugin() {
    let sandbox = sandbox();
    let seed: [u8; 32] = std::array::from_fn({
        let mut random = random();
        move |_| random.u8(..)
    });
    let mut plugins = JoinSet::new();
    for bundled in alert_gateway_plugins::all() {
        let plugin = Arc::new(load(&sandbox, bundled).await);
        let real = cases_of(bundled)
            .into_iter()
            .map(|case| case.request)
            .collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng);
        let count = match bundled.configuration {
            [] => REQUESTS,
            _ => REQUESTS_OF_A_SCRIPT,
        };
        plugins.spawn(survives(plugin, real, runner, count));
    }
    plugins.join_all().await;
}

/// A member that is missing or of another type, anywhere in a real body, breaks no plugin, and what a
/// script makes of nothing stands in no alert. JSON in a text counts as a part of the body. Each member
/// is left out, and is something else by turns.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_member_breaks_no_plugin_and_is_no_text() {
    let sandbox = sandbox();
    let mut random = random();
    let mut plugins = JoinSet::new();
    for bundled in alert_gateway_plugins::all() {
        let plugin = Arc::new(load(&sandbox, bundled).await);
        let bodies = cases_of(bundled).into_iter().filter_map(|case| {
            let body = serde_json::from_slice(&case.request.body.bytes()).ok()?;
            Some((case.request, body))
        });
        let mut random = random.fork();
        let mut requests = Vec::new();
        for (request, body) in bodies {
            requests.extend(wrong_members(&body, &mut random).into_iter().map(|body| {
                let mut request = request.clone();
                request.body = Body::from_bytes(body.to_string().into_bytes());
                sign(&mut request, plugin.description());
                request
            }));
        }
        assert!(
            bundled.configuration.is_empty() || requests.len() > 50,
            "{}: {} requests",
            bundled.name,
            requests.len()
        );
        plugins.spawn(async move {
            for request in requests {
                match answer(&plugin, &request).await {
                    // The engine's own cases have scripts of their own.
                    Answer::Alerts(alerts) if !bundled.configuration.is_empty() => {
                        for alert in alerts {
                            assert_says_nothing_of_nothing(&plugin, &request, alert);
                        }
                    }
                    _ => {}
                }
            }
        });
    }
    plugins.join_all().await;
}

/// A script's cases name no limits: `every_bundled_case_passes_under_a_sources_limits` does.
#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_a_script_is_answered() {
    let sandbox = sandbox();
    let all = alert_gateway_plugins::all();
    let mut loaded = Vec::new();
    for bundled in all.iter().filter(|one| !one.configuration.is_empty()) {
        let plugin = load(&sandbox, bundled).await;
        let mut statuses = Vec::new();
        for case in cases_of(bundled) {
            let input = serde_json::to_vec(&case.request).unwrap();
            let name = format!("{}/{}", bundled.name, case.name);
            let prepared = starts_once(&plugin, &name, &case, &input).await;
            let measured = prepared.measure("case", &input, &LIMITS).await;
            let answer = measured
                .answer
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Err(difference) = case.compare(&String::from_utf8_lossy(&measured.output)) {
                panic!("{name}: {difference}");
            }
            if let Answer::Alerts(alerts) = answer {
                statuses.extend(
                    alerts
                        .into_iter()
                        .map(|alert| (alert.key().to_owned(), alert)),
                );
            }
        }
        closes_what_it_opens(bundled.name, &statuses);
        loaded.push(plugin);
    }
    assert!(loaded.len() >= 10, "{} scripts", loaded.len());
}

/// A script is run in each call where its start is another each time; and of one that the source's
/// settings do not name, nothing is left.
#[tokio::test]
async fn script_that_asks_for_the_time_early_runs_in_each_call() {
    let plugin = load(
        &sandbox(),
        alert_gateway_plugins::find(script::ENGINE).unwrap(),
    )
    .await;
    for case in cases_of(alert_gateway_plugins::find(script::ENGINE).unwrap()) {
        let input = serde_json::to_vec(&case.request).unwrap();
        starts_once(&plugin, &case.name, &case, &input).await;
    }
    let request = |script: &str| {
        let settings = serde_json::json!({ "script": script }).to_string();
        let request = testing::post("https://gw.example.com/in/js").settings(&settings);
        let input = serde_json::to_vec(&request.body("{}").build()).unwrap();
        (settings, input)
    };
    for (begins, reason) in [
        ("const at = new Date();", Some("the time")),
        ("const at = Date.now();", Some("the time")),
        ("const at = Math.random();", Some("the time")),
        ("const at = performance.now();", Some("the time")),
        ("const at = performance.timeOrigin;", Some("the time")),
        ("const at = JSON.stringify(globalThis);", Some("the time")),
        ("const at = 1; console.log('begun');", Some("it logs")),
        (
            "const at = 1; throw new Error('no');",
            Some("its start fails"),
        ),
        (
            "let at = 0; const map = new Map([[{}, 1], ['a', 2]]);",
            None,
        ),
        (
            "let at = sha256('a') + priority('high') + Object.keys(globalThis);",
            None,
        ),
    ] {
        let script = format!(
            "{begins}\nfunction read() {{ return {{ event_id: 'e', title: [at, Math.random(), new Date(), performance.now(), performance.timeOrigin, Object.keys(globalThis)].join() }}; }}"
        );
        let (settings, input) = request(&script);
        let prepared = plugin.prepared(settings.as_bytes()).await;
        let anew = prepared.beginning().anew;
        match reason {
            Some(reason) => {
                let anew = anew.unwrap_or_default();
                assert!(anew.contains(reason), "{begins}: {anew}");
            }
            None => assert_eq!(anew, None, "{begins}"),
        }
        same_answers(begins, &[&plugin.unprepared(), &plugin, &prepared], &input).await;
        // The settings of a request decide, whatever was made ready.
        let other = request("function read() { return typeof at; }");
        let prepared = plugin.prepared(other.0.as_bytes()).await;
        same_answers(begins, &[&plugin, &prepared], &input).await;
    }
}

/// Returns the plugin as a source has it: it starts once, and gives the answers of one that starts for
/// each request, byte for byte.
async fn starts_once(plugin: &Plugin, name: &str, case: &Case, input: &[u8]) -> Plugin {
    let prepared = plugin
        .prepared(case.request.settings.get().as_bytes())
        .await;
    let Beginning { snapshot, anew } = prepared.beginning();
    assert_eq!(anew, None, "{name}");
    assert!(snapshot > 0, "{name}");
    same_answers(name, &[&plugin.unprepared(), plugin, &prepared], input).await;
    prepared
}

/// Asserts that these forms of a plugin put out the same, each time that they are asked.
pub async fn same_answers(name: &str, forms: &[&Plugin], input: &[u8]) {
    let mut first = None;
    for plugin in forms {
        for _ in 0..2 {
            let Measured { answer, output, .. } = plugin.measure("case", input, &LIMITS).await;
            let told = answer.map_err(|error| error.to_string());
            let found = (format!("{told:?}"), output);
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(*first, found, "{name}");
        }
    }
}

/// Asserts that a case closes what another opens: the key is stable.
fn closes_what_it_opens(name: &str, alerts: &[(String, Alert)]) {
    let closes = alerts
        .iter()
        .filter(|(_, alert)| alert.status == Status::Resolve)
        .any(|(key, _)| {
            let opened =
                |(other, alert): &(String, Alert)| other == key && alert.status == Status::Trigger;
            alerts.iter().any(opened)
        });
    assert!(closes, "{name}: no case closes what another opens");
}

pub fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: 16,
        max_memory: LIMITS.memory,
    })
    .unwrap()
}

async fn load(sandbox: &Sandbox, bundled: &Bundled) -> Plugin {
    sandbox
        .load_configured(bundled.name, bundled.wasm, bundled.configuration)
        .await
        .unwrap()
}

fn cases_of(bundled: &Bundled) -> Vec<Case> {
    let cases = root().join("plugins").join(bundled.name).join("cases");
    case::load(&cases).unwrap()
}

async fn survives(plugin: Arc<Plugin>, real: Vec<Request>, mut runner: TestRunner, count: usize) {
    let requests = hostile::requests(real);
    for number in 0..count {
        let mut request = requests.new_tree(&mut runner).unwrap().current();
        if number % 2 == 0 {
            sign(&mut request, plugin.description());
        }
        answer(&plugin, &request).await;
    }
}

async fn answer(plugin: &Plugin, request: &Request) -> Answer {
    let input = serde_json::to_vec(request).unwrap();
    let answer = plugin.read("hostile", &input, &LIMITS).await;
    answer.unwrap_or_else(|error| panic!("{} fails on {request:?}: {error}", plugin.name()))
}

/// Asserts that an alert's words have no `undefined` and the like, where its request has none.
fn assert_says_nothing_of_nothing(plugin: &Plugin, request: &Request, mut alert: Alert) {
    alert.details = None;
    let said = serde_json::to_string(&alert).unwrap();
    let body = request.body.bytes();
    let body = String::from_utf8_lossy(&body);
    for nothing in ["undefined", "[object ", "NaN"] {
        assert!(
            !said.contains(nothing) || body.contains(nothing),
            "{} says {nothing} in {said}, of {body}",
            plugin.name()
        );
    }
}

/// Returns this value once without each of its members, and once with something else in its place.
fn wrong_members(value: &Value, random: &mut fastrand::Rng) -> Vec<Value> {
    let others = [
        Value::Null,
        json!(true),
        json!(-1.5),
        json!(""),
        json!("x"),
        json!([]),
        json!([null]),
        json!({}),
    ];
    let mut wrong = Vec::new();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let with = |member| {
                    let mut members = members.clone();
                    members.insert(name.clone(), member);
                    Value::Object(members)
                };
                let mut without = members.clone();
                without.remove(name);
                wrong.push(Value::Object(without));
                wrong.push(with(random.choice(&others).unwrap().clone()));
                wrong.extend(wrong_members(member, random).into_iter().map(with));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let with = |item| {
                    let mut items = items.clone();
                    items[at] = item;
                    Value::Array(items)
                };
                wrong.push(with(random.choice(&others).unwrap().clone()));
                wrong.extend(wrong_members(item, random).into_iter().map(with));
            }
        }
        Value::String(text) => {
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                let inner = wrong_members(&inner, random);
                wrong.extend(inner.into_iter().map(|inner| json!(inner.to_string())));
            }
        }
        _ => {}
    }
    wrong
}

/// Signs with the secret in the request's settings: by the scheme that the request shows, or else
/// by one that the plugin declares.
fn sign(request: &mut Request, description: &Description) {
    let settings: Value = serde_json::from_str(request.settings.get()).unwrap();
    let secret = description
        .secrets
        .iter()
        .filter_map(|name| last_text(settings.get(name)?))
        .next_back();
    let ways = description.proof.iter().flat_map(|demand| &demand.any);
    let declared = ways
        .filter(|way| settings.get(&way.secret).is_some())
        .map(|way| way.scheme.clone())
        .next();
    let (Some(scheme), Some(secret)) = (Scheme::of(request).or(declared), secret) else {
        return;
    };
    if scheme == Scheme::Twilio && request.url.contains("bodySHA256") {
        let start = request.url.split('?').next().unwrap_or_default();
        request.url = format!("{start}?bodySHA256={}", sha256(&request.body.bytes()).hex());
    }
    scheme.sign(request, &secret);
}

/// Returns the last text in a value: the password of a login, or the secret itself.
fn last_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.iter().rev().find_map(last_text),
        Value::Object(table) => table
            .get("password")
            .or_else(|| table.values().next_back())
            .and_then(last_text),
        _ => None,
    }
}

//! Every bundled plugin in the real sandbox, against ten thousand mutations of real requests.

use std::sync::Arc;

use alert_gateway_sandbox::{CallLimits, Plugin, Sandbox, SandboxOptions};
use plugin_sdk::case;
use plugin_sdk::contract::Request;
use plugin_sdk::signature::{Scheme, sha256};
use plugin_sdk::testing::hostile;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{random, root};

const REQUESTS: usize = 10_000;

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
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: 16,
        max_memory: LIMITS.memory,
    })
    .unwrap();
    let seed: [u8; 32] = std::array::from_fn({
        let mut random = random();
        move |_| random.u8(..)
    });
    let mut plugins = JoinSet::new();
    for bundled in alert_gateway_plugins::all() {
        let plugin = Arc::new(sandbox.load(bundled.name, bundled.wasm).await.unwrap());
        let cases = root().join("plugins").join(bundled.name).join("cases");
        let real = case::load(&cases)
            .unwrap()
            .into_iter()
            .map(|case| case.request)
            .collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng);
        plugins.spawn(survives(plugin, real, runner));
    }
    plugins.join_all().await;
}

async fn survives(plugin: Arc<Plugin>, real: Vec<Request>, mut runner: TestRunner) {
    let requests = hostile::requests(real);
    for number in 0..REQUESTS {
        let mut request = requests.new_tree(&mut runner).unwrap().current();
        if number % 2 == 0 {
            sign(&mut request, &plugin.description().secrets);
        }
        let input = serde_json::to_vec(&request).unwrap();
        let answer = plugin.read("hostile", &input, &LIMITS).await;
        assert!(
            answer.is_ok(),
            "{} fails on {request:?}: {}",
            plugin.name(),
            answer.unwrap_err()
        );
    }
}

/// Signs with the secret in the request's settings.
fn sign(request: &mut Request, secrets: &[String]) {
    let settings: Value = serde_json::from_str(request.settings.get()).unwrap();
    let secret = secrets
        .iter()
        .filter_map(|name| last_text(settings.get(name)?))
        .next_back();
    let (Some(scheme), Some(secret)) = (Scheme::of(request), secret) else {
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

//! Requests that go straight into a store, without a sender.

use alert_gateway::alert::Alert;
use alert_gateway::policy::Policy;
use alert_gateway::store::{NewAlert, NewRequest, PluginId, PluginRecord, Reading, Store};
use hyper::body::Bytes;
use plugin_sdk::contract::{self, Priority};
use tokio::task::JoinSet;

/// The size of the request that Twilio's documentation shows.
const BODY: Bytes = Bytes::from_static(&[b'x'; 768]);

/// Makes a plugin known to a store.
pub async fn plugin(store: &Store) -> PluginId {
    let record = PluginRecord {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: "00".to_owned(),
    };
    store.plugin(record).await.expect("a plugin")
}

/// Appends the requests of these numbers at once, each with an alert for these destinations.
pub async fn append(
    store: &Store,
    plugin: PluginId,
    numbers: std::ops::Range<u64>,
    destinations: &[&str],
    policy: Option<&Policy>,
) {
    let mut appends = JoinSet::new();
    for number in numbers {
        let (request, reading) = request(number, plugin, destinations, policy);
        let store = store.clone();
        appends.spawn(async move { store.append(request, reading).await });
    }
    while let Some(appended) = appends.join_next().await {
        assert_eq!(appended.expect("no panic").expect("kept").accepted, 1);
    }
}

fn request(
    number: u64,
    plugin: PluginId,
    destinations: &[&str],
    policy: Option<&Policy>,
) -> (NewRequest, Reading) {
    // Spread like real event ids, so that the index over them is met as in life.
    let event_id = format!(
        "NO{:032x}",
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    );
    let details = serde_json::value::to_raw_value(&"x".repeat(600)).expect("a string is JSON");
    let mut event = contract::Alert {
        details: Some(details),
        ..contract::Alert::new(event_id, Priority::High, "title")
    };
    let code = (30_000 + number % 5).to_string();
    event.labels.insert("error_code".to_owned(), code);
    let (event, group, resolve_after) = match policy {
        None => (event, None, None),
        Some(policy) => {
            let decision = policy.decide("twilio", event);
            (decision.alert, decision.group, decision.resolve_after)
        }
    };
    let received_at = "2026-01-01T00:00:00.000Z".to_owned();
    let alert = Alert {
        source: "twilio".to_owned(),
        request: number.to_string(),
        received_at,
        event,
    };
    let request = NewRequest {
        redacted: None,
        sender: None,
        began: None,
        id: uuid::Uuid::now_v7().to_string(),
        source: "twilio".to_owned(),
        received_at: alert_gateway::clock::wall_ms(),
        method: "POST".to_owned(),
        url: "https://alerts.example.com/in/twilio".to_owned(),
        headers: "[]".to_owned(),
        body: BODY,
        plugin,
    };
    let mut new = NewAlert::new(&alert, destinations).expect("it is JSON");
    if let Some(group) = group {
        new = new.grouped(&alert, group, None);
    }
    if let Some(time) = resolve_after {
        new = new.resolved_after(time);
    }
    (request, Reading::alerts(vec![new]))
}

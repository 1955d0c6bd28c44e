//! The real Alertmanager as a sender: what fires in it opens an alert, what resolves closes it, and
//! however often it repeats itself, nobody is paged twice.

use itoc360_double::Received;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{
    Alertmanager, Gateway, Installed, Itoc360, Place, Program, Setup, needs, read,
};

const TOKEN: &str = "canary-of-alertmanager-9d3c";

const PASSWORD: &str = "canary-of-a-login-4e7a";

/// Repeats come every second here, and would be counted.
const DROP: &str = "settings.repeats = \"drop\"";

impl Alertmanager {
    /// Starts one that sends to a source of this name, and shows `proof` (lines of its
    /// `http_config`).
    async fn sending(
        program: &Installed,
        gateway: &Gateway,
        source: &str,
        proof: &str,
        max_alerts: usize,
    ) -> Self {
        let config = format!(
            "route: {{ receiver: gateway, group_by: [alertname], group_wait: 100ms, group_interval: 1s, \
             repeat_interval: 1s }}\n\
             receivers:\n  - name: gateway\n    webhook_configs:\n      - url: http://{}/in/{source}\n        \
             max_alerts: {max_alerts}\n        http_config: {{ {proof} }}\n",
            gateway.address
        );
        Self::start(program, &config).await
    }

    /// Tells it of alerts, as Prometheus does.
    async fn hear(&self, alerts: &[Value]) {
        let body = json!(alerts).to_string();
        let head = format!(
            "POST /api/v2/alerts HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection
            .write_all((head + &body).as_bytes())
            .await
            .unwrap();
        let answer = read(connection).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// An alert that fires on a machine since then.
fn firing(instance: &str, since: Timestamp) -> Value {
    json!({
        "labels": { "alertname": "InstanceDown", "instance": instance, "severity": "critical" },
        "annotations": { "summary": format!("{instance} is down"), "runbook_url": "https://wiki.example.com/down" },
        "startsAt": since.to_string(),
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up+%3D%3D+0",
    })
}

/// The same alert, over.
fn resolved(mut alert: Value) -> Value {
    alert["endsAt"] = Timestamp::now().to_string().into();
    alert
}

fn minutes_ago(count: i64) -> Timestamp {
    Timestamp::now() - count.minutes()
}

/// Shows the token.
fn bearer() -> String {
    format!("authorization: {{ credentials: {TOKEN} }}")
}

async fn start(lines: &str) -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!("plugin = \"alertmanager\"\n{lines}");
    let (place, gateway) = Setup::new(&itoc360)
        .source("prometheus", &lines)
        .start()
        .await;
    (itoc360, place, gateway)
}

/// Waits until the gateway has taken so many notifications.
async fn notifications(gateway: &Gateway, count: f64) {
    gateway
        .metric(
            "alert_gateway_requests_total{source=\"prometheus\",outcome=\"accepted\"}",
            |taken| taken >= count,
        )
        .await;
}

/// The alert as ITOC360 received it: the status, and the fingerprint that it groups by.
fn told(received: &Received) -> (String, String) {
    let event = received.json();
    let text = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    (text("/status"), text("/alerts/0/fingerprint"))
}

#[tokio::test]
async fn alert_opens_once_closes_and_opens_when_it_fires_again() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let (itoc360, _place, gateway) =
        start(&format!("settings.bearer_token = \"{TOKEN}\"\n{DROP}")).await;
    let alertmanager = Alertmanager::sending(&program, &gateway, "prometheus", &bearer(), 0).await;

    let first = firing("web-1:9100", minutes_ago(5));
    alertmanager.hear(std::slice::from_ref(&first)).await;
    let opened = itoc360.requests(1).await.remove(0);
    let (status, fingerprint) = told(&opened);
    assert_eq!(status, "firing");
    let event = opened.json();
    assert_eq!(event["commonAnnotations"]["summary"], "web-1:9100 is down");
    assert_eq!(event["commonLabels"]["severity"], "critical");
    assert_eq!(event["commonLabels"]["instance"], "web-1:9100");
    assert_eq!(event["alerts"][0]["generatorURL"], first["generatorURL"]);
    let details: Value =
        serde_json::from_str(event["commonAnnotations"]["details"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&details["alert"]["labels"], &details["group"]["receiver"]),
        (&first["labels"], &json!("gateway"))
    );

    // It repeats itself every second or so: ITOC360 hears nothing of that.
    notifications(&gateway, 3.0).await;
    assert_eq!(
        (itoc360.tally().requests, itoc360.times_opened(&fingerprint)),
        (1, 1)
    );

    alertmanager.hear(&[resolved(first)]).await;
    let closed = itoc360.requests(2).await.remove(1);
    assert_eq!(told(&closed), ("resolved".to_owned(), fingerprint.clone()));
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.updated, tally.resolved, tally.open),
        (1, 0, 1, 0),
        "{tally:?}"
    );

    alertmanager
        .hear(&[firing("web-1:9100", Timestamp::now())])
        .await;
    let again = itoc360.requests(3).await.remove(2);
    assert_eq!(told(&again), ("firing".to_owned(), fingerprint.clone()));
    assert_eq!(itoc360.times_opened(&fingerprint), 2);
}

#[tokio::test]
async fn each_alert_of_a_group_opens_and_closes_by_itself() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let login = format!("settings.basic = {{ user = \"am\", password = \"{PASSWORD}\" }}\n{DROP}");
    let (itoc360, _place, gateway) = start(&login).await;
    let proof = format!("basic_auth: {{ username: am, password: {PASSWORD} }}");
    let alertmanager = Alertmanager::sending(&program, &gateway, "prometheus", &proof, 0).await;

    let machines = ["web-1", "web-2", "web-3"].map(|machine| firing(machine, minutes_ago(5)));
    alertmanager.hear(&machines).await;
    itoc360.opens_only(3).await;

    alertmanager.hear(&[resolved(machines[1].clone())]).await;
    let closed = itoc360.requests(4).await.remove(3).json();
    assert_eq!(
        (&closed["status"], &closed["commonLabels"]["instance"]),
        (&json!("resolved"), &json!("web-2"))
    );
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.updated, tally.resolved, tally.open),
        (3, 0, 1, 2),
        "{tally:?}"
    );
}

#[tokio::test]
async fn alerts_that_alertmanager_leaves_out_are_told_as_one() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let (itoc360, _place, gateway) =
        start(&format!("settings.bearer_token = \"{TOKEN}\"\n{DROP}")).await;
    let alertmanager = Alertmanager::sending(&program, &gateway, "prometheus", &bearer(), 2).await;
    let machines = ["web-1", "web-2", "web-3"].map(|machine| firing(machine, minutes_ago(5)));
    alertmanager.hear(&machines).await;
    notifications(&gateway, 2.0).await;
    itoc360.opens_only(3).await;
    let summaries = itoc360
        .received()
        .into_iter()
        .map(|one| one.json()["commonAnnotations"]["summary"].to_string());
    let missing = summaries
        .filter(|summary| summary.contains("1 alert is missing from Alertmanager's group"))
        .count();
    assert_eq!(missing, 1);
}

#[tokio::test]
async fn a_firing_that_is_told_again_updates_the_alert() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let (itoc360, _place, gateway) = start(&format!("settings.bearer_token = \"{TOKEN}\"")).await;
    let alertmanager = Alertmanager::sending(&program, &gateway, "prometheus", &bearer(), 0).await;
    alertmanager.hear(&[firing("web-1", minutes_ago(5))]).await;
    let received = itoc360.requests(3).await;
    assert!(received.iter().all(|one| told(one) == told(&received[0])));
    let tally = itoc360.tally();
    assert_eq!((tally.opened, tally.open), (1, 1), "{tally:?}");
}

/// 600 alerts of ordinary size are one notification of more than the 256 KiB that other sources
/// take.
#[tokio::test]
async fn a_storm_in_one_notification_pages_for_each() {
    const ALERTS: usize = 600;
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let (itoc360, _place, gateway) =
        start(&format!("settings.bearer_token = \"{TOKEN}\"\n{DROP}")).await;
    let alertmanager = Alertmanager::sending(&program, &gateway, "prometheus", &bearer(), 0).await;
    let since = minutes_ago(5);
    let storm: Vec<_> = (0..ALERTS)
        .map(|number| {
            let mut alert = firing(&format!("host-{number}.example.com:9100"), since);
            alert["annotations"]["description"] = "x".repeat(200).into();
            alert
        })
        .collect();
    assert!(json!(storm).to_string().len() > 256 * 1024);
    alertmanager.hear(&storm).await;
    itoc360.opens_only(ALERTS).await;
    let details = itoc360
        .received()
        .iter()
        .filter(|one| !one.json()["commonAnnotations"]["details"].is_null())
        .count();
    assert_eq!(details, ALERTS, "all of each alert is kept");
}

#[tokio::test]
async fn wrong_token_is_refused_and_alertmanager_says_so_too() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let (itoc360, _place, mut gateway) =
        start("settings.bearer_token = \"another-token-of-some-length\"").await;
    let mut alertmanager =
        Alertmanager::sending(&program, &gateway, "prometheus", &bearer(), 0).await;
    alertmanager.hear(&[firing("web-1", minutes_ago(5))]).await;
    let refused = |line: &Value| line["err"].as_str()?.contains("403").then_some(());
    alertmanager.process.log("status code 403", refused).await;
    let help = gateway
        .log("rejected", |line| line["help"].as_str().map(str::to_owned))
        .await;
    assert!(
        help.contains("`bearer_token`") && help.contains("http_config"),
        "{help}"
    );
    assert!(!gateway.logged().contains(TOKEN) && !gateway.logged().contains("another-token"));
    assert_eq!(itoc360.tally().requests, 0);
}

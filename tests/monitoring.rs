//! The admin listener: metrics, health and readiness.

use hyper::Method;
use serde_json::json;

use crate::harness::{Itoc360, Setup, plugin, twilio};

#[tokio::test]
async fn every_metric_has_a_sane_value_after_one_delivery() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    gateway
        .post(&twilio::unsigned("/in/twilio", "a=b"))
        .await
        .is_problem(401);
    gateway
        .metric("gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == 1.0
        })
        .await;
    let metrics = gateway.metrics().await;
    let value = |name: &str| {
        *metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in {metrics:#?}"))
    };

    for (name, expected) in [
        (
            concat!(
                "gateway_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"}"
            ),
            1.0,
        ),
        (
            "gateway_requests_total{source=\"twilio\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "gateway_requests_total{source=\"twilio\",outcome=\"unauthenticated\"}",
            1.0,
        ),
        (
            "gateway_request_duration_seconds_count{source=\"twilio\"}",
            2.0,
        ),
        (
            "gateway_request_duration_seconds_bucket{le=\"+Inf\",source=\"twilio\"}",
            2.0,
        ),
        // The unsigned request never reached the plugin.
        (
            "gateway_plugin_duration_seconds_count{source=\"twilio\"}",
            1.0,
        ),
        (
            "gateway_alerts_accepted_total{source=\"twilio\",priority=\"high\"}",
            1.0,
        ),
        (
            "gateway_delivery_attempts_total{destination=\"itoc360\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "gateway_delivery_duration_seconds_count{destination=\"itoc360\"}",
            1.0,
        ),
        (
            "gateway_destination_state{destination=\"itoc360\",state=\"healthy\"}",
            1.0,
        ),
        (
            "gateway_destination_state{destination=\"itoc360\",state=\"failing\"}",
            0.0,
        ),
        (
            "gateway_destination_state{destination=\"itoc360\",state=\"held\"}",
            0.0,
        ),
        ("gateway_alerts{state=\"pending\"}", 0.0),
        ("gateway_alerts{state=\"dead\"}", 0.0),
        ("gateway_requests_failed", 0.0),
        ("gateway_oldest_undelivered_seconds", 0.0),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    for duration in [
        "gateway_request_duration_seconds_sum{source=\"twilio\"}",
        "gateway_plugin_duration_seconds_sum{source=\"twilio\"}",
        "gateway_delivery_duration_seconds_sum{destination=\"itoc360\"}",
        "gateway_store_commit_duration_seconds_sum",
    ] {
        assert!(
            value(duration) > 0.0 && value(duration) < 60.0,
            "{duration} is {}",
            value(duration)
        );
    }
    let commits = value("gateway_store_commit_duration_seconds_count");
    assert!(commits >= 2.0 && value("gateway_store_commit_group_size_count") == commits);
    assert!(value("gateway_store_commit_group_size_sum") >= commits);
    let seen = value("gateway_source_last_seen_timestamp_seconds{source=\"twilio\"}");
    assert!((before - 1.0..before + 60.0).contains(&seen), "{seen}");
}

#[tokio::test]
async fn metrics_are_openmetrics_text_with_help_and_type_for_each() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("broken", &broken, "")
        .start()
        .await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    assert_eq!(
        gateway.post(&plugin::alerts("broken", &[])).await.status,
        202
    );
    // The event's alert, and the gateway's own of the plugin that failed.
    gateway
        .metric("gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == 2.0
        })
        .await;
    let page = gateway.admin(Method::GET, "/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
    for name in [
        "build",
        "requests",
        "request_duration_seconds",
        "source_last_seen_timestamp_seconds",
        "plugin_duration_seconds",
        "plugin_failures",
        "alerts_accepted",
        "delivery_attempts",
        "delivery_duration_seconds",
        "destination_state",
        "alerts",
        "requests_failed",
        "oldest_undelivered_seconds",
        "retention_removed_requests",
        "retention_last_sweep_timestamp_seconds",
        "store_size_bytes",
        "store_log_size_bytes",
        "store_commit_duration_seconds",
        "store_commit_group_size",
    ] {
        for word in ["HELP", "TYPE"] {
            assert!(
                page.body.contains(&format!("# {word} gateway_{name} ")),
                "no {word} of {name} in\n{}",
                page.body
            );
        }
    }
}

#[tokio::test]
async fn admin_listener_serves_health_and_readiness_only() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let health = gateway.admin(Method::GET, "/healthz").await;
    assert_eq!((health.status, &*health.body), (200, "ok\n"));
    gateway.destination("itoc360", "healthy").await;
    let ready = gateway.admin(Method::GET, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &json!(true)));
    assert_eq!(gateway.admin(Method::HEAD, "/healthz").await.status, 200);
    let posted = gateway.admin(Method::POST, "/healthz").await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
    assert_eq!(gateway.admin(Method::GET, "/in/twilio").await.status, 404);
    // Senders see nothing of it but that the gateway is alive, which load balancers ask the public
    // listener.
    assert_eq!(gateway.request(Method::GET, "/healthz").await.status, 200);
    for page in ["/readyz", "/metrics"] {
        gateway.request(Method::GET, page).await.is_problem(404);
    }
}

#[tokio::test]
async fn start_logs_one_line_per_source_with_its_url() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).twilio("second").start().await;
    let said = gateway.logged();
    for name in ["twilio", "second"] {
        let url = format!("{}/in/{name}#rc=3&rp=all", twilio::PUBLIC_URL);
        let lines: Vec<_> = said
            .lines()
            .filter(|line| {
                line.ends_with(&format!("{url}\"}}")) || line.contains(&format!("{url}\""))
            })
            .collect();
        assert_eq!(lines.len(), 1, "{url} is not in one line of\n{said}");
    }
    assert!(
        said.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "not JSON: {said}"
    );
}

#[tokio::test]
async fn admin_listener_can_be_turned_off() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace("admin = \"127.0.0.1:0\"", "admin = \"off\""),
    );
    let mut process = place.launch(&["run"]);
    let admin = process
        .log("ready", |line| {
            (line["message"] == "ready").then(|| line["admin"].clone())
        })
        .await;
    assert_eq!(admin, json!(null));
}

//! The admin listener: metrics, health and readiness.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hyper::Method;
use serde_json::json;

use crate::harness::{Itoc360, Program, Setup, needs, plugin, twilio};

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
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
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
                "alert_gateway_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"}"
            ),
            1.0,
        ),
        (
            "alert_gateway_requests_total{source=\"twilio\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "alert_gateway_requests_total{source=\"twilio\",outcome=\"unauthenticated\"}",
            1.0,
        ),
        (
            "alert_gateway_request_duration_seconds_count{source=\"twilio\"}",
            2.0,
        ),
        (
            "alert_gateway_request_duration_seconds_bucket{le=\"+Inf\",source=\"twilio\"}",
            2.0,
        ),
        // The unsigned request never reached the plugin.
        (
            "alert_gateway_plugin_duration_seconds_count{source=\"twilio\"}",
            1.0,
        ),
        (
            "alert_gateway_alerts_accepted_total{source=\"twilio\",priority=\"high\"}",
            1.0,
        ),
        (
            "alert_gateway_delivery_attempts_total{destination=\"itoc360\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "alert_gateway_delivery_duration_seconds_count{destination=\"itoc360\"}",
            1.0,
        ),
        (
            "alert_gateway_destination_state{destination=\"itoc360\",state=\"healthy\"}",
            1.0,
        ),
        (
            "alert_gateway_destination_state{destination=\"itoc360\",state=\"failing\"}",
            0.0,
        ),
        (
            "alert_gateway_destination_state{destination=\"itoc360\",state=\"held\"}",
            0.0,
        ),
        ("alert_gateway_alerts{state=\"pending\"}", 0.0),
        ("alert_gateway_alerts{state=\"dead\"}", 0.0),
        ("alert_gateway_requests_failed", 0.0),
        ("alert_gateway_oldest_undelivered_seconds", 0.0),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    for duration in [
        "alert_gateway_request_duration_seconds_sum{source=\"twilio\"}",
        "alert_gateway_plugin_duration_seconds_sum{source=\"twilio\"}",
        "alert_gateway_delivery_duration_seconds_sum{destination=\"itoc360\"}",
        "alert_gateway_store_commit_duration_seconds_sum",
    ] {
        assert!(
            value(duration) > 0.0 && value(duration) < 60.0,
            "{duration} is {}",
            value(duration)
        );
    }
    let commits = value("alert_gateway_store_commit_duration_seconds_count");
    assert!(commits >= 2.0 && value("alert_gateway_store_commit_group_size_count") == commits);
    assert!(value("alert_gateway_store_commit_group_size_sum") >= commits);
    let seen = value("alert_gateway_source_last_seen_timestamp_seconds{source=\"twilio\"}");
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
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == 2.0
        })
        .await;
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let page = gateway
        .admin_with(Method::GET, "/metrics", &accept, "")
        .await;
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
                page.body
                    .contains(&format!("# {word} alert_gateway_{name} ")),
                "no {word} of {name} in\n{}",
                page.body
            );
        }
    }
}

#[tokio::test]
async fn series_of_sources_and_destinations_begin_at_zero() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let metrics = gateway.metrics().await;
    for name in [
        "alert_gateway_requests_total{source=\"twilio\",outcome=\"accepted\"}",
        "alert_gateway_requests_total{source=\"twilio\",outcome=\"forbidden\"}",
        "alert_gateway_requests_total{source=\"\",outcome=\"unknown_source\"}",
        "alert_gateway_request_duration_seconds_count{source=\"twilio\"}",
        "alert_gateway_plugin_failures_total{source=\"twilio\",kind=\"trap\"}",
        "alert_gateway_alerts_accepted_total{source=\"twilio\",priority=\"critical\"}",
        "alert_gateway_delivery_attempts_total{destination=\"itoc360\",outcome=\"rejected\"}",
        "alert_gateway_destination_pending{destination=\"itoc360\"}",
        "alert_gateway_destination_oldest_pending_seconds{destination=\"itoc360\"}",
        "alert_gateway_reloads_total{outcome=\"refused\"}",
        "alert_gateway_heartbeats_sent_total{outcome=\"failed\"}",
        "alert_gateway_retention_removed_requests_total{cause=\"size\"}",
    ] {
        assert_eq!(metrics.get(name), Some(&0.0), "{name} in {metrics:#?}");
    }
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(
            metrics.get(name).is_some_and(|value| *value > 0.0),
            "{name}"
        );
    }
}

#[tokio::test]
async fn metrics_in_the_older_format_are_clean_for_promtool() {
    let Some(promtool) = needs(Program::Promtool) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let page = gateway.admin(Method::GET, "/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let mut check = promtool
        .command()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(page.body.as_bytes()).unwrap();
    drop(stdin);
    let checked = check.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(
        checked.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/monitoring")
}

#[test]
fn example_rules_fire_as_their_cases_say() {
    let Some(promtool) = needs(Program::Promtool) else {
        return;
    };
    let tested = promtool
        .command()
        .args(["test", "rules", "alert-gateway.rules.test.yml"])
        .current_dir(examples())
        .output()
        .unwrap();
    assert!(
        tested.status.success(),
        "{}{}",
        String::from_utf8_lossy(&tested.stdout),
        String::from_utf8_lossy(&tested.stderr)
    );
}

/// Families that appear with their first event.
const LATER: [&str; 6] = [
    "alert_gateway_fallbacks",
    "alert_gateway_notes",
    "alert_gateway_source_heartbeat_missed",
    "alert_gateway_source_last_seen_timestamp_seconds",
    "alert_gateway_tls_certificate_expiry_timestamp_seconds",
    "alert_gateway_unreadable",
];

#[tokio::test]
async fn examples_for_monitoring_use_only_metrics_that_exist() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    // The series of a destination begin with the task that delivers to it.
    gateway.destination("itoc360", "healthy").await;
    let accept = [("accept", "application/openmetrics-text")];
    let page = gateway
        .admin_with(Method::GET, "/metrics", &accept, "")
        .await
        .body;
    let families: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let dashboard = std::fs::read_to_string(examples().join("grafana-dashboard.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(
        parsed["panels"]
            .as_array()
            .is_some_and(|all| all.len() > 10)
    );
    let rules = std::fs::read_to_string(examples().join("alert-gateway.rules.yml")).unwrap();
    let mut used = 0;
    for text in [dashboard, rules] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("alert_gateway_")) {
            let family = ["_bucket", "_total", "_info"]
                .iter()
                .find_map(|suffix| word.strip_suffix(suffix))
                .unwrap_or(word);
            assert!(
                families.contains(family) || LATER.contains(&family),
                "{word} is no metric"
            );
            used += 1;
        }
    }
    assert!(used > 30, "{used}");
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
    // The socket shows the gateway as well, while there is one.
    let top = place.run(&["top"]).await;
    assert_eq!(top.code, Some(0), "{top:?}");
    assert!(top.stdout.contains("\nDESTINATION"), "{}", top.stdout);
    drop(process);
    let top = place.run(&["top"]).await;
    assert_eq!(top.code, Some(1), "{top:?}");
    let said = "no gateway runs with the data directory";
    assert!(top.stderr.contains(said), "{}", top.stderr);
}

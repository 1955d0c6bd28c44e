//! Distributed tracing: spans of a request from its sender to the receipt, at a scripted collector.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Itoc360, Setup, Sink, plugin, twilio, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

/// The spans that a collector has, by their names.
fn spans(collector: &Sink) -> BTreeMap<String, Vec<Value>> {
    let mut spans: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for post in collector.received() {
        assert_eq!(post.header("authorization"), "Bearer collector-token");
        assert_eq!(post.header("content-type"), "application/json");
        let scope = &post.json()["resourceSpans"][0];
        let service = &scope["resource"]["attributes"][0];
        assert_eq!(service["value"]["stringValue"], "alert-gateway");
        for span in scope["scopeSpans"][0]["spans"].as_array().unwrap() {
            let name = span["name"].as_str().unwrap().to_owned();
            let named = spans.entry(name).or_default();
            // A batch that was refused comes again.
            if named.iter().all(|one| one["spanId"] != span["spanId"]) {
                named.push(span.clone());
            }
        }
    }
    spans
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|one| one["key"] == name);
    let value = &found.unwrap_or_else(|| panic!("{name} in {span:#}"))["value"];
    value.get("stringValue").unwrap_or(&value["intValue"])
}

#[tokio::test]
async fn request_is_traced_from_its_sender_to_the_receipt() {
    let itoc360 = Itoc360::alertmanager().await;
    let collector = Sink::start().await;
    let destination = Sink::start().await;
    // The first batch finds it busy.
    let mut first = true;
    collector.answers(move |_| {
        let status = if std::mem::take(&mut first) { 503 } else { 200 };
        (status, Vec::new(), String::new())
    });
    let broken = plugin::hostile("(unreachable)");
    let (_place, gateway) = Setup::new(&itoc360)
        .gateway(&format!(
            "traces = {{ url = \"{}\", token = \"collector-token\" }}",
            collector.url("")
        ))
        .destination_of(
            "hook",
            &format!("kind = \"webhook\"\nurl = \"{}\"", destination.url("/")),
        )
        .plugin("parrot", &plugin::parrot(), "")
        .plugin("broken", &broken, "")
        .start()
        .await;
    let sampled = format!("00-{TRACE}-{SENDER}-01");
    let post = plugin::alerts("parrot", &[plugin::alert("a")]);
    let accepted = gateway.post(&post.header("traceparent", &sampled)).await;
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    let of_sender = accepted.json()["request"].as_str().unwrap().to_owned();
    let own = gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let not_sampled = format!("00-{TRACE}-{SENDER}-00");
    let silent = plugin::alerts("parrot", &[plugin::alert("b")]);
    gateway
        .post(&silent.header("traceparent", &not_sampled))
        .await;
    let failed = gateway.post(&plugin::alerts("broken", &[])).await;
    assert_eq!(failed.status, 202);

    let spans = until("all spans are exported", async || {
        let spans = spans(&collector);
        let count = |name: &str| spans.get(name).map_or(0, Vec::len);
        let done = count("request") >= 3 && count("attempt") >= 2;
        done.then_some(spans)
    })
    .await;
    let of = |name: &str, request: &str| -> Value {
        let found = spans[name]
            .iter()
            .find(|span| attribute(span, "alert_gateway.request_id") == request);
        found
            .unwrap_or_else(|| panic!("{name} of {request}"))
            .clone()
    };
    let request = of("request", &of_sender);
    assert_eq!(
        [&request["traceId"], &request["parentSpanId"]],
        [TRACE, SENDER]
    );
    assert_eq!(attribute(&request, "alert_gateway.source"), "parrot");
    assert_eq!(attribute(&request, "http.response.status_code"), "200");
    let attempt = of("attempt", &of_sender);
    assert_eq!(attempt["traceId"], TRACE);
    assert_eq!(attempt["parentSpanId"], request["spanId"]);
    assert_eq!(attribute(&attempt, "alert_gateway.outcome"), "accepted");
    // What the destination got names the attempt.
    let sent = destination.received();
    let passed: Vec<&str> = sent.iter().map(|sent| sent.header("traceparent")).collect();
    let span = attempt["spanId"].as_str().unwrap();
    assert!(
        passed.contains(&&*format!("00-{TRACE}-{span}-01")),
        "{passed:?}"
    );

    // Without a sender's trace the request's id is the trace.
    let request = of("request", &own);
    assert_eq!(request["traceId"], own.replace('-', ""));
    assert_eq!(request.get("parentSpanId"), None);
    for part in ["plugin", "append"] {
        let parts = spans[part].iter();
        let mut own = parts.filter(|span| span["traceId"] == request["traceId"]);
        assert_eq!(
            own.next().unwrap()["parentSpanId"],
            request["spanId"],
            "{part}"
        );
    }
    let failed = spans["plugin"]
        .iter()
        .find(|span| span["status"]["code"] == 2);
    assert!(failed.is_some(), "{:#?}", spans["plugin"]);
    // Nothing of what its sender does not sample.
    assert_eq!(spans["request"].len(), 3, "{:#?}", spans["request"]);
}

#[tokio::test]
async fn collector_that_is_away_costs_spans_alone() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360)
        .gateway("traces = { url = \"http://127.0.0.1:9\" }")
        .start()
        .await;
    let id = gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    place.event_in_state(&id, "delivered").await;
    gateway
        .log("the loss is told", |line| {
            (line["message"] == "spans were not exported; see traces in [gateway]").then_some(())
        })
        .await;
    let stopped = gateway.stop().await;
    assert_eq!(stopped.code, Some(0));
}

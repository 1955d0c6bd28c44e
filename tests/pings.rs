//! The gateway's own heartbeat: sent while all is well, and withheld while it is not.

use crate::harness::{Itoc360, Setup, Sink, twilio, until};

fn pings(outcome: &str) -> String {
    format!("alert_gateway_heartbeats_sent_total{{outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn heartbeat_is_sent_only_while_nothing_waits_too_long() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    let url = sink.url("/ping/canary-of-a-heartbeat");
    let (place, gateway) = Setup::new(&itoc360)
        .file("url", url)
        .gateway("heartbeat = { url = { file = \"url\" }, every = \"1s\", oldest = \"1s\" }")
        .start()
        .await;
    let ping = sink.requests(2).await.remove(0);
    assert_eq!(ping.method, "GET");
    assert_eq!(ping.uri.path(), "/ping/canary-of-a-heartbeat");
    assert!(ping.header("user-agent").starts_with("alert-gateway/"));
    const LAST: &str = "alert_gateway_heartbeat_last_sent_timestamp_seconds";
    gateway.metric(LAST, |at| at > 0.0).await;

    itoc360.down().await;
    // Where the start took its time, its first one was withheld.
    let withheld = pings("withheld");
    let at_start = gateway.metrics().await.get(&withheld).copied();
    let at_start = at_start.unwrap_or_default();
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    gateway
        .metric(&withheld, |count| count >= at_start + 1.0)
        .await;
    let before = sink.received().len();
    gateway
        .metric(&withheld, |count| count >= at_start + 2.0)
        .await;
    assert_eq!(sink.received().len(), before);

    // A reload takes up the file of another URL, here by itself.
    place.write("url", sink.url("/ping/canary-of-another"));
    itoc360.up().await;
    itoc360.opens_only(1).await;
    sink.requests(before + 1).await;
    let other = async || {
        let received = sink.received();
        received
            .iter()
            .any(|ping| ping.uri.path() == "/ping/canary-of-another")
            .then_some(())
    };
    until("the other URL is pinged", other).await;
    sink.answers_with(500, "");
    gateway.metric(&pings("failed"), |count| count >= 1.0).await;
    let said = gateway.stop().await.stderr;
    assert!(
        said.contains("an alert has waited for longer than 1s"),
        "{said}"
    );
    assert!(said.contains("a heartbeat could not be sent"), "{said}");
    assert!(!said.contains("canary-of-"), "{said}");
}

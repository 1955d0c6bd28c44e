//! ITOC360 fails in every way that it can, and recovers: nothing is lost, nothing is opened twice,
//! nobody restarts anything.

use std::time::Duration;

use hyper::Method;
use itoc360_double::Reply;
use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Setup, twilio, until};

mod answers;
mod line;
mod slow_start;
mod tls;
mod urgent;

/// The number of events that come in while it is down: enough that five of them are put off, and
/// one more that waits its turn.
const EVENTS: usize = 6;

async fn post(gateway: &Gateway, source: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to(source))
            .await;
    }
}

/// The attempts at the one alert of an event.
fn attempts(event: &Value) -> &[Value] {
    event["alerts"][0]["attempts"].as_array().unwrap()
}

/// The statuses that the attempts were answered with.
fn statuses(event: &Value) -> Vec<Option<u64>> {
    attempts(event)
        .iter()
        .map(|attempt| attempt["status"].as_u64())
        .collect()
}

fn delivery(outcome: &str) -> String {
    format!(
        "alert_gateway_delivery_attempts_total{{destination=\"itoc360\",outcome=\"{outcome}\"}}"
    )
}

/// Waits until the destination is failing for this reason, and asserts that it is to be seen
/// wherever an operator looks.
async fn failing_because(place: &Place, gateway: &Gateway, said: &str) {
    let failing = gateway.destination("itoc360", "failing").await;
    assert!(failing["why"].as_str().unwrap().contains(said), "{failing}");
    let state = |state: &str| {
        format!("alert_gateway_destination_state{{destination=\"itoc360\",state=\"{state}\"}}")
    };
    gateway
        .metric(&state("failing"), |failing| failing == 1.0)
        .await;
    gateway
        .metric(&state("healthy"), |healthy| healthy == 0.0)
        .await;
    gateway
        .metric(&delivery("retry"), |count| count >= 5.0)
        .await;
    let logged = |line: &Value| line["why"].as_str()?.contains(said).then_some(());
    until("a line with the reason", async || {
        gateway
            .logged()
            .lines()
            .find_map(|line| logged(&serde_json::from_str(line).unwrap_or_default()))
    })
    .await;
    first_attempt_said(place, said).await;
    assert_eq!(
        gateway.admin(Method::GET, "/readyz").await.status,
        200,
        "senders are still served"
    );
}

/// Waits until each of so many events is delivered, by the same gateway, and asserts that each
/// opened one alert.
async fn recovers(gateway: &Gateway, itoc360: &Itoc360, events: usize) {
    itoc360.opens_only(events).await;
    gateway.destination("itoc360", "healthy").await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == events as f64
        })
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    assert_eq!(itoc360.tally().opened, events);
}

/// Waits until an attempt at an event is written down, and gives the event.
async fn attempted(place: &Place, number: usize) -> Value {
    until("an attempt", async || {
        let event = place.event(&twilio::sid(number)).await;
        (!attempts(&event).is_empty()).then_some(event)
    })
    .await
}

/// Waits until the first attempt at event 0 is written down, and asserts that it said this.
async fn first_attempt_said(place: &Place, said: &str) {
    let event = attempted(place, 0).await;
    assert!(
        attempts(&event)[0]["said"].as_str().unwrap().contains(said),
        "{event}"
    );
    assert_eq!(attempts(&event)[0]["outcome"], "retry");
}

#[tokio::test]
async fn alerts_wait_out_500s_and_go_out_after_recovery() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(500, "database is down"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..8).await;
    let failing = gateway.destination("itoc360", "failing").await;
    assert!(
        failing["why"]
            .as_str()
            .unwrap()
            .contains("500 Internal Server Error (database is down)"),
        "{failing}"
    );
    gateway
        .metric(&delivery("retry"), |count| count >= 5.0)
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 8.0
        })
        .await;
    gateway
        .metric("alert_gateway_oldest_undelivered_seconds", |age| age > 0.0)
        .await;
    assert_eq!(place.list(&["--state", "pending"]).await.len(), 8);
    first_attempt_said(&place, "database is down").await;

    itoc360.recovers();
    itoc360.opens_only(8).await;
    gateway.destination("itoc360", "healthy").await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 8.0
        })
        .await;
    gateway
        .metric("alert_gateway_oldest_undelivered_seconds", |age| age == 0.0)
        .await;
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    let statuses = statuses(&event);
    assert!(
        statuses.len() >= 2
            && statuses[..statuses.len() - 1]
                .iter()
                .all(|status| *status == Some(500))
    );
    assert_eq!(statuses.last(), Some(&Some(200)));
}

#[tokio::test]
async fn alert_blocked_among_accepted_ones_holds_them_up_only_twice() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers_to(|body| {
        if body.contains(&twilio::sid(0)) {
            Reply::error(403, "Forbidden")
        } else {
            Reply::Ok
        }
    });
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..1).await;
    gateway.destination("itoc360", "held").await;
    let mut others = 0;
    while attempts(&place.event(&twilio::sid(0)).await)
        .last()
        .is_none_or(|last| last["outcome"] != "retry")
    {
        others += 1;
        post(&gateway, "twilio", others..others + 1).await;
        itoc360.open(others).await;
    }
    gateway.destination("itoc360", "healthy").await;
    post(&gateway, "twilio", others + 1..others + 9).await;
    itoc360.opens_only(others + 8).await;
    assert_eq!(
        place.list(&["--state", "pending"]).await.len(),
        1,
        "it is not given up"
    );
    itoc360.recovers();
    itoc360.opens_only(others + 9).await;
    let said = gateway.stop().await.stderr;
    assert_eq!(said.matches("the destination is held").count(), 2, "{said}");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let itoc360 = Itoc360::alertmanager().await;
    let patience = ("Retry-After".to_owned(), "2".to_owned());
    itoc360.answers(move |number| match number {
        1 => Reply::Status {
            code: 429,
            headers: vec![patience.clone()],
            body: String::new(),
        },
        _ => Reply::Ok,
    });
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..1).await;
    let pause = itoc360.pause().await;
    assert!(pause >= Duration::from_millis(1990), "{pause:?}");
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    assert_eq!(statuses(&event), [Some(429), Some(200)]);
}

#[tokio::test]
async fn unanswered_attempt_ends_at_the_configured_timeout() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::Hang);
    let (place, gateway) = Setup::new(&itoc360)
        .delivery("timeout = \"300ms\"")
        .start()
        .await;
    post(&gateway, "twilio", 0..1).await;
    first_attempt_said(&place, "within 300ms").await;
    itoc360.recovers();
    itoc360.opens_only(1).await;
    assert_eq!(
        statuses(&place.event_in_state(&twilio::sid(0), "delivered").await)[0],
        None
    );
}

#[tokio::test]
async fn alerts_wait_out_refused_connections_and_go_out_after() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    itoc360.down().await;
    post(&gateway, "twilio", 0..EVENTS).await;
    failing_because(&place, &gateway, "connect").await;
    itoc360.up().await;
    recovers(&gateway, &itoc360, EVENTS).await;
}

#[tokio::test]
async fn alert_with_a_lost_answer_is_resent_and_opens_nothing_new() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|number| match number {
        1 => Reply::Lost,
        2 => Reply::Close,
        _ => Reply::Ok,
    });
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..1).await;
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    assert_eq!(statuses(&event), [None, None, Some(200)]);
    let tally = itoc360.tally();
    assert_eq!((tally.opened, tally.updated, tally.open), (1, 1, 1));
}

#[tokio::test]
async fn answer_200_without_a_receipt_counts() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::Garbage);
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..1).await;
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    assert_eq!(statuses(&event), [Some(200)]);
    itoc360.opens_only(1).await;
}

/// Each has a destination of its own, so that their waits run side by side; and one that is well is
/// not held up.
#[tokio::test]
async fn blocking_answer_holds_its_destination_alone_until_fixed() {
    let well = Itoc360::alertmanager().await;
    let mut setup = Setup::new(&well);
    let mut held = Vec::new();
    for (status, message, hint) in [
        (401, "Unauthorized", "token is wrong"),
        (402, "Subscription inactive", "subscription is inactive"),
        (403, "Forbidden", "may not post events"),
        (404, "Source not found", "check the token"),
    ] {
        let itoc360 = Itoc360::alertmanager().await;
        itoc360.answers(move |_| Reply::error(status, message));
        let name = format!("answers-{status}");
        setup = setup.destination(&name, &itoc360).twilio(&name);
        held.push((name, itoc360, status, hint));
    }
    let (place, gateway) = setup.start().await;
    for (number, (name, ..)) in held.iter().enumerate() {
        post(&gateway, name, number * 3..number * 3 + 3).await;
    }
    for (number, (name, _, status, hint)) in held.iter().enumerate() {
        let health = gateway.destination(name, "held").await;
        let why = health["why"].as_str().unwrap();
        assert!(
            why.contains(&status.to_string()) && why.contains(hint),
            "{why}"
        );
        let state =
            format!("alert_gateway_destination_state{{destination=\"{name}\",state=\"held\"}}");
        gateway.metric(&state, |held| held == 1.0).await;
        let event = attempted(&place, number * 3).await;
        assert_eq!(
            (
                &attempts(&event)[0]["outcome"],
                &attempts(&event)[0]["status"]
            ),
            (&json!("blocked"), &json!(status))
        );
    }
    post(&gateway, "twilio", 12..15).await;
    well.opens_only(3).await;
    assert_eq!(
        gateway.admin(Method::GET, "/readyz").await.status,
        200,
        "senders are still served"
    );
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 12.0
        })
        .await;

    for (_, itoc360, ..) in &held {
        itoc360.recovers();
    }
    for (name, itoc360, ..) in &held {
        itoc360.opens_only(3).await;
        gateway.destination(name, "healthy").await;
    }
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    assert_eq!(place.list(&["--state", "dead"]).await.len(), 0);
}

#[tokio::test]
async fn rejected_alert_is_a_dead_letter_and_a_replay_resends_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let poison = twilio::sid(1);
    itoc360.answers_to(move |body| {
        if body.contains(&poison) {
            Reply::error(400, "Invalid payload")
        } else {
            Reply::Ok
        }
    });
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..3).await;
    let event = place.event_in_state(&twilio::sid(1), "dead").await;
    let [attempt] = attempts(&event) else {
        panic!("{event}")
    };
    assert_eq!(
        (&attempt["outcome"], &attempt["status"]),
        (&json!("rejected"), &json!(400))
    );
    assert!(
        attempt["said"]
            .as_str()
            .unwrap()
            .contains("Invalid payload"),
        "{attempt}"
    );
    itoc360.opens_only(2).await;
    gateway.destination("itoc360", "healthy").await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |count| count == 1.0)
        .await;
    let hint = |line: &Value| {
        line["message"]
            .as_str()?
            .contains("events replay")
            .then_some(())
    };
    gateway.log("what to do about it", hint).await;
    let listed = place.list(&["--state", "dead"]).await;
    assert_eq!(
        (listed.len(), &listed[0]["event_id"]),
        (1, &json!(twilio::sid(1)))
    );

    itoc360.recovers();
    let asked = place
        .run_without_secrets(&["events", "replay", "--dead"])
        .await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    itoc360.opens_only(3).await;
    place.event_in_state(&twilio::sid(1), "delivered").await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |count| count == 0.0)
        .await;
}

#[tokio::test]
async fn replay_by_id_sends_that_event_alone() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(422, "Unprocessable"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..2).await;
    for number in 0..2 {
        place.event_in_state(&twilio::sid(number), "dead").await;
    }
    itoc360.recovers();
    assert_eq!(
        place.run(&["events", "replay", &twilio::sid(1)]).await.code,
        Some(0)
    );
    place.event_in_state(&twilio::sid(1), "delivered").await;
    assert_eq!(
        place.event(&twilio::sid(0)).await["alerts"][0]["state"],
        "dead"
    );
    itoc360.opens_only(1).await;
    let nothing = place.run(&["events", "replay", &twilio::sid(1)]).await;
    assert_eq!(nothing.code, Some(0));
    assert!(
        nothing.stdout.contains("nothing to do"),
        "{}",
        nothing.stdout
    );
}

#[tokio::test]
async fn first_failed_attempt_shows_in_log_readyz_and_metrics() {
    const FAILING_SINCE: &str =
        "alert_gateway_destination_failing_since_timestamp_seconds{destination=\"itoc360\"}";
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "busy"));
    let (_place, mut gateway) = Setup::new(&itoc360).start().await;
    assert_eq!(gateway.metrics().await[FAILING_SINCE], 0.0);
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    let failed = |line: &Value| {
        (line["message"] == "a delivery attempt failed; it is retried").then(|| line.clone())
    };
    let warned = gateway.log("the failed attempt", failed).await;
    assert_eq!(
        (&warned["level"], &warned["destination"]),
        (&json!("WARN"), &json!("itoc360"))
    );
    assert!(warned["why"].as_str().unwrap().contains("503"), "{warned}");
    let since = async || {
        let board = gateway.admin(Method::GET, "/readyz").await.json();
        let shown = &board["destinations"]["itoc360"];
        assert_eq!(shown["state"], "healthy", "{board}");
        Some((
            shown["failing_since"].as_str()?.to_owned(),
            shown["why"].as_str()?.to_owned(),
        ))
    };
    let (began, why) = until("the failure shows", &since).await;
    assert!(
        began.starts_with("20") && why.contains("503"),
        "{began} {why}"
    );
    gateway.metric(FAILING_SINCE, |since| since > 1.7e9).await;
    itoc360.recovers();
    itoc360.open(1).await;
    gateway.metric(FAILING_SINCE, |since| since == 0.0).await;
    assert!(since().await.is_none());
}

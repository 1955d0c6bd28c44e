//! ITOC360 answers, and what it says is not what it should.

use itoc360_double::Reply;
use serde_json::json;

use super::{attempts, failing_because, post, recovers, statuses};
use crate::harness::{Itoc360, Setup, twilio};

/// Ten megabytes.
const HUGE: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn redirect_holds_the_destination_and_leaks_no_token() {
    let elsewhere = Itoc360::alertmanager().await;
    let well = Itoc360::alertmanager().await;
    let mut setup = Setup::new(&well);
    let mut held = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        let itoc360 = Itoc360::alertmanager().await;
        let to = elsewhere.url();
        itoc360.answers(move |_| Reply::Status {
            code,
            headers: vec![("Location".into(), to.clone())],
            body: String::new(),
        });
        let name = format!("redirects-{code}");
        setup = setup.destination(&name, &itoc360).twilio(&name);
        held.push((name, itoc360, code));
    }
    let (place, gateway) = setup.start().await;
    for (number, (name, ..)) in held.iter().enumerate() {
        post(&gateway, name, number..number + 1).await;
    }
    for (number, (name, _, code)) in held.iter().enumerate() {
        let health = gateway.destination(name, "held").await;
        let why = health["why"].as_str().unwrap();
        assert!(
            why.contains(&code.to_string()) && why.contains("are not followed; check the url"),
            "{why}"
        );
        let event = crate::harness::until("an attempt", async || {
            let event = place.event(&twilio::sid(number)).await;
            (!attempts(&event).is_empty()).then_some(event)
        })
        .await;
        let attempt = &attempts(&event)[0];
        assert_eq!(
            (&attempt["outcome"], &attempt["status"]),
            (&json!("blocked"), &json!(code))
        );
        gateway
            .metric(
                &format!(
                    "alert_gateway_destination_state{{destination=\"{name}\",state=\"held\"}}"
                ),
                |held| held == 1.0,
            )
            .await;
    }
    for (_, itoc360, _) in &held {
        itoc360.recovers();
    }
    for (name, itoc360, _) in &held {
        itoc360.opens_only(1).await;
        gateway.destination(name, "healthy").await;
    }
    assert_eq!(elsewhere.tally().connections, 0);
}

#[tokio::test]
async fn answers_of_ten_megabytes_cost_no_memory_and_lose_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 100..116).await;
    itoc360.opens_only(16).await;
    let before = gateway.memory_kib(true);
    itoc360.answers(|_| Reply::Status {
        code: 503,
        headers: Vec::new(),
        body: "x".repeat(HUGE),
    });
    post(&gateway, "twilio", 0..16).await;
    failing_because(
        &place,
        &gateway,
        "ITOC360 answered 503 Service Unavailable (xxx",
    )
    .await;
    itoc360.requests(16 + 8).await;
    itoc360.recovers();
    recovers(&gateway, &itoc360, 32).await;
    let after = gateway.memory_kib(true);
    println!("at most {before} KiB before, {after} KiB after");
    // Less than two of the eight or more.
    assert!(
        after - before < 2 * HUGE as u64 / 1024,
        "{before} KiB before, {after} KiB after"
    );
}

#[tokio::test]
async fn accepting_answer_of_ten_megabytes_counts() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::Status {
        code: 200,
        headers: Vec::new(),
        body: "x".repeat(HUGE),
    });
    let (place, gateway) = Setup::new(&itoc360).start().await;
    post(&gateway, "twilio", 0..1).await;
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    assert_eq!(
        (statuses(&event), itoc360.tally().requests),
        (vec![Some(200)], 1)
    );
    assert_eq!(attempts(&event)[0]["said"].as_str().unwrap().len(), 512);
}

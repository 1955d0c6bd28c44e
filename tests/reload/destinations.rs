//! Destinations that a reload changes, adds and removes, and secrets that are replaced.

use hyper::Method;
use itoc360_double::Reply;

use super::{change, event, taken_up, until};
use crate::harness::{ITOC360_TOKEN, Itoc360, Place, Setup};

/// A place whose one destination has its token in the file `token`.
fn with_token_file(itoc360: &Itoc360, token: &str) -> Place {
    let place = Setup::new(itoc360).file("token", token).place();
    change(&place, |text| {
        text.replace("{ env = \"ITOC360_TOKEN\" }", "{ file = \"token\" }")
    });
    place
}

#[tokio::test]
async fn replaced_token_of_a_held_destination_counts_without_a_signal() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = with_token_file(&itoc360, "canary-of-an-old-token");
    let gateway = place.start().await;
    let id = gateway.accept(&event(1, "twilio")).await;
    gateway.destination("itoc360", "held").await;
    // What an operator is writing at the moment is not taken up with it.
    change(&place, |text| {
        text.replace("[sources.twilio]", "[sources.half")
    });
    place.write("token", ITOC360_TOKEN);
    place.event_in_state(&id, "delivered").await;
    gateway.accept(&event(2, "twilio")).await;
    itoc360.opens_only(2).await;
    let logged = gateway.stop().await.stderr;
    assert!(
        logged.contains("the file of a secret has changed"),
        "{logged}"
    );
    assert!(!logged.contains("canary-of-"), "{logged}");
}

#[tokio::test]
async fn unusable_secret_file_leaves_the_token_in_use() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = with_token_file(&itoc360, ITOC360_TOKEN);
    let mut gateway = place.start().await;
    place.write("token", "");
    gateway
        .log("the file is unusable", |line| {
            (line["message"]
                .as_str()?
                .contains("cannot be used any more")
                && line["why"] == "is empty")
                .then_some(())
        })
        .await;
    gateway.accept(&event(1, "twilio")).await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn changed_url_takes_what_waits_and_ends_attempts_under_way() {
    let mut old = Itoc360::alertmanager().await;
    let new = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&old).start().await;
    gateway.accept(&event(1, "twilio")).await;
    old.opens_only(1).await;
    let before = old.url();
    old.down().await;
    for number in 2..=4 {
        gateway.accept(&event(number, "twilio")).await;
    }
    gateway
        .metric(
            "alert_gateway_delivery_attempts_total{destination=\"itoc360\",outcome=\"retry\"}",
            |count| count >= 1.0,
        )
        .await;
    change(&place, |text| text.replace(&before, &new.url()));
    taken_up(&gateway, 1).await;
    new.opens_only(3).await;
}

#[tokio::test]
async fn added_destination_takes_alerts_and_removed_one_is_told() {
    let ops = Itoc360::alertmanager().await;
    let first = Itoc360::alertmanager().await;
    let second = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::empty()
        .destination("first", &first)
        .twilio("twilio")
        .operator(&ops)
        .start()
        .await;
    let table = |url: &str| {
        format!(
            "[destinations.second]\nkind = \"itoc360\"\nurl = \"{url}\"\n\
             token = {{ env = \"ITOC360_TOKEN\" }}\n"
        )
    };
    change(&place, |text| {
        text.replace("destination = \"first\"", "destination = \"second\"") + &table(&second.url())
    });
    taken_up(&gateway, 1).await;
    gateway.accept(&event(1, "twilio")).await;
    second.opens_only(1).await;
    gateway.destination("second", "healthy").await;

    // It refuses everything, and is removed while alerts wait for it.
    second.answers(|_| Reply::error(401, "Invalid token"));
    let waits = gateway.accept(&event(2, "twilio")).await;
    gateway.destination("second", "held").await;
    ops.told("destination-held", "firing").await;
    change(&place, |text| {
        text.replace("destination = \"second\"", "destination = \"first\"")
            .replace(&table(&second.url()), "")
    });
    let reloaded = place.run_without_secrets(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    assert!(
        reloaded
            .stderr
            .contains("1 alerts wait for [destinations.second]"),
        "{}",
        reloaded.stderr
    );
    ops.told("destination-gone", "firing").await;
    ops.told("destination-held", "resolved").await;
    until("the board forgets it", async || {
        let board = gateway.admin(Method::GET, "/readyz").await.json();
        board["destinations"]["second"].is_null().then_some(())
    })
    .await;
    until("its series are gone", async || {
        let metrics = gateway.metrics().await;
        let of_it = |name: &String| name.contains("destination=\"second\"");
        (!metrics.keys().any(of_it)).then_some(())
    })
    .await;
    let shown = gateway
        .admin(Method::GET, "/api/v1/destinations")
        .await
        .json();
    let mut shown = shown["destinations"].as_array().unwrap().iter();
    let removed = shown.find(|one| one["name"] == "second").unwrap();
    assert_eq!(
        (&removed["kind"], &removed["state"], &removed["pending"]),
        (&"removed".into(), &"held".into(), &1.into()),
    );
    let html = [("accept", "text/html")];
    let now = gateway.admin_with(Method::GET, "/", &html, "").await.body;
    assert!(now.contains("second is held"), "{now}");
    gateway.accept(&event(3, "twilio")).await;
    first.opens_only(1).await;
    assert_eq!(place.event(&waits).await["alerts"][0]["state"], "pending");

    // It is back, and well.
    second.recovers();
    change(&place, |text| text + &table(&second.url()));
    taken_up(&gateway, 3).await;
    place.event_in_state(&waits, "delivered").await;
    second.opens_only(2).await;
    ops.told("destination-gone", "resolved").await;
    assert_eq!(gateway.stop().await.code, Some(0));
}

//! `check --online`: the network that a configuration is to work in.

use serde_json::Value;

use crate::harness::{Itoc360, Output, Place, Setup, Sink, twilio};
use crate::ways::{free_port, own_public_url};

/// Looks at the network, and returns the hops by name.
async fn online(place: &Place) -> (Output, Vec<Value>) {
    let output = place.run(&["check", "--online", "--json"]).await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let hops = document["online"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        document["ok"] == true,
        output.code == Some(0),
        "{document:#}"
    );
    (output, hops)
}

fn hop<'a>(hops: &'a [Value], name: &str) -> &'a Value {
    let found = hops.iter().find(|hop| hop["hop"] == name);
    found.unwrap_or_else(|| panic!("no hop {name} in {hops:#?}"))
}

#[tokio::test]
async fn public_url_is_followed_to_the_gateway_or_the_check() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = own_public_url(Setup::new(&itoc360), free_port());
    for running in [false, true] {
        let gateway = if running {
            Some(place.start().await)
        } else {
            None
        };
        let (_, hops) = online(&place).await;
        let names = if running {
            &["gateway"][..]
        } else {
            &["admin", "listen"]
        };
        for name in names
            .iter()
            .chain(&["connection", "request", "arrival", "clock"])
        {
            assert_eq!(hop(&hops, name)["ok"], true, "{hops:#?}");
        }
        drop(gateway);
    }
    assert_eq!(itoc360.tally().opened, 0, "nothing was opened");
}

#[tokio::test]
async fn public_url_that_leads_elsewhere_is_found() {
    let itoc360 = Itoc360::alertmanager().await;
    let elsewhere = Sink::start().await;
    let place = Setup::new(&itoc360).place();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let text = text.replace(twilio::PUBLIC_URL, &elsewhere.url(""));
    place.write("gateway.toml", text);
    for running in [false, true] {
        let gateway = if running {
            Some(place.start().await)
        } else {
            None
        };
        let (output, hops) = online(&place).await;
        let arrival = hop(&hops, "arrival");
        assert_eq!((output.code, &arrival["ok"]), (Some(2), &false.into()));
        assert!(
            arrival["fix"].as_str().unwrap().contains("/in/"),
            "{arrival:#}"
        );
        drop(gateway);
    }
}

#[tokio::test]
async fn credential_is_tried_by_what_opens_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let services = Sink::start().await;
    let setup = Setup::new(&itoc360)
        .destination_of("slack", &format!("kind = \"slack\"\nurl = \"{}\"", services.url("/slack")))
        .destination_of(
            "pagerduty",
            &format!("kind = \"pagerduty\"\nrouting_key = \"0123456789abcdef0123456789abcdef\"\nurl = \"{}\"", services.url("/pagerduty")),
        )
        .destination_of(
            "opsgenie",
            &format!("kind = \"opsgenie\"\napi_key = \"canary-of-opsgenie-0123\"\nurl = \"{}\"", services.url("/opsgenie")),
        )
        .destination_of(
            "alertmanager",
            &format!("kind = \"alertmanager\"\nurl = \"{}\"", services.url("/am")),
        )
        .destination_of("webhook", &format!("kind = \"webhook\"\nurl = \"{}\"", services.url("/hook")))
        .destination_of("down", "kind = \"webhook\"\nurl = \"http://127.0.0.1:1/\"");
    let place = own_public_url(setup, free_port());
    services.answers(|sent| {
        // It repeats the credential that it was shown.
        let shown = sent.headers.get("authorization");
        (401, Vec::new(), format!("who is {shown:?}?"))
    });
    let (output, hops) = online(&place).await;
    assert_eq!(output.code, Some(2));
    for refused in ["slack", "pagerduty", "opsgenie", "alertmanager", "down"] {
        let hop = hop(&hops, &format!("destination {refused}"));
        assert_eq!(hop["ok"], false, "{hop:#}");
        assert!(hop["fix"].as_str().unwrap().contains(refused), "{hop:#}");
    }
    assert!(!output.stdout.contains("canary"), "{}", output.stdout);
    assert_eq!(hop(&hops, "destination webhook")["ok"], true);
    assert_eq!(hop(&hops, "destination itoc360")["ok"], true);

    services.answers_with(200, "{}");
    let (_, hops) = online(&place).await;
    for taken in ["pagerduty", "opsgenie", "alertmanager"] {
        let hop = hop(&hops, &format!("destination {taken}"));
        assert_eq!(hop["found"], "it takes the credential");
    }
    services.answers_with(400, "no_text");
    let (_, hops) = online(&place).await;
    let slack = hop(&hops, "destination slack");
    assert_eq!(slack["found"], "it takes the credential");
    // Nothing that was asked could open anything.
    for sent in services.received() {
        assert!(
            !String::from_utf8_lossy(&sent.body).contains("trigger"),
            "{sent:?}"
        );
    }
    assert_eq!(itoc360.tally().opened, 0, "{:?}", itoc360.tally());
}

#[tokio::test]
async fn taken_address_is_told_and_nothing_is_left_behind() {
    let itoc360 = Itoc360::alertmanager().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = own_public_url(Setup::new(&itoc360), port);
    let (output, hops) = online(&place).await;
    let listen = hop(&hops, "listen");
    assert_eq!((output.code, &listen["ok"]), (Some(2), &false.into()));
    assert!(
        listen["found"]
            .as_str()
            .unwrap()
            .contains("cannot listen at"),
        "{listen:#}"
    );
    assert!(!place.path("data").exists(), "the check makes no data");
    let text = place.run(&["check", "--online"]).await;
    assert!(text.stdout.contains("FAILED listen"), "{}", text.stdout);
    assert_eq!(text.code, Some(2), "{}", text.stderr);
}

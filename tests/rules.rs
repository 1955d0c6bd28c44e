//! Rules: what an operator changes about the alerts of a source, seen where they arrive.

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Itoc360, Setup, twilio};

const SOURCE: &str = "plugin = \"twilio-errors\"
    labels = { team = \"voice\" }
    redact = [\"/more_info/url\", \"phone-numbers\"]
    settings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }
    [[sources.twilio.rules]]
    when = { level = \"warning\", team = \"voice\" }
    drop = true
    [[sources.twilio.rules]]
    when = { error_code = \"11000..11999\" }
    priority = \"low\"
    destination = \"night\"
    labels = { area = \"http\" }";

fn setup(day: &Itoc360, night: &Itoc360) -> Setup {
    Setup::empty()
        .destination("night", night)
        .destination("day", day)
        .source("twilio", SOURCE)
}

#[tokio::test]
async fn rules_drop_route_and_mask_what_is_delivered() {
    let day = Itoc360::alertmanager().await;
    let night = Itoc360::alertmanager().await;
    let (place, gateway) = setup(&day, &night).start().await;
    let dropped = gateway
        .accept(&twilio::warning(&twilio::sid(1)).to("twilio"))
        .await;
    let payload = r#"{"error_code":"11200","more_info":{"Msg":"no answer from +14155550100","url":"https://shop"}}"#;
    gateway
        .accept(
            &twilio::error(&twilio::sid(2))
                .with("Payload", payload)
                .to("twilio"),
        )
        .await;
    let other = payload.replace("11200", "30006");
    gateway
        .accept(
            &twilio::error(&twilio::sid(3))
                .with("Payload", &other)
                .to("twilio"),
        )
        .await;

    let routed = night.requests(1).await.remove(0).json();
    let labels = &routed["commonLabels"];
    assert_eq!(
        (&labels["team"], &labels["area"], &labels["severity"]),
        (&"voice".into(), &"http".into(), &"info".into())
    );
    let details = &routed["commonAnnotations"]["details"];
    let details = details.as_str().map_or_else(
        || details.clone(),
        |text| serde_json::from_str::<Value>(text).unwrap(),
    );
    assert_eq!(details["more_info"]["url"], "[redacted]");
    assert!(!routed.to_string().contains("4155550100"), "{routed}");

    let usual = day.requests(1).await.remove(0).json();
    assert_eq!(usual["commonLabels"]["severity"], "error");
    assert!(usual["commonLabels"].get("area").is_none());

    let shown = place.event(&dropped).await;
    assert_eq!(shown["alerts"][0]["state"], "ignored");
    assert_eq!(
        shown["alerts"][0]["note"],
        "dropped by rule 1 of its source"
    );
    assert_eq!(shown["alerts"][0]["rules"], serde_json::json!([1]));
    let routed = place.run(&["events", "show", &twilio::sid(2)]).await;
    for said in [
        "\nrules     2 of its source applied\n          rule 2: priority high -> low\n",
        "          rule 2: labels.area http\n          rule 2: destination night\n",
        "          masked in 4 places\n",
        "\nanswer    200 after ",
    ] {
        assert!(routed.stdout.contains(said), "{said}: {}", routed.stdout);
    }
    let api = format!("/api/v1/events/{}", twilio::sid(2));
    let api = gateway.admin(Method::GET, &api).await.json();
    let request = &api["requests"][0];
    let changes = json!([
        { "rule": 2, "field": "priority", "from": "high", "to": "low" },
        { "rule": 2, "field": "labels.area", "to": "http" },
        { "rule": 2, "field": "destination", "to": "night" },
    ]);
    assert_eq!(request["alerts"][0]["changes"], changes, "{request:#}");
    assert_eq!(request["answered"]["status"], 200);
    assert!(request["answered"]["after_us"].as_u64() >= request["sender"]["waited_us"].as_u64());
    let page = format!("/events/{}", twilio::sid(2));
    let page = gateway
        .admin_with(Method::GET, &page, &[("accept", "text/html")], "")
        .await
        .body;
    for words in [
        "Rule 2 of twilio: <code>priority</code> high → <b>low</b>, <code>labels.area</code> <b>http</b>",
        "Masked in 4 places",
        "Answered 200 after ",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(place.list(&["--state", "ignored"]).await.len(), 1);
    assert_eq!((day.received().len(), night.received().len()), (1, 1));

    // A restart forgets the answer; the wait is stored as far as the store can know it.
    gateway.stop().await;
    let shown = place.run(&["events", "show", &twilio::sid(2)]).await;
    let said = "\nanswer    after the sync of what was written at ";
    assert!(shown.stdout.contains(said), "{}", shown.stdout);
}

#[tokio::test]
async fn dropped_event_stays_dropped_when_its_rule_is_gone() {
    let day = Itoc360::alertmanager().await;
    let night = Itoc360::alertmanager().await;
    let (place, gateway) = setup(&day, &night).start().await;
    let event = twilio::warning(&twilio::sid(1)).to("twilio");
    gateway.accept(&event).await;
    gateway.stop().await;
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        text.replace("drop = true", "priority = \"low\""),
    );
    let gateway = place.start().await;
    let again = gateway.post(&event).await;
    assert_eq!(
        again.json()["duplicates"],
        1,
        "a change of the rules reopens nothing"
    );
    gateway
        .accept(&twilio::warning(&twilio::sid(2)).to("twilio"))
        .await;
    day.requests(1).await;
    assert_eq!(day.received().len() + night.received().len(), 1);
}

#[tokio::test]
async fn check_finds_a_rule_that_can_never_match() {
    let day = Itoc360::alertmanager().await;
    let night = Itoc360::alertmanager().await;
    let place = Setup::empty()
        .destination("night", &night)
        .destination("day", &day);
    let place = place
        .source("twilio", &SOURCE.replace("error_code =", "eror_code ="))
        .place();
    let checked = place.run(&["check"]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stderr.contains("this rule can never match"),
        "{}",
        checked.stderr
    );
    assert!(
        checked.stderr.contains("did you mean \"error_code\"?"),
        "{}",
        checked.stderr
    );
}

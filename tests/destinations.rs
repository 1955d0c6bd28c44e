//! Every kind of destination that speaks HTTP: what it is sent, what its answers mean, what it does
//! on a bad line, and that its credential shows nowhere. Mail has tests of its own.

use std::time::Duration;

use hyper::Method;
use itoc360_double::Reply;
use serde_json::{Value, json};

use crate::harness::{
    Alertmanager, Gateway, Installed, Itoc360, Line, Place, Program, Sent, Setup, Sink, State,
    needs, plugin, until,
};

const CANARY: &str = "canary-of-a-destination-7c1e";

/// A kind of destination.
struct Kind {
    name: &'static str,
    /// Its table, with `{url}` for the server's.
    table: &'static str,
    /// The path that alerts are posted to.
    path: &'static str,
    /// An answer by which it accepts.
    accepts: (u16, &'static str),
    /// Answers beyond those of [`ANSWERS`], with their outcomes.
    answers: &'static [(u16, &'static str, &'static str)],
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "itoc360",
        table: "url = \"{url}/events\"\ntoken = \"{canary}\"",
        path: "/events",
        accepts: (200, r#"{"success":true,"data":{"id":"receipt-1"}}"#),
        answers: &[],
    },
    Kind {
        name: "webhook",
        table: "url = \"{url}/{canary}\"",
        path: "/canary-of-a-destination-7c1e",
        accepts: (204, ""),
        answers: &[],
    },
    Kind {
        name: "slack",
        table: "url = \"{url}/{canary}\"",
        path: "/canary-of-a-destination-7c1e",
        accepts: (200, "ok"),
        answers: &[(410, "channel_is_archived", "blocked")],
    },
    Kind {
        name: "teams",
        table: "url = \"{url}/{canary}\"",
        path: "/canary-of-a-destination-7c1e",
        accepts: (202, ""),
        answers: &[],
    },
    Kind {
        name: "pagerduty",
        table: "url = \"{url}/v2/enqueue\"\nrouting_key = \"{canary}\"",
        path: "/v2/enqueue",
        accepts: (202, r#"{"status":"success","dedup_key":"receipt-1"}"#),
        answers: &[],
    },
    Kind {
        name: "opsgenie",
        table: "url = \"{url}/v2/alerts\"\napi_key = \"{canary}\"",
        path: "/v2/alerts",
        accepts: (202, r#"{"result":"ok","requestId":"receipt-1"}"#),
        answers: &[],
    },
    Kind {
        name: "alertmanager",
        table: "url = \"{url}/am\"\ntoken = \"{canary}\"",
        path: "/am/api/v2/alerts",
        accepts: (200, ""),
        answers: &[],
    },
];

/// Answers that mean the same to every kind.
const ANSWERS: [(u16, &str, &str); 9] = [
    (500, "<html>", "retry"),
    (503, "busy", "retry"),
    (408, "", "retry"),
    (429, "", "retry"),
    (401, "who?", "blocked"),
    (403, "no", "blocked"),
    (404, "nothing", "blocked"),
    (302, "", "blocked"),
    (422, "no such shape", "rejected"),
];

impl Kind {
    fn table(&self, url: &str) -> String {
        let table = self.table.replace("{url}", url).replace("{canary}", CANARY);
        format!("kind = \"{}\"\n{table}", self.name)
    }

    fn recover(&self, sink: &Sink) {
        sink.answers_with(self.accepts.0, self.accepts.1);
    }
}

async fn start(table: &str) -> (Place, Gateway) {
    Setup::empty()
        .destination_of("way", table)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await
}

async fn accept(gateway: &Gateway, event_id: &str, key: &str, status: &str) -> String {
    let mut alert = plugin::alert(event_id);
    alert["key"] = key.into();
    alert["status"] = status.into();
    gateway.accept(&plugin::alerts("parrot", &[alert])).await
}

fn attempts(outcome: &str) -> String {
    format!("alert_gateway_delivery_attempts_total{{destination=\"way\",outcome=\"{outcome}\"}}")
}

/// Waits until there was one more attempt with this outcome than before.
async fn one_more(gateway: &Gateway, outcome: &str, before: f64) {
    gateway
        .metric(&attempts(outcome), |count| count > before)
        .await;
}

async fn count(gateway: &Gateway, outcome: &str) -> f64 {
    let metrics = gateway.metrics().await;
    metrics.get(&attempts(outcome)).copied().unwrap_or_default()
}

/// Runs the answers of a kind.
async fn answers(kind: &Kind) {
    let sink = Sink::start().await;
    kind.recover(&sink);
    let (place, gateway) = start(&kind.table(&sink.url(""))).await;
    let elsewhere = Sink::start().await;
    for (number, (status, body, outcome)) in ANSWERS.iter().chain(kind.answers).enumerate() {
        let what = format!("{}: {status}", kind.name);
        let before = count(&gateway, outcome).await;
        let location = elsewhere.url("/stolen");
        // It repeats the credential, as some services do.
        let body = format!("{body} {CANARY}");
        sink.answers(move |_| {
            let headers = vec![("Location", location.clone())];
            (*status, headers, body.clone())
        });
        let id = accept(
            &gateway,
            &number.to_string(),
            &number.to_string(),
            "trigger",
        )
        .await;
        one_more(&gateway, outcome, before).await;
        kind.recover(&sink);
        let state = if *outcome == "rejected" {
            "dead"
        } else {
            "delivered"
        };
        let event = place.event_in_state(&id, state).await;
        let first = &event["alerts"][0]["attempts"][0];
        assert_eq!(first["outcome"], *outcome, "{what}: {event}");
        assert_eq!(first["status"], *status, "{what}: {event}");
        assert!(!event.to_string().contains(CANARY), "{what}: {event}");
    }
    assert!(elsewhere.received().is_empty(), "{}", kind.name);
    let sent = sink.received();
    assert!(
        sent.iter().all(|one| one.uri.path() == kind.path),
        "{}",
        kind.name
    );
    let agent = |one: &Sent| one.header("user-agent").starts_with("alert-gateway/");
    assert!(sent.iter().all(agent), "{}", kind.name);
    assert_eq!(
        sent[0].body, sent[1].body,
        "a repeat is the same to the byte"
    );
    let said = gateway.stop().await.stderr;
    assert!(!said.contains(CANARY), "{}: {said}", kind.name);
}

/// Runs the faults of the line of a kind.
async fn faults(kind: &Kind) {
    let sink = Sink::start().await;
    kind.recover(&sink);
    let line = Line::between(sink.address());
    let table = kind.table(&format!("http://{}", line.address()));
    let (place, gateway) = start(&format!("{table}\ntimeout = \"500ms\"")).await;
    let faults = [
        State::Refused,
        State::Silent,
        State::Reset,
        State::Cut(10),
        State::Drip(Duration::from_millis(100)),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let what = format!("{}: {fault:?}", kind.name);
        let before = count(&gateway, "retry").await;
        line.is(fault);
        let id = accept(
            &gateway,
            &number.to_string(),
            &number.to_string(),
            "trigger",
        )
        .await;
        one_more(&gateway, "retry", before).await;
        line.is(State::Well);
        let event = place.event_in_state(&id, "delivered").await;
        let first = &event["alerts"][0]["attempts"][0];
        assert_eq!(first["status"], Value::Null, "{what}: {event}");
    }
}

/// A server that speaks no TLS, where TLS is configured.
async fn no_tls(kind: &Kind) {
    let sink = Sink::start().await;
    let url = format!("https://localhost:{}", sink.address().port());
    let (place, gateway) = start(&kind.table(&url)).await;
    let id = accept(&gateway, "1", "1", "trigger").await;
    one_more(&gateway, "retry", 0.0).await;
    until(kind.name, async || {
        let shown = place.event(&id).await.to_string();
        shown.contains("the port does not speak TLS").then_some(())
    })
    .await;
    assert!(
        sink.received().is_empty(),
        "{}: nothing is shown in the clear",
        kind.name
    );
}

#[tokio::test]
async fn answers_of_every_kind_have_their_outcomes() {
    for kind in &KINDS {
        answers(kind).await;
    }
}

#[tokio::test]
async fn alerts_of_every_kind_wait_while_the_line_is_bad() {
    for kind in &KINDS {
        faults(kind).await;
    }
}

#[tokio::test]
async fn no_kind_sends_anything_without_the_tls_it_was_told() {
    for kind in &KINDS {
        no_tls(kind).await;
    }
}

#[tokio::test]
async fn garbage_that_accepts_loses_and_repeats_nothing() {
    for kind in &KINDS {
        let sink = Sink::start().await;
        sink.answers_with(kind.accepts.0, "\u{0}\u{1b}[31m it works");
        let (place, gateway) = start(&kind.table(&sink.url(""))).await;
        let id = accept(&gateway, "1", "1", "trigger").await;
        if kind.name == "teams" {
            // Whatever it says, the status is one that accepts.
            sink.requests(1).await;
        }
        let event = place.event_in_state(&id, "delivered").await;
        let attempts = event["alerts"][0]["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{}: {event}", kind.name);
        assert!(!event.to_string().contains('\u{1b}'), "{}", kind.name);
    }
}

#[tokio::test]
async fn page_of_a_proxy_is_no_delivery_but_at_a_webhook() {
    for kind in &KINDS {
        let sink = Sink::start().await;
        sink.answers_with(kind.accepts.0, "<html>Down for maintenance</html>");
        let (place, gateway) = start(&kind.table(&sink.url(""))).await;
        let id = accept(&gateway, "1", "1", "trigger").await;
        let expected = match kind.name {
            "webhook" => "accepted",
            _ => "blocked",
        };
        one_more(&gateway, expected, 0.0).await;
        kind.recover(&sink);
        let event = place.event_in_state(&id, "delivered").await;
        let first = &event["alerts"][0]["attempts"][0];
        assert_eq!(first["outcome"], expected, "{}: {event}", kind.name);
    }
}

#[tokio::test]
async fn webhook_sends_its_template_headers_method_and_signature() {
    let sink = Sink::start().await;
    let table = format!(
        "kind = \"webhook\"\nurl = \"{}\"\nmethod = \"PUT\"\nsuccess = [418]\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n\
         headers = {{ \"X-Api-Key\" = \"{CANARY}\" }}\n\
         body = '{{\"text\": {{{{ title }}}}, \"p\": {{{{ priority }}}}}}'",
        sink.url("/hook?room=1")
    );
    let (place, gateway) = start(&table).await;
    sink.answers_with(418, "");
    let id = accept(&gateway, "opens", "key", "trigger").await;
    place.event_in_state(&id, "delivered").await;
    let sent = sink.received().remove(0);
    let target = (sent.method.as_str(), sent.uri.to_string());
    assert_eq!(target, ("PUT", "/hook?room=1".to_owned()));
    assert_eq!(sent.header("x-api-key"), CANARY);
    assert_eq!(sent.json(), json!({ "text": "Event opens", "p": "high" }));
    assert!(sent.header("webhook-id").starts_with("msg_"));
    assert!(sent.header("webhook-signature").starts_with("v1,"));
}

#[tokio::test]
async fn mistake_in_a_template_is_told_before_an_alert_comes() {
    let table = "kind = \"webhook\"\nurl = \"http://localhost/\"\nbody = '{ \"a\": {{ titel }} }'";
    let (place, gateway) = start(table).await;
    let found = "[destinations.way]: its body names \"titel\", and no alert has that";
    let checked = place.run_without_secrets(&["check"]).await;
    assert!(checked.stderr.contains(found), "{}", checked.stderr);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let body = json!({ "alerts": [plugin::alert("1")] });
    let head = "POST https://gw.example.com/in/parrot HTTP/1.1\nHost: gw.example.com";
    place.write("request.http", format!("{head}\n\n{body}"));
    let tried = ["try", "--source", "parrot", "request.http"];
    let tried = place.run_without_secrets(&tried).await;
    assert!(tried.stderr.contains(found), "{}", tried.stderr);
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", text.replace("titel", "title | uper"));
    for command in ["check", "reload"] {
        let refused = place.run_without_secrets(&[command]).await;
        assert_ne!(refused.code, Some(0), "{command}");
        assert!(refused.stderr.contains("uper"), "{}", refused.stderr);
    }
    let said = gateway.stop().await.stderr;
    assert!(said.contains("and no alert has that"), "{said}");
}

#[tokio::test]
async fn proxy_is_used_for_its_destination() {
    let sink = Sink::start().await;
    let proxy = Sink::start().await;
    let table = format!(
        "kind = \"webhook\"\nurl = \"{}\"\nproxy = \"http://user:{CANARY}@{}\"",
        sink.url("/hook"),
        proxy.address()
    );
    let (_place, gateway) = start(&table).await;
    accept(&gateway, "opens", "key", "trigger").await;
    let seen = proxy.requests(2).await;
    let asked = (seen[0].method.as_str(), seen[0].uri.to_string());
    assert_eq!(asked, ("CONNECT", sink.address().to_string()));
    assert!(seen[0].header("proxy-authorization").starts_with("Basic "));
    // The proxy of this test answers in place of its other end.
    assert_eq!(seen[1].uri.path(), "/hook");
    assert!(sink.received().is_empty());
    let said = gateway.stop().await.stderr;
    assert!(!said.contains(CANARY), "{said}");
}

#[tokio::test]
async fn public_egress_reaches_no_private_address() {
    let sink = Sink::start().await;
    let port = sink.address().port();
    let table =
        format!("kind = \"webhook\"\nurl = \"http://localhost:{port}/\"\negress = \"public\"");
    let (_place, gateway) = start(&table).await;
    accept(&gateway, "opens", "key", "trigger").await;
    let why = until("the reason shows", async || {
        let board = gateway.admin(Method::GET, "/readyz").await.json();
        let why = &board["destinations"]["way"]["why"];
        why.as_str().map(str::to_owned)
    })
    .await;
    assert!(why.contains("egress") && !why.contains("dns"), "{why}");
    assert!(sink.received().is_empty());
    let table = format!(
        "kind = \"webhook\"\nurl = \"{}\"\negress = \"public\"",
        sink.url("/")
    );
    let place = Setup::empty()
        .destination_of("way", &table)
        .plugin("parrot", &plugin::parrot(), "")
        .place();
    let checked = place.run_without_secrets(&["check"]).await;
    assert!(
        checked.code != Some(0) && checked.stderr.contains("private address"),
        "{}",
        checked.stderr
    );
}

impl Alertmanager {
    /// Starts one that tells nobody.
    async fn silent(program: &Installed) -> Self {
        let config = "route: { receiver: none }\nreceivers: [{ name: none }]\n";
        Self::start(program, config).await
    }

    fn table(&self) -> String {
        format!("kind = \"alertmanager\"\nurl = \"http://{}\"", self.address)
    }

    /// Waits until so many alerts are open.
    async fn open(&self, gateway: &Gateway, count: usize) -> Vec<Value> {
        until(&format!("{count} are open"), async || {
            let answer = gateway.elsewhere(self.address, "/api/v2/alerts").await;
            let alerts = answer.json().as_array().cloned().unwrap_or_default();
            (alerts.len() == count).then_some(alerts)
        })
        .await
    }
}

#[tokio::test]
async fn real_alertmanager_takes_an_alert_and_its_resolve() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let alertmanager = Alertmanager::silent(&program).await;
    let (place, gateway) = start(&alertmanager.table()).await;
    let id = accept(&gateway, "opens", "a \"key\"\\", "trigger").await;
    place.event_in_state(&id, "delivered").await;
    let open = alertmanager.open(&gateway, 1).await.remove(0);
    assert_eq!(open["labels"]["source"], "parrot", "{open}");
    assert_eq!(open["labels"]["key"], "a \"key\"\\", "{open}");
    let id = accept(&gateway, "closes", "a \"key\"\\", "resolve").await;
    place.event_in_state(&id, "delivered").await;
    alertmanager.open(&gateway, 0).await;
}

#[tokio::test]
async fn resolve_ends_what_is_open_under_other_labels() {
    let Some(program) = needs(Program::Alertmanager) else {
        return;
    };
    let alertmanager = Alertmanager::silent(&program).await;
    let sink = Sink::start().await;
    sink.answers_with(400, "no");
    let main = format!(
        "kind = \"webhook\"\nurl = \"{}\"\nfallback = \"backup\"",
        sink.url("/")
    );
    let (place, gateway) = Setup::empty()
        .destination_of("main", &main)
        .plugin("parrot", &plugin::parrot(), "")
        .destination_of("backup", &alertmanager.table())
        .start()
        .await;
    let one = |event_id: &str, more: Value| {
        let mut alert = plugin::alert(event_id);
        alert["key"] = "disk".into();
        for (name, value) in more.as_object().unwrap() {
            alert[name] = value.clone();
        }
        plugin::alerts("parrot", &[alert])
    };
    let other = one("other", json!({ "key": "another" }));
    for (number, post) in [
        one("1", json!({ "priority": "low" })),
        one(
            "2",
            json!({ "priority": "critical", "labels": { "used": "99" } }),
        ),
        other,
    ]
    .iter()
    .enumerate()
    {
        gateway.accept(post).await;
        alertmanager.open(&gateway, number + 1).await;
    }
    // The sender's clock is an hour ahead.
    let ahead = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let resolve = json!({ "status": "resolve", "labels": { "used": "7" }, "occurred_at": ahead });
    gateway.accept(&one("3", resolve)).await;
    let left = alertmanager.open(&gateway, 1).await;
    assert_eq!(left[0]["labels"]["key"], "another", "{left:?}");
    place.is_whole().await;
}

#[tokio::test]
async fn resolve_is_sent_where_its_question_is_refused_but_not_lost() {
    let sink = Sink::start().await;
    let table = format!("kind = \"alertmanager\"\nurl = \"{}\"", sink.url(""));
    let (place, gateway) = start(&table).await;
    for (number, (answer, tries)) in [(403, 1), (200, 1), (503, 2)].into_iter().enumerate() {
        let mut asked = 0;
        sink.answers(move |sent| match sent.method {
            Method::GET if asked == 0 => {
                asked += 1;
                (answer, Vec::new(), "<html>".to_owned())
            }
            _ => (200, Vec::new(), String::new()),
        });
        let id = accept(&gateway, &number.to_string(), "a key", "resolve").await;
        let event = place.event_in_state(&id, "delivered").await;
        let attempts = event["alerts"][0]["attempts"].as_array().unwrap().len();
        assert_eq!(attempts, tries, "{answer}: {event}");
        let sent = sink.received().pop().unwrap();
        assert_eq!(sent.method, Method::POST, "{answer}");
        assert_eq!(sent.json()[0]["labels"]["key"], "a key", "{answer}");
    }
}

#[tokio::test]
async fn two_destinations_are_told_apart_in_metrics() {
    let first = Itoc360::alertmanager().await;
    let second = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::empty()
        .destination("first", &first)
        .plugin("one", &plugin::parrot(), "")
        .destination("second", &second)
        .plugin("two", &plugin::parrot(), "")
        .start()
        .await;
    second.answers(|_| Reply::error(503, "busy"));
    for source in ["one", "two"] {
        let post = plugin::alerts(source, &[plugin::alert("1")]);
        gateway.accept(&post).await;
    }
    let since = |name: &str| {
        format!(
            "alert_gateway_destination_failing_since_timestamp_seconds{{destination=\"{name}\"}}"
        )
    };
    gateway.metric(&since("second"), |at| at > 0.0).await;
    first.open(1).await;
    assert_eq!(gateway.metrics().await[&since("first")], 0.0);
}

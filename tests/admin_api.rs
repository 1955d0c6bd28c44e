//! The API of the admin listener: its answers fit its description, its actions are audited, and what
//! is hostile is refused.

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, Itoc360, Place, Post, Setup, plugin, twilio, until};

const TOKEN: &str = "admin-token-4f1c9a7e2b";

/// The rules of a source, each of which changes something.
const ODD: &str = "redact = [\"label:team\"]\nrules = [{ when = { team = \"a\" }, priority = \"low\", labels = { team = \"b\" } }]";

/// A gateway whose admin listener asks for a token.
async fn guarded(itoc360: &Itoc360) -> (Place, Gateway) {
    let setup = Setup::new(itoc360).gateway(&format!("admin_token = \"{TOKEN}\""));
    setup.start().await
}

/// Asks at the admin listener, with the token.
async fn ask(gateway: &Gateway, method: Method, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    gateway.admin_with(method, path, &headers, body).await
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    ask(gateway, Method::GET, path, "").await
}

/// The description of the API.
fn openapi() -> Value {
    let text = include_str!("../host/src/admin/api/openapi.json");
    serde_json::from_str(text).unwrap()
}

/// Asserts that an answer fits what the description says of the address.
#[track_caller]
fn fits(openapi: &Value, method: &str, address: &str, answer: &Answer) {
    let responses = &openapi["paths"][address][method]["responses"];
    let response = &responses[answer.status.to_string()];
    assert!(
        response.is_object(),
        "{method} {address} answers {}, which is not described: {}",
        answer.status,
        answer.body
    );
    let media_type = answer.header("content-type");
    let mut schema = response["content"][media_type]["schema"].clone();
    assert!(
        schema.is_object(),
        "{method} {address}: {media_type} is not described"
    );
    schema["components"] = openapi["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&answer.json())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{method} {address}: {errors:#?}\n{}",
        answer.body
    );
}

#[tokio::test]
async fn every_answer_fits_the_description_of_the_api() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .plugin("broken", &broken, "")
        .plugin("odd", &plugin::parrot(), ODD)
        .start()
        .await;
    let openapi = openapi();
    let odd =
        json!({ "event_id": "odd-1", "priority": "high", "title": "t", "labels": { "team": "a" } });
    gateway.accept(&plugin::alerts("odd", &[odd])).await;
    let sid = twilio::sid(1);
    let id = gateway.accept(&twilio::error(&sid).to("twilio")).await;
    gateway
        .post(&twilio::unsigned("/in/twilio?token=canary-wrong", "a=b"))
        .await
        .is_problem(401);
    gateway
        .post(&twilio::unsigned("/in/twillio", "a=b"))
        .await
        .is_problem(404);
    assert_eq!(
        gateway.post(&plugin::alerts("broken", &[])).await.status,
        202
    );
    place.event_in_state(&id, "delivered").await;
    for (address, path, status) in [
        ("/sources", "/sources".to_owned(), 200),
        ("/sources/{name}", "/sources/twilio".to_owned(), 200),
        ("/sources/{name}", "/sources/nope".to_owned(), 404),
        ("/events", "/events".to_owned(), 200),
        ("/events", "/events?state=rejected&limit=1".to_owned(), 200),
        (
            "/events",
            "/events?state=delivered&source=twilio&since=1h".to_owned(),
            200,
        ),
        ("/events", "/events?nope=1".to_owned(), 400),
        ("/events/{id}", format!("/events/{id}"), 200),
        ("/events/{id}", format!("/events/{sid}"), 200),
        ("/events/{id}", "/events/odd-1".to_owned(), 200),
        ("/events/{id}", "/events/nope".to_owned(), 404),
        ("/failed", "/failed".to_owned(), 200),
        ("/dead-letters", "/dead-letters".to_owned(), 200),
        ("/destinations", "/destinations".to_owned(), 200),
        ("/configuration", "/configuration".to_owned(), 200),
        ("/audit", "/audit".to_owned(), 200),
        ("/groups", "/groups".to_owned(), 200),
        ("/groups", "/groups?state=shut".to_owned(), 400),
        ("/groups/{id}", "/groups/1".to_owned(), 404),
        ("/groups/{id}", "/groups/x".to_owned(), 404),
        ("/mutes", "/mutes?all=true".to_owned(), 200),
        ("/mutes", "/mutes?all=1".to_owned(), 400),
        ("/nodes", "/nodes".to_owned(), 200),
    ] {
        let answer = get(&gateway, &format!("/api/v1{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        fits(&openapi, "get", address, &answer);
    }
    let described = get(&gateway, "/api/v1/openapi.json").await;
    assert_eq!(described.json(), openapi);
    // The chain tells the whole way, and the body is as it came.
    let chain = get(&gateway, &format!("/api/v1/events/{sid}")).await.json();
    let request = &chain["requests"][0];
    assert_eq!(request["id"], id.as_str());
    assert_eq!(request["alerts"][0]["attempts"][0]["outcome"], "accepted");
    let signature = |headers: &Value| {
        let headers = headers.as_array().unwrap().clone();
        headers
            .into_iter()
            .find(|header| header[0] == "x-twilio-signature")
            .map(|header| header[1].clone())
    };
    assert_eq!(
        signature(&request["headers"]),
        Some("(credential, not shown)".into())
    );
    let body = get(&gateway, &format!("/api/v1/events/{id}/body")).await;
    assert_eq!(body.body.as_bytes(), twilio::error(&sid).to("twilio").body);
    assert_eq!(body.header("content-type"), "application/octet-stream");

    // What was refused is in memory, with its reason and without what it showed.
    let rejected = get(&gateway, "/api/v1/events?state=rejected").await.json();
    let rows = rejected["events"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{rejected:#}");
    assert_eq!(rows[0]["note"], "did you mean /in/twilio?");
    assert_eq!(rows[1]["trace"]["outcome"], "unauthenticated");
    assert!(
        rows[1]["trace"]["url"]
            .as_str()
            .unwrap()
            .ends_with("/in/twilio?token=***")
    );
    assert!(!rejected.to_string().contains("canary"));
    let refused = rows[1]["request"].as_str().unwrap();
    let chain = get(&gateway, &format!("/api/v1/events/{refused}")).await;
    assert_eq!(chain.json()["traced"][0]["reason"], rows[1]["title"]);
}

#[tokio::test]
async fn refused_body_is_told_where_it_is_asked_for() {
    const SHOWN: &str = "canary-of-the-sender-0123";
    let itoc360 = Itoc360::alertmanager().await;
    let token = format!("token = \"{SHOWN}\"");
    let masked = format!("{token}\nredact = [\"phone-numbers\"]\nredact_stored = true");
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .plugin("open", &plugin::parrot_of_strangers(), &token)
        .plugin("masked", &plugin::parrot_of_strangers(), &masked)
        .start()
        .await;
    let openapi = openapi();
    // A body tells of the sender's token as a header may.
    let ignored = |source: &str, room: usize| {
        let reason = format!("{SHOWN} {}", "x".repeat(room));
        plugin::alerts(source, &[])
            .body(json!({ "ignored": { "reason": reason } }).to_string())
            .header("Authorization", &format!("Bearer {SHOWN}"))
    };
    let forged = twilio::error(&twilio::sid(1))
        .to("twilio")
        .without("X-Twilio-Signature")
        .header("X-Twilio-Signature", "Zm9yZ2Vk");
    let body_of = async |post: &Post| {
        let answer = gateway.post(post).await;
        let request = answer.json()["request"].as_str().unwrap().to_owned();
        let told = get(&gateway, &format!("/api/v1/events/{request}")).await;
        fits(&openapi, "get", "/events/{id}", &told);
        let path = format!("/api/v1/events/{request}/body");
        let body = get(&gateway, &path).await;
        if body.status != 200 {
            fits(&openapi, "get", "/events/{id}/body", &body);
        }
        let command = place
            .run_without_secrets(&["events", "show", &request])
            .await;
        assert_eq!(
            command.stdout.contains(&path),
            body.status == 200,
            "{command:?}"
        );
        (told.json()["traced"][0]["body_bytes"].clone(), body)
    };
    // One whose proof is wrong is looked at for the reason, above all.
    let (bytes, body) = body_of(&forged).await;
    assert_eq!(body.body.as_bytes(), forged.body);
    assert_eq!(bytes, forged.body.len());
    assert!(body.header("content-disposition").contains("\"body\""));
    let (_, body) = body_of(&ignored("open", 10)).await;
    assert!(body.body.contains("{\"ignored\":"), "{}", body.body);
    assert!(!body.body.contains("canary"), "{}", body.body);
    let long = ignored("open", 10_000);
    let (bytes, body) = body_of(&long).await;
    assert!(bytes.as_u64() > Some(10_000), "{bytes}");
    assert_eq!(body.body.len(), 8192);
    assert!(body.header("content-disposition").contains("beginning"));
    // The store would mask more in this one, and here the body was not read.
    for post in [ignored("masked", 10), plugin::alerts("open", &[])] {
        let (bytes, body) = body_of(&post).await;
        assert_eq!((bytes, body.status), (Value::Null, 404));
    }
}

#[tokio::test]
async fn replay_and_dismiss_are_previewed_done_and_audited() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .plugin("broken", &broken, "")
        .start()
        .await;
    let openapi = openapi();
    let answer = gateway.post(&plugin::alerts("broken", &[])).await;
    let id = answer.json()["request"].as_str().unwrap().to_owned();
    let act = async |path: &str, body: Value| {
        ask(
            &gateway,
            Method::POST,
            &format!("/api/v1{path}"),
            &body.to_string(),
        )
        .await
    };
    let preview = act("/failed/dismiss", json!({ "all": true, "preview": true })).await;
    fits(&openapi, "post", "/failed/dismiss", &preview);
    assert_eq!(preview.status, 200);
    assert_eq!(preview.json()["requests"][0]["request"], id.as_str());
    for (path, body, status) in [
        ("/failed/dismiss", json!({ "all": true }), 400),
        ("/failed/replay", json!({}), 400),
        ("/failed/replay", json!({ "all": true, "ids": ["x"] }), 400),
        ("/failed/replay", json!({ "ids": ["nope"] }), 404),
        ("/failed/replay", json!({ "everything": true }), 400),
        ("/dead-letters/replay", json!({ "all": true }), 409),
        ("/dead-letters/replay", json!({ "ids": [id] }), 409),
    ] {
        let answer = act(path, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        fits(&openapi, "post", path, &answer);
    }
    let audit = async || get(&gateway, "/api/v1/audit").await.json()["audit"].clone();
    assert_eq!(audit().await, json!([]), "nothing was done");

    let dismissed = act(
        &format!("/events/{id}/dismiss"),
        json!({ "reason": "a test of the plugin" }),
    )
    .await;
    fits(&openapi, "post", "/events/{id}/dismiss", &dismissed);
    assert_eq!(
        (dismissed.status, &dismissed.json()["asked"]),
        (202, &json!(1))
    );
    until("it is dismissed", async || {
        let request = place.event(&id).await;
        (request["state"] == "dismissed").then_some(())
    })
    .await;
    let entries = audit().await;
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(
        [
            &entries[0]["who"],
            &entries[0]["origin"],
            &entries[0]["action"],
            &entries[0]["why"]
        ],
        [
            "admin token",
            "127.0.0.1",
            "dismiss",
            "a test of the plugin"
        ]
    );
    let again = act(&format!("/events/{id}/replay"), json!({})).await;
    assert_eq!(again.status, 409);
    assert!(
        again.json()["detail"]
            .as_str()
            .unwrap()
            .contains("admin token asked for dismiss"),
        "{}",
        again.body
    );
}

#[tokio::test]
async fn acting_needs_a_credential_and_the_own_origin() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, open) = Setup::new(&itoc360).start().await;
    assert_eq!(
        open.admin(Method::GET, "/api/v1/events").await.status,
        200,
        "loopback reads without a token"
    );
    let refused = open
        .admin(Method::POST, "/api/v1/dead-letters/replay")
        .await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("admin_token"), "{}", refused.body);

    let (_place, gateway) = guarded(&itoc360).await;
    let token = format!("Bearer {TOKEN}");
    let with = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        gateway.admin_with(method, path, headers, "").await.status
    };
    assert_eq!(with(Method::GET, "/api/v1/events", &[]).await, 401);
    assert_eq!(
        with(
            Method::GET,
            "/api/v1/events",
            &[("authorization", "Bearer wrong")]
        )
        .await,
        403
    );
    let authorized = ("authorization", token.as_str());
    let replay = "/api/v1/dead-letters/replay";
    for (header, status) in [
        (("origin", "https://evil.example"), 403),
        (("sec-fetch-site", "cross-site"), 403),
        (("host", "evil.example"), 403),
    ] {
        let answer = with(Method::POST, replay, &[authorized, header]).await;
        assert_eq!(answer, status, "{header:?}");
    }
    assert_eq!(with(Method::GET, replay, &[authorized]).await, 405);
    assert_eq!(
        with(Method::POST, "/api/v1/events", &[authorized]).await,
        405
    );
    assert_eq!(with(Method::GET, "/api/v1/nope", &[authorized]).await, 404);
    let form = [
        authorized,
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let posted = gateway.admin_with(Method::POST, replay, &form, "all=true");
    assert_eq!(posted.await.status, 415);
}

#[tokio::test]
async fn hostile_ids_cursors_and_parameters_are_refused_politely() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = guarded(&itoc360).await;
    for (path, status) in [
        ("/events/%00", 404),
        ("/events/%27%20OR%201=1--", 404),
        ("/events/..%2F..%2Fetc%2Fpasswd", 404),
        ("/events/%ff", 400),
        ("/events/a/body", 404),
        ("/events/a/case", 404),
        ("/events/a/case.tar?case=..%2Fx", 400),
        ("/events/a/case?case=settings", 400),
        ("/events/a/case?keep_header=x%20y", 400),
        ("/events/a/nope", 404),
        ("/events/a/b/c", 404),
        ("/events?cursor=", 200),
        ("/events?cursor=AAAA", 400),
        ("/events?cursor=%00", 400),
        ("/audit?cursor=ZQAAAAAAAAAAAAAAAAAAAAA", 400),
        ("/events?cursor=ZQAAAAAAAAAAAAAAAAAAAAA", 200),
        ("/events?cursor=ZYAAAAAAAAAAAAAAAAAAAAA", 200),
        ("/events?limit=0", 400),
        ("/events?limit=201", 400),
        ("/events?limit=200", 200),
        ("/events?state=nope", 400),
        ("/events?state=delivered&state=dead", 400),
        ("/events?since=yesterday", 400),
        ("/events?until=1970-01-01T00:00:00Z", 200),
        ("/events?label=x", 400),
        ("/events?label=x%3Dy&label=z%3D", 200),
        ("/events?q=%25_%5C%22%27", 200),
        ("/events?source=nope", 200),
        ("/nodes?x=1", 400),
        ("//events", 200),
        ("", 404),
    ] {
        let answer = get(&gateway, &format!("/api/v1{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        if status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert!(
                answer.json()["detail"]
                    .as_str()
                    .is_some_and(|detail| !detail.is_empty())
            );
        }
    }
    let long = "a".repeat(2000);
    let answer = get(&gateway, &format!("/api/v1/events?q={long}")).await;
    assert_eq!(answer.status, 400);
}

/// Acts at an address of the API, and asserts that the answer has this status and is described.
async fn act(gateway: &Gateway, address: &str, path: &str, body: Value, status: u16) -> Value {
    let path = format!("/api/v1{path}");
    let answer = ask(gateway, Method::POST, &path, &body.to_string()).await;
    assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
    fits(&openapi(), "post", address, &answer);
    answer.json()
}

#[tokio::test]
async fn group_and_alert_are_resolved_once_by_an_operator() {
    let itoc360 = Itoc360::alertmanager().await;
    let grouped = "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\n\
        [sources.grouped.group]\nby = [\"error_code\"]";
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .source("grouped", grouped)
        .start()
        .await;
    let alone = gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let member = gateway
        .accept(&twilio::error(&twilio::sid(2)).to("grouped"))
        .await;
    gateway
        .accept(&twilio::error(&twilio::sid(3)).to("grouped"))
        .await;
    place.event_in_state(&alone, "delivered").await;

    let listed = get(&gateway, "/api/v1/groups?state=open&source=grouped").await;
    fits(&openapi(), "get", "/groups", &listed);
    let listed = listed.json();
    let group = &listed["groups"][0];
    assert_eq!(
        (&group["key"], &group["events"], &group["state"]),
        (&json!("group/error_code=11200"), &json!(2), &json!("open"))
    );
    assert!(
        group["resolves_at"].as_str() > group["opened_at"].as_str(),
        "{group}"
    );
    assert_eq!(group["frequent"][0][2], 2, "{group}");
    let members = get(&gateway, "/api/v1/events?state=grouped").await;
    fits(&openapi(), "get", "/events", &members);
    let of_group = json!({ "id": group["id"], "events": 2 });
    assert_eq!(members.json()["events"][1]["group"], of_group);
    let path = format!("/groups/{}", group["id"]);
    let one = get(&gateway, &format!("/api/v1{path}")).await;
    fits(&openapi(), "get", "/groups/{id}", &one);
    assert_eq!(one.json()["first"]["event_id"], twilio::sid(2));
    for of_another in ["source=twilio", "source=nope", "state=resolved"] {
        let none = get(&gateway, &format!("/api/v1/groups?{of_another}")).await;
        assert_eq!(none.json()["groups"], json!([]), "{of_another}");
    }

    // A member is no alert at the destination: its group is.
    let events = "/events/{id}/resolve";
    let of_member = format!("/events/{member}/resolve");
    let refused = act(&gateway, events, &of_member, json!({}), 409).await;
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains(&format!("group {}", group["id"])), "{said}");

    let why = json!({ "reason": "fixed by hand" });
    let groups = "/groups/{id}/resolve";
    let resolve = format!("{path}/resolve");
    let done = act(&gateway, groups, &resolve, why.clone(), 202).await;
    assert_eq!(done["resolved"], 1);
    act(&gateway, groups, &resolve, why.clone(), 409).await;
    let resolve = format!("/events/{alone}/resolve");
    act(&gateway, events, &resolve, why.clone(), 202).await;
    act(&gateway, events, &resolve, why.clone(), 409).await;
    act(&gateway, events, "/events/nope/resolve", why, 404).await;

    let resolved = |name: &str| {
        let received = itoc360.received();
        let said = received.iter().map(|one| one.json());
        said.filter(|said| said["status"] == "resolved")
            .filter(|said| said.to_string().contains(name))
            .count()
    };
    until("both are resolved at the destination", async || {
        (resolved("Resolved at the gateway by admin token: fixed by hand") == 2).then_some(())
    })
    .await;
    let audit = get(&gateway, "/api/v1/audit").await.json();
    let entries = audit["audit"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{audit:#}");
    assert!(entries.iter().all(|entry| entry["action"] == "resolve"));
    // The next event opens a group anew.
    gateway
        .accept(&twilio::error(&twilio::sid(4)).to("grouped"))
        .await;
    let open = get(&gateway, "/api/v1/groups?state=open").await.json();
    assert_eq!(open["groups"][0]["events"], 1);
    let page = get(&gateway, "/api/v1/groups?limit=1").await.json();
    let next = page["next"].as_str().unwrap();
    let older = get(&gateway, &format!("/api/v1/groups?cursor={next}")).await;
    assert_eq!(older.json()["groups"][0]["state"], "resolved");
    gateway.stop().await;
    place.is_whole().await;
}

#[tokio::test]
async fn mute_is_made_listed_and_ended_by_an_operator() {
    let itoc360 = Itoc360::alertmanager().await;
    let config = "[[mutes]]\nwhen = { source = \"elsewhere\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"backups\"\n";
    let place = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .place();
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", format!("{text}\n{config}"));
    let gateway = place.start().await;
    let mutes = async |query: &str| {
        let answer = get(&gateway, &format!("/api/v1/mutes{query}")).await;
        fits(&openapi(), "get", "/mutes", &answer);
        answer.json()["mutes"].as_array().unwrap().clone()
    };
    let when = json!({ "source": "twilio", "error_code": ["11200", "3*"] });
    for (body, what) in [
        (json!({ "when": when, "for": "1h", "why": " " }), "why"),
        (json!({ "when": when, "why": "w" }), "for or until"),
        (
            json!({ "when": when, "for": "1h", "until": "2099-01-01T00:00:00Z", "why": "w" }),
            "for or until",
        ),
        (
            json!({ "when": when, "until": "2020-01-01T00:00:00Z", "why": "w" }),
            "end before",
        ),
        (json!({ "when": when, "for": "10000d", "why": "w" }), "year"),
        (json!({ "when": {}, "for": "1h", "why": "w" }), "when"),
        (
            json!({ "when": { "not": { "code": null } }, "for": "1h", "why": "w" }),
            "write texts, or lists of texts",
        ),
        (
            json!({ "when": { "not": "voice" }, "for": "1h", "why": "w" }),
            "not names no label",
        ),
        (
            json!({ "when": { "not": { "status": "open" } }, "for": "1h", "why": "w" }),
            "not.status is \"open\": it is one of trigger, resolve",
        ),
        (
            json!({ "when": { "priority": "urgent" }, "for": "1h", "why": "w" }),
            "priority",
        ),
        (
            json!({ "when": { "source": "" }, "for": "1h", "why": "w" }),
            "bytes",
        ),
        (
            json!({ "when": when, "for": "1h", "why": "w", "who": "me" }),
            "who",
        ),
    ] {
        let refused = act(&gateway, "/mutes", "/mutes", body, 400).await;
        let said = refused["detail"].as_str().unwrap();
        assert!(said.contains(what), "{said}");
    }
    let negated = json!({ "when": { "source": "elsewhere", "not": { "error_code": 30006, "labels": { "title": "x" } } }, "for": "1h", "why": "w" });
    let negated = act(&gateway, "/mutes", "/mutes", negated, 201).await;
    assert_eq!(
        negated["when"],
        "source=elsewhere not(error_code=30006 title=x)"
    );
    let end = format!("/mutes/{}/end", negated["id"]);
    act(&gateway, "/mutes/{id}/end", &end, json!({}), 200).await;
    // A preview tries it on what has come, and makes nothing.
    for number in [900, 901] {
        let event = twilio::error(&twilio::sid(number)).to("twilio");
        gateway.accept(&event).await;
    }
    let preview = json!({ "when": when, "for": "1h", "why": "carrier outage", "preview": true });
    let preview = act(&gateway, "/mutes", "/mutes", preview, 200).await;
    assert_eq!(
        [&preview["looked_at"], &preview["matched"], &preview["note"]],
        [&json!(2), &json!(2), &Value::Null]
    );
    let other =
        json!({ "when": { "source": "twillio" }, "for": "1h", "why": "w", "preview": true });
    let other = act(&gateway, "/mutes", "/mutes", other, 200).await;
    assert_eq!(
        [&other["matched"], &other["note"]],
        [&json!(0), &json!("did you mean \"twilio\"?")]
    );
    let asked = json!({ "when": when, "for": "1h", "why": "carrier outage" });
    let made = act(&gateway, "/mutes", "/mutes", asked, 201).await;
    assert_eq!(made["when"], "error_code=11200|3* source=twilio");
    let listed = mutes("").await;
    assert_eq!(listed.len(), 2, "{listed:#?}");
    assert!(listed.contains(&made));
    assert!(
        listed
            .iter()
            .any(|mute| mute["weekly"] == "Sat 22:00 - Sun 06:00 UTC")
    );

    // It holds within a second.
    let number = std::cell::Cell::new(0);
    until("an event is muted", async || {
        number.set(number.get() + 1);
        let event = twilio::error(&twilio::sid(number.get())).to("twilio");
        let id = gateway.accept(&event).await;
        (place.event(&id).await["alerts"][0]["state"] == "muted").then_some(())
    })
    .await;
    let id = made["id"].to_string();
    let end = format!("/mutes/{id}/end");
    let ended = act(
        &gateway,
        "/mutes/{id}/end",
        &end,
        json!({ "reason": "over" }),
        200,
    )
    .await;
    assert_eq!(
        (&ended["state"], &ended["events"]),
        (&json!("ended"), &json!(1))
    );
    act(&gateway, "/mutes/{id}/end", &end, json!({}), 409).await;
    act(&gateway, "/mutes/{id}/end", "/mutes/99/end", json!({}), 404).await;
    let last = twilio::sid(number.get());
    place.event_in_state(&last, "delivered").await;
    assert_eq!(mutes("").await.len(), 1);
    assert_eq!(mutes("?all=true").await.len(), 3);
    let audit = get(&gateway, "/api/v1/audit").await.json();
    let actions = [&audit["audit"][0]["action"], &audit["audit"][1]["action"]];
    assert_eq!(actions, ["unmute", "mute"]);
    let file = get(&gateway, "/api/v1/audit.jsonl").await;
    let saved = file.header("content-disposition");
    assert_eq!(saved, "attachment; filename=\"audit.jsonl\"");
    let lines: Vec<Value> = file
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(json!(lines), audit["audit"]);
}

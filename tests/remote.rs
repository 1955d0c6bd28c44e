//! `--remote`: commands about a gateway elsewhere print what they print where it runs, and say what
//! to do where it cannot be asked.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::tls::Authority;
use crate::harness::{Gateway, Itoc360, Output, Place, Setup, plugin, twilio, until};

const TOKEN: &str = "admin-token-4f1c9a7e2b";

/// A gateway elsewhere, and a place without one.
struct There {
    place: Place,
    gateway: Gateway,
    here: Place,
}

impl There {
    async fn start(itoc360: &Itoc360) -> Self {
        let broken = plugin::hostile("(unreachable)");
        let (place, gateway) = Setup::new(itoc360)
            .gateway(&format!("admin_token = \"{TOKEN}\""))
            .plugin("broken", &broken, "")
            .start()
            .await;
        let here = Place::of("");
        here.write("token", format!("{TOKEN}\n"));
        Self {
            place,
            gateway,
            here,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.gateway.admin)
    }

    /// Runs a command about the gateway from elsewhere.
    async fn remotely(&self, arguments: &[&str]) -> Output {
        let url = self.url();
        let there = ["--remote", &url, "--token-file", "token"];
        self.here
            .run_without_secrets(&[arguments, &there].concat())
            .await
    }

    /// Asserts that a command prints the same from elsewhere.
    async fn prints_the_same(&self, arguments: &[&str]) -> String {
        let local = self.place.run_without_secrets(arguments).await;
        let remote = self.remotely(arguments).await;
        assert_eq!(
            (remote.code, &remote.stdout, &remote.stderr),
            (local.code, &local.stdout, &local.stderr),
            "{arguments:?}"
        );
        assert_eq!(local.code, Some(0), "{arguments:?}: {}", local.stderr);
        local.stdout
    }
}

#[tokio::test]
async fn commands_print_the_same_from_elsewhere() {
    let itoc360 = Itoc360::alertmanager().await;
    let there = There::start(&itoc360).await;
    let sid = twilio::sid(1);
    let id = there
        .gateway
        .accept(&twilio::error(&sid).to("twilio"))
        .await;
    there.place.event_in_state(&id, "delivered").await;
    let failed = there.gateway.post(&plugin::alerts("broken", &[])).await;
    assert_eq!(failed.status, 202);
    let refused = twilio::unsigned("/in/twilio?token=canary-wrong", "a=b");
    there.gateway.post(&refused).await.is_problem(401);

    let made = there
        .remotely(&[
            "mute",
            "add",
            "--when",
            "source=twilio",
            "--for",
            "1h",
            "--why",
            "remote",
        ])
        .await;
    assert!(
        made.stdout.starts_with("mute 1 holds until "),
        "{}",
        made.stdout
    );
    for arguments in [
        &["events", "list"][..],
        &["events", "list", "--json"],
        &["events", "list", "--limit", "1"],
        &["events", "list", "--source", "twilio", "--since", "1h"],
        &["events", "list", "--state", "failed", "--json"],
        &["events", "show", &sid],
        &["events", "show", &id, "--json"],
        &["events", "replay", "--failed", "--dry-run"],
        &["mute", "list"],
        &["mute", "list", "--json"],
        &["audit"],
        &["audit", "--json"],
        &["groups"],
    ] {
        there.prints_the_same(arguments).await;
    }
    // The last rejected requests are in memory, which both ways ask.
    let rejected = there
        .prints_the_same(&["events", "list", "--state", "rejected", "--json"])
        .await;
    let rejected: Value = serde_json::from_str(rejected.trim_end()).unwrap();
    assert_eq!(
        [&rejected["state"], &rejected["source"]],
        ["rejected", "twilio"]
    );
    let request = rejected["request"].as_str().unwrap();
    let shown = there.prints_the_same(&["events", "show", request]).await;
    assert!(shown.contains("to source twilio, rejected"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");

    // Without a terminal all of it is printed once. Here it needs no token, and no known port.
    let here = there.place.run_without_secrets(&["top"]).await;
    for output in [there.remotely(&["top"]).await, here] {
        assert_eq!(output.code, Some(0), "{output:?}");
        for said in [
            "\nSOURCE",
            "\nDESTINATION",
            "\nRECEIVED",
            "1 failed request",
            &sid,
        ] {
            assert!(output.stdout.contains(said), "{said}: {}", output.stdout);
        }
    }
    let hasty = there.remotely(&["top", "--every", "1ms"]).await;
    assert_eq!(hasty.code, Some(2), "{hasty:?}");

    // An id that is not there is no wrong argument, as here.
    for unknown in [&["events", "show", "nope"][..], &["mute", "end", "77"]] {
        let output = there.remotely(unknown).await;
        assert_eq!(output.code, Some(1), "{output:?}");
    }
    for unknown in [
        there.remotely(&["groups", "--source", "twillio"]).await,
        there
            .place
            .run_without_secrets(&["groups", "--source", "twillio"])
            .await,
    ] {
        assert_eq!(unknown.code, Some(2), "{unknown:?}");
        assert!(unknown.stderr.contains("did you mean"), "{unknown:?}");
    }
    let idle = [
        "mute",
        "add",
        "--when",
        "source=twillio",
        "--for",
        "1h",
        "--why",
        "a slip",
    ];
    let warned = there.remotely(&idle).await;
    assert!(
        warned.stderr.contains("did you mean \"twilio\"?"),
        "{warned:?}"
    );

    // What is done from elsewhere is audited with the address that asked.
    let ended = there.remotely(&["mute", "end", "1", "--why", "over"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = there.remotely(&["mute", "end", "1"]).await;
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("it has ended already"),
        "{}",
        again.stderr
    );
    let dismissed = there
        .remotely(&["events", "dismiss", "--failed", "--why", "known"])
        .await;
    assert!(
        dismissed.stdout.starts_with("1 request: asked for"),
        "{}{}",
        dismissed.stdout,
        dismissed.stderr
    );
    until("it is dismissed", async || {
        let listed = there
            .remotely(&["events", "list", "--state", "dismissed"])
            .await;
        listed.stdout.contains("broken").then_some(())
    })
    .await;
    let audit = there.remotely(&["audit", "--json"]).await.stdout;
    let newest: Value = serde_json::from_str(audit.lines().next().unwrap()).unwrap();
    assert_eq!(
        [&newest["action"], &newest["origin"], &newest["why"]],
        ["dismiss", "127.0.0.1", "known"]
    );
    let tested = there.remotely(&["test", "--destination", "itoc360"]).await;
    assert!(
        tested
            .stdout
            .ends_with("the way of destination itoc360 works\n"),
        "{}{}",
        tested.stdout,
        tested.stderr
    );
    let healthy = there.remotely(&["health", "--ready"]).await;
    assert!(
        healthy.stdout.starts_with("healthy: http://127.0.0.1:"),
        "{}",
        healthy.stderr
    );
}

#[tokio::test]
async fn memory_of_a_gateway_that_is_down_is_said_to_be_missing() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let refused = twilio::unsigned("/in/twilio", "a=b");
    gateway.post(&refused).await.is_problem(401);
    assert_eq!(place.list(&["--state", "rejected"]).await.len(), 1);
    gateway.stop().await;
    let listed = place
        .run_without_secrets(&["events", "list", "--state", "rejected"])
        .await;
    assert_eq!((listed.code, &*listed.stdout), (Some(0), "no events\n"));
    assert!(
        listed.stderr.contains("no gateway runs"),
        "{}",
        listed.stderr
    );
}

#[tokio::test]
async fn gateway_that_cannot_be_asked_is_told_with_advice() {
    let itoc360 = Itoc360::alertmanager().await;
    let there = There::start(&itoc360).await;
    let here = &there.here;
    let url = there.url();
    let senders = format!("http://{}", there.gateway.address);
    let tls = url.replace("http://", "https://");
    let credential = url.replace("http://", "http://user:canary-password@");
    for (arguments, code, advice) in [
        (vec!["--remote", &*url], 1, "ALERT_GATEWAY_TOKEN"),
        (
            vec!["--remote", &url, "--token", "canary-wrong"],
            1,
            "the token is not admin_token",
        ),
        (
            vec!["--remote", &senders, "--token-file", "token"],
            1,
            "is not the admin listener",
        ),
        (
            vec!["--remote", &itoc360.url(), "--token-file", "token"],
            1,
            "is not the admin listener",
        ),
        (
            vec!["--remote", &tls, "--token-file", "token"],
            1,
            "does not speak TLS",
        ),
        (
            vec!["--remote", "http://127.0.0.1:9"],
            1,
            "is the gateway running",
        ),
        (vec!["--remote", &credential], 2, "leave the credential out"),
        (vec!["--remote", "127.0.0.1:9090"], 2, "has no scheme"),
        (vec!["--token-file", "token"], 2, "--remote"),
        (
            vec!["--remote", &url, "--token-file", "none"],
            1,
            "cannot read the token in none",
        ),
        (
            vec![
                "--remote",
                &tls,
                "--token-file",
                "token",
                "--ca",
                "none.pem",
            ],
            2,
            "none.pem",
        ),
    ] {
        let output = here
            .run_without_secrets(&[&["events", "list"], &*arguments].concat())
            .await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert!(
            output.stderr.contains(advice),
            "{arguments:?}: {}",
            output.stderr
        );
        for secret in ["canary", TOKEN] {
            assert!(!output.stderr.contains(secret), "{}", output.stderr);
        }
    }
    let unknown = there.remotely(&["events", "show", "nope"]).await;
    assert!(
        unknown.stderr.contains("has the id \"nope\""),
        "{}",
        unknown.stderr
    );
    let source = there
        .remotely(&["events", "list", "--source", "twillio"])
        .await;
    assert!(source.stderr.contains("twilio"), "{}", source.stderr);
    let diff = there.remotely(&["events", "replay", "--diff"]).await;
    assert_eq!(diff.code, Some(2));
}

#[tokio::test]
async fn listener_with_a_certificate_of_its_own_authority_is_asked() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let issued = authority.issue_for("127.0.0.1");
    let (_place, gateway) = Setup::new(&itoc360)
        .gateway("admin_tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\" }")
        .file("cert.pem", &issued.cert)
        .file("key.pem", &issued.key)
        .file("ca.pem", authority.pem())
        .start()
        .await;
    let here = Place::of("");
    here.write("ca.pem", authority.pem());
    here.write("cert.pem", &issued.cert);
    here.write("key.pem", &issued.key);
    let url = format!("https://{}", gateway.admin);
    let list = async |more: &[&str]| {
        let arguments = ["events", "list", "--remote", &url];
        here.run_without_secrets(&[&arguments, more].concat()).await
    };
    let unknown = list(&[]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("--ca FILE"), "{}", unknown.stderr);
    let nobody = list(&["--ca", "ca.pem"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("--client-cert"), "{}", nobody.stderr);
    let known = [
        "--ca",
        "ca.pem",
        "--client-cert",
        "cert.pem",
        "--client-key",
        "key.pem",
    ];
    let listed = list(&known).await;
    assert_eq!(
        (listed.code, &*listed.stdout),
        (Some(0), "no events\n"),
        "{}",
        listed.stderr
    );
}

#[tokio::test]
async fn words_of_a_hostile_listener_steer_no_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
        while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let body = "{\"events\": [{\"priority\": \"high\\u001b]0;x\\u0007\\u202e\\u009b31m\"}], \"next\": null}";
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}"
        );
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
    });
    let here = Place::of("");
    let arguments = ["events", "list", "--remote", &url];
    let told = here.run_without_secrets(&arguments).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("unknown variant"), "{}", told.stderr);
    let steers = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
    assert!(!told.stderr.contains(steers), "{:?}", told.stderr);
}

/// Answers every request with what `answer` makes of its number, from 1, until the listener is gone.
fn answering(answer: impl Fn(usize) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for number in 1.. {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let body = answer(number);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}",
                body.len()
            );
            let _ = write!(stream, "{head}\r\n\r\n{body}");
        }
    });
    url
}

#[tokio::test]
async fn list_without_an_end_is_not_read_for_ever() {
    let here = Place::of("");
    let circle = answering(|number| format!("{{\"events\": [], \"next\": \"{}\"}}", number % 3));
    let told = here
        .run_without_secrets(&["events", "list", "--remote", &circle])
        .await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("goes round in a circle"), "{told:?}");
    let more = answering(|_| "{\"requests\": [], \"more\": true}".to_owned());
    let dismiss = [
        "events", "dismiss", "--failed", "--why", "x", "--remote", &more,
    ];
    let told = here.run_without_secrets(&dismiss).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr
            .contains("says that there are more, and names none"),
        "{told:?}"
    );
}

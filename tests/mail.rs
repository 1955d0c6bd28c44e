//! Mail: what a mail server is sent, and what each of its replies means.

use std::sync::Arc;

use hyper::Method;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::harness::{
    Gateway, Mail, MailServer, MailWays, Place, Process, Program, Setup, Step, needs, plugin,
    program,
};

const PASSWORD: &str = "canary of a mail password";

/// An authority, and a certificate of it for `localhost`.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    cert: rcgen::Certificate,
    key: KeyPair,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "An authority for mail";
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &authority).unwrap();
        Self {
            authority,
            cert,
            key,
        }
    }

    fn server(&self) -> Option<Arc<ServerConfig>> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.cert.der().clone()], key);
        Some(Arc::new(config.unwrap()))
    }
}

/// A gateway that sends mail by this URL, and trusts the authority.
async fn start(certificates: &Certificates, url: &str, lines: &str) -> (Place, Gateway) {
    let table = format!(
        "kind = \"smtp\"\nurl = \"{url}\"\nfrom = \"Alerts <alerts@example.org>\"\nca = \"ca.pem\"\n{lines}"
    );
    Setup::empty()
        .file("ca.pem", certificates.authority.pem())
        .file("password", PASSWORD)
        .destination_of("mail", &table)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await
}

const TO: &str = "to = [\"on-call@example.com\"]";
const LOGIN: &str = "to = [\"on-call@example.com\"]\npassword = { file = \"password\" }";

fn url(scheme: &str, server: &MailServer) -> String {
    format!("{scheme}://localhost:{}", server.address().port())
}

fn user_url(scheme: &str, server: &MailServer) -> String {
    let port = server.address().port();
    format!("{scheme}://ops%40example.org@localhost:{port}")
}

async fn accept(gateway: &Gateway, event_id: &str, status: &str) -> String {
    let mut alert = plugin::alert(event_id);
    alert["key"] = "a key".into();
    alert["status"] = status.into();
    alert["message"] = "line 1\n.\n.line 3".into();
    gateway.accept(&plugin::alerts("parrot", &[alert])).await
}

#[tokio::test]
async fn open_and_resolve_arrive_as_a_thread_by_both_ways_to_tls() {
    let certificates = Certificates::new();
    for (scheme, implicit, auth) in [
        ("smtps", true, "PLAIN LOGIN"),
        ("smtp", false, "LOGIN"),
        ("smtp", false, "PLAIN"),
    ] {
        let server = MailServer::start(MailWays {
            tls: certificates.server(),
            implicit,
            auth,
            login: Some(("ops@example.org", PASSWORD)),
        })
        .await;
        let (place, gateway) = start(&certificates, &user_url(scheme, &server), LOGIN).await;
        let opened = accept(&gateway, "opens", "trigger").await;
        server.mails(1).await;
        accept(&gateway, "closes", "resolve").await;
        let mails = server.mails(2).await;
        for mail in &mails {
            assert!(mail.encrypted);
            let login = ("ops@example.org".to_owned(), PASSWORD.to_owned());
            assert_eq!(mail.login, Some(login));
            assert_eq!(mail.from, "MAIL FROM:<alerts@example.org>");
            assert_eq!(mail.to, ["RCPT TO:<on-call@example.com>"]);
            assert!(mail.text.contains("\n.\n.line 3\n"), "{}", mail.text);
        }
        let subjects: Vec<_> = mails.iter().map(|mail| mail.header("Subject")).collect();
        assert_eq!(
            subjects,
            ["[HIGH] Event opens", "[HIGH] Resolved: Event closes"]
        );
        assert_eq!(mails[0].header("References"), mails[1].header("References"));
        assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
        let event = place.event_in_state(&opened, "delivered").await;
        let receipt = event["alerts"][0]["attempts"][0]["receipt"].to_string();
        assert!(receipt.contains("queued as 4711"), "{event}");
    }
}

#[tokio::test]
async fn every_reply_of_a_mail_server_has_its_outcome() {
    let certificates = Certificates::new();
    let steps = [
        (Step::Greeting, "421 4.3.2 closing", "retry"),
        (Step::Greeting, "554 no service for you", "blocked"),
        (Step::Greeting, "HTTP/1.1 400 Bad Request", "retry"),
        (Step::Greeting, "", "retry"),
        (Step::Greeting, "hang", "retry"),
        (Step::Ehlo, "501 what?", "blocked"),
        (Step::StartTls, "454 not now", "retry"),
        (Step::StartTls, "502 never", "blocked"),
        (Step::StartTls, "220 go ahead\n250 injected", "retry"),
        (Step::Auth, "535 5.7.8 wrong", "blocked"),
        (Step::Auth, "454 4.7.0 not now", "retry"),
        (Step::From, "550 not this sender", "blocked"),
        (Step::From, "530 5.7.0 log in first", "blocked"),
        (Step::From, "451 later", "retry"),
        (Step::To, "450 greylisted", "retry"),
        (Step::To, "550 5.1.1 no such user", "rejected"),
        (Step::Data, "421 closing", "retry"),
        (Step::Data, "554 no", "rejected"),
        (Step::Message, "452 full", "retry"),
        (Step::Message, "552 too large", "rejected"),
        (Step::Message, "", "retry"),
        (Step::Message, "hang", "retry"),
    ];
    for (step, reply, expected) in steps {
        let server = MailServer::start(MailWays {
            tls: certificates.server(),
            implicit: false,
            auth: "PLAIN",
            login: Some(("ops@example.org", PASSWORD)),
        })
        .await;
        server.replies(step, reply);
        let lines = format!("{LOGIN}\ntimeout = \"2s\"");
        let (place, gateway) = start(&certificates, &user_url("smtp", &server), &lines).await;
        let id = accept(&gateway, "1", "trigger").await;
        let metric = format!(
            "alert_gateway_delivery_attempts_total{{destination=\"mail\",outcome=\"{expected}\"}}"
        );
        gateway.metric(&metric, |count| count >= 1.0).await;
        assert!(server.mails(0).await.is_empty(), "{step:?} {reply:?}");
        server.recovers();
        if expected == "rejected" {
            place.event_in_state(&id, "dead").await;
            let replayed = place.run(&["events", "replay", &id]).await;
            assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
        }
        // What failed arrives once the server is well, without a restart.
        assert_eq!(server.mails(1).await.len(), 1, "{step:?} {reply:?}");
        place.event_in_state(&id, "delivered").await;
        let said = gateway.stop().await.stderr;
        assert!(!said.contains(PASSWORD), "{step:?} {reply:?}: {said}");
    }
}

#[tokio::test]
async fn password_that_the_server_repeats_shows_nowhere() {
    let certificates = Certificates::new();
    let server = MailServer::start(MailWays {
        tls: certificates.server(),
        implicit: true,
        auth: "PLAIN LOGIN",
        login: Some(("ops@example.org", "another")),
    })
    .await;
    let (place, gateway) = start(&certificates, &user_url("smtps", &server), LOGIN).await;
    let id = accept(&gateway, "1", "trigger").await;
    let held = gateway.destination("mail", "held").await;
    assert!(held["why"].as_str().unwrap().contains("535"), "{held}");
    // The right one needs no restart.
    place.write("password", "another");
    place.event_in_state(&id, "delivered").await;
    let shown = place.event(&id).await.to_string();
    let said = gateway.stop().await.stderr;
    for text in [&shown, &said, &held.to_string()] {
        // In base64, a mask hides what is between two borders of three bytes.
        for secret in [PASSWORD, "canary of a mail"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_unless_it_is_allowed() {
    let certificates = Certificates::new();
    let server = MailServer::start(MailWays::default()).await;
    let lines = format!("{TO}\ntls = \"starttls\"");
    let (place, gateway) = start(&certificates, &url("smtp", &server), &lines).await;
    accept(&gateway, "1", "trigger").await;
    let held = gateway.destination("mail", "held").await;
    assert!(
        held["why"].as_str().unwrap().contains("offers no STARTTLS"),
        "{held}"
    );
    assert!(server.mails(0).await.is_empty());
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        text.replace("tls = \"starttls\"", "tls = \"off\""),
    );
    let reloaded = place.run(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let mails = server.mails(1).await;
    assert!(!mails[0].encrypted);
}

#[tokio::test]
async fn certificate_of_a_stranger_is_not_trusted() {
    let certificates = Certificates::new();
    for (scheme, implicit) in [("smtps", true), ("smtp", false)] {
        let server = MailServer::start(MailWays {
            tls: Certificates::new().server(),
            implicit,
            ..MailWays::default()
        })
        .await;
        let (place, gateway) = start(&certificates, &url(scheme, &server), TO).await;
        let id = accept(&gateway, "1", "trigger").await;
        server.sessions(2).await;
        let shown = place.event(&id).await.to_string();
        assert!(shown.contains("invalid peer certificate"), "{shown}");
        assert!(server.mails(0).await.is_empty());
        drop(gateway);
    }
}

#[tokio::test]
async fn refused_recipient_does_not_keep_the_mail_from_others() {
    let certificates = Certificates::new();
    let server = MailServer::start(MailWays::default()).await;
    let to = "to = [\"refused@example.com\", \"Other <other@example.com>\"]";
    let (place, gateway) = start(&certificates, &url("smtp", &server), to).await;
    let id = accept(&gateway, "1", "trigger").await;
    let mails = server.mails(1).await;
    assert_eq!(mails[0].to, ["RCPT TO:<other@example.com>"]);
    let event = place.event_in_state(&id, "delivered").await;
    assert!(
        event.to_string().contains(
            "(1 of 2 recipients refused: refused@example.com: the mail server answered 550 to RCPT TO"
        ),
        "{event}"
    );
    let said = gateway.stop().await.stderr;
    assert!(said.contains("not for all its recipients"), "{said}");
}

#[tokio::test]
async fn recipient_put_off_gets_the_mail_later_and_others_get_it_once() {
    const MAILS: usize = 6;
    let certificates = Certificates::new();
    let server = MailServer::start(MailWays::default()).await;
    server.replies(Step::Later, "450 4.2.0 greylisted");
    let to = "to = [\"later@example.com\", \"refused@example.com\", \"other@example.com\"]";
    let (place, gateway) = start(&certificates, &url("smtp", &server), to).await;
    let mut ids = Vec::new();
    for number in 0..MAILS {
        let alert = plugin::alert(&number.to_string());
        ids.push(gateway.accept(&plugin::alerts("parrot", &[alert])).await);
    }
    server.mails(MAILS).await;
    // Each is tried again meanwhile.
    server.sessions(3 * MAILS).await;
    let mails = server.mails(MAILS).await;
    assert_eq!(mails.len(), MAILS, "the others get no second mail");
    assert!(
        mails
            .iter()
            .all(|mail| mail.to == ["RCPT TO:<other@example.com>"])
    );
    let event = place.event(&ids[0]).await.to_string();
    assert!(
        event.contains("2 of 3 recipients are tried again without the others: later@example.com: "),
        "{event}"
    );
    let state = gateway.admin(Method::GET, "/readyz").await.json();
    assert_eq!(state["destinations"]["mail"]["state"], "healthy", "{state}");
    server.recovers();
    for id in &ids {
        let event = place.event_in_state(id, "delivered").await.to_string();
        assert!(event.contains("1 of 3 recipients refused"), "{event}");
    }
    let mails = server.mails(2 * MAILS).await;
    assert_eq!(mails.len(), 2 * MAILS);
    let late = |mail: &Mail| mail.to == ["RCPT TO:<later@example.com>"];
    assert!(mails[MAILS..].iter().all(late));
}

#[tokio::test]
async fn private_mail_server_is_not_reached_by_public_egress() {
    let certificates = Certificates::new();
    let server = MailServer::start(MailWays::default()).await;
    let lines = format!("{TO}\negress = \"public\"");
    let (place, gateway) = start(&certificates, &url("smtp", &server), &lines).await;
    let id = accept(&gateway, "1", "trigger").await;
    gateway
        .metric(
            "alert_gateway_delivery_attempts_total{destination=\"mail\",outcome=\"retry\"}",
            |count| count >= 1.0,
        )
        .await;
    let shown = place.event(&id).await.to_string();
    assert!(shown.contains("egress"), "{shown}");
    assert!(server.mails(0).await.is_empty());
}

#[tokio::test]
async fn real_mail_server_takes_a_mail_by_starttls_and_login() {
    let Some(_) = needs(Program::Aiosmtpd) else {
        return;
    };
    let certificates = Certificates::new();
    let place = Place::of("");
    place.write("cert.pem", certificates.cert.pem());
    place.write("key.pem", certificates.key.serialize_pem());
    let script = include_str!("mail/server.py");
    let mut command = program("/usr/bin/python3");
    command.args(["-u", "-c", script, "ops@example.org", PASSWORD]);
    command.current_dir(place.path(""));
    let mut server = Process::start(command);
    let port = server.said("listening at ").await;
    let port = port.rsplit(' ').next().unwrap();
    let url = format!("smtp://ops%40example.org@localhost:{port}");
    let (_place, gateway) = start(&certificates, &url, LOGIN).await;
    accept(&gateway, "opens", "trigger").await;
    let said = server.said("Subject: [HIGH] Event opens").await;
    assert!(
        said.contains("TLS=True") && said.contains("user=ops@example.org"),
        "{said}"
    );
    accept(&gateway, "closes", "resolve").await;
    server.said("Subject: [HIGH] Resolved: Event closes").await;
}

//! The two listeners: TLS with changing certificates, and access to the admin listener.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hyper::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::harness::tls::{Authority, Issued};
use crate::harness::{Gateway, Itoc360, Place, Setup, read, twilio, until};

const TLS: &str = "tls = { cert = \"tls/cert.pem\", key = \"tls/key.pem\" }";

/// Installs a pair at the paths of [`TLS`], each file by a rename, as certbot and others do.
fn put(place: &Place, issued: &Issued) {
    fs::create_dir_all(place.path("tls")).unwrap();
    for (name, content) in [("cert.pem", &issued.cert), ("key.pem", &issued.key)] {
        let new = place.write("new.pem", content);
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, place.path("tls").join(name)).unwrap();
    }
}

async fn start_with(authority: &Authority, itoc360: &Itoc360) -> (Place, Gateway, Issued) {
    // The grace is shorter than the limit of a handshake.
    let place = Setup::new(itoc360)
        .gateway(TLS)
        .gateway("shutdown_grace = \"3s\"")
        .place();
    let issued = authority.issue();
    put(&place, &issued);
    let gateway = place.start().await;
    (place, gateway, issued)
}

/// Requests a page of the admin listener with these header lines; returns status and body.
async fn page(gateway: &Gateway, path: &str, lines: &str) -> (u16, String) {
    let answer = gateway
        .raw_admin(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").as_bytes())
        .await;
    (
        answer
            .get(9..12)
            .unwrap_or_default()
            .parse()
            .unwrap_or_default(),
        answer,
    )
}

#[tokio::test]
async fn tls_carries_alerts_in_both_versions_of_http_and_of_tls() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (_place, gateway, _) = start_with(&authority, &itoc360).await;
    let mut number = 0;
    for tls in [&TLS12, &TLS13] {
        for http in [Version::HTTP_11, Version::HTTP_2] {
            number += 1;
            let post = twilio::error(&twilio::sid(number)).to("twilio");
            let answer = authority
                .client_of_version(tls)
                .post(gateway.address, http, &post)
                .await
                .unwrap();
            assert_eq!(
                (answer.status, &answer.json()["accepted"]),
                (200, &1.into()),
                "{tls:?} {http:?}"
            );
        }
    }
    itoc360.opens_only(number).await;
    // A client that knows nothing of ALPN speaks HTTP/1.1; one that speaks something else only is
    // refused.
    let client = authority.client();
    assert!(client.connect(gateway.address, &[]).await.is_ok());
    assert!(client.connect(gateway.address, &["spdy/3"]).await.is_err());
    let other = Authority::new();
    assert!(
        other
            .client()
            .connect(gateway.address, &["h2"])
            .await
            .is_err(),
        "it is no certificate of another authority"
    );
    gateway
        .metric(
            "alert_gateway_tls_handshakes_failed_total{listener=\"listen\",reason=\"refused_by_client\"}",
            |n| n == 1.0,
        )
        .await;
}

#[tokio::test]
async fn renewed_certificate_is_loaded_and_a_broken_one_is_not() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (place, mut gateway, first) = start_with(&authority, &itoc360).await;
    let client = authority.client();
    let address = gateway.address;
    assert!(first.is_shown(&client, address).await);
    let reload = async |outcome: &str, count: f64| {
        gateway
            .metric(
                &format!(
                    "alert_gateway_tls_reloads_total{{listener=\"listen\",outcome=\"{outcome}\"}}"
                ),
                |n| n == count,
            )
            .await;
    };

    let second = authority.issue();
    put(&place, &second);
    reload("replaced", 1.0).await;
    assert!(second.is_shown(&client, address).await);

    // The certificate of one and the key of another; then no key at all.
    let third = authority.issue();
    fs::write(place.path("tls/cert.pem"), &third.cert).unwrap();
    reload("refused", 1.0).await;
    fs::write(place.path("tls/key.pem"), "nonsense").unwrap();
    reload("refused", 2.0).await;
    assert!(second.is_shown(&client, address).await);
    let post = twilio::error(&twilio::sid(1)).to("twilio");
    assert_eq!(
        client
            .post(address, Version::HTTP_2, &post)
            .await
            .unwrap()
            .status,
        200
    );

    put(&place, &third);
    reload("replaced", 2.0).await;
    assert!(third.is_shown(&client, address).await);
    let why = gateway
        .log("why it is refused", |line| {
            (line["message"] == "the new certificate cannot be used; the old one stays")
                .then(|| line["why"].to_string())
        })
        .await;
    assert!(
        why.contains("tls/key.pem is not the key of the certificate in"),
        "{why}"
    );
    let secret = third.key.lines().nth(1).unwrap();
    assert!(!gateway.logged().contains(secret), "{}", gateway.logged());
}

#[tokio::test]
async fn connection_survives_an_exchange_of_its_certificate() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (place, gateway, _) = start_with(&authority, &itoc360).await;
    let client = authority.client();
    let mut open = client
        .connect(gateway.address, &["http/1.1"])
        .await
        .unwrap();
    put(&place, &authority.issue());
    gateway
        .metric(
            "alert_gateway_tls_reloads_total{listener=\"listen\",outcome=\"replaced\"}",
            |n| n == 1.0,
        )
        .await;
    let post = twilio::error(&twilio::sid(1)).to("twilio");
    let length = format!(
        "Content-Length: {}\r\nConnection: close\r\n",
        post.body.len()
    );
    open.write_all(&post.wire(&length)).await.unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn plain_http_and_silence_at_the_tls_port_are_closed() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (_place, gateway, _) = start_with(&authority, &itoc360).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(gateway.connect().await);
    }
    let answer = gateway
        .raw(&twilio::error(&twilio::sid(1)).to("twilio").wire(""))
        .await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let post = twilio::error(&twilio::sid(2)).to("twilio");
    let answer = authority
        .client()
        .post(gateway.address, Version::HTTP_2, &post)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    for connection in silent {
        assert_eq!(read(connection).await, "", "it is closed without a word");
    }
    let metrics = gateway.metrics().await;
    let failed = |reason| {
        metrics[&format!(
            "alert_gateway_tls_handshakes_failed_total{{listener=\"listen\",reason=\"{reason}\"}}"
        )]
    };
    assert_eq!((failed("not_tls"), failed("too_slow")), (1.0, 50.0));
    assert!(
        metrics["alert_gateway_tls_certificate_expiry_timestamp_seconds{listener=\"listen\"}"]
            > 1.7e9
    );
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_handshakes() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (_place, gateway, _) = start_with(&authority, &itoc360).await;
    let silent = gateway.connect().await;
    // It is accepted in the order of arrival, so that the silent one is in its handshake when this
    // one is answered.
    let post = twilio::error(&twilio::sid(1)).to("twilio");
    assert_eq!(
        authority
            .client()
            .post(gateway.address, Version::HTTP_11, &post)
            .await
            .unwrap()
            .status,
        200
    );
    let ended = gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for late in ["\"what\":\"requests\"", "some connections did not finish"] {
        assert!(!ended.stderr.contains(late), "{}", ended.stderr);
    }
    assert_eq!(read(silent).await, "");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_certificate_on_a_hung_disk() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let (place, gateway, _) = start_with(&authority, &itoc360).await;
    let cert = place.path("tls/cert.pem");
    fs::remove_file(&cert).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&cert)
            .status()
            .unwrap()
            .success()
    );
    // It opens once the gateway reads from it, which then waits until this is dropped.
    let open = move || fs::OpenOptions::new().write(true).open(cert);
    let silent = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
    let ended = gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        !ended.stderr.contains("not all of it finished in time"),
        "{}",
        ended.stderr
    );
    drop(silent);
}

#[tokio::test]
async fn check_and_run_tell_what_is_wrong_with_tls_at_its_line() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let place = Setup::new(&itoc360).gateway(TLS).place();
    put(
        &place,
        &Issued {
            key: authority.issue().key,
            ..authority.issue()
        },
    );
    for command in ["check", "run"] {
        let output = place.run(&[command]).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        let problem = "gateway.toml:6:38: key in tls in [gateway] names tls/key.pem, which is not the key of the certificate";
        assert!(output.stderr.contains(problem), "{}", output.stderr);
    }
    put(&place, &authority.issue());
    let output = place.run(&["check"]).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    assert!(
        output
            .stdout
            .contains("Listens at 127.0.0.1:0 with TLS for "),
        "{}",
        output.stdout
    );
    fs::set_permissions(place.path("tls/key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = place.run(&["check"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output
            .stderr
            .contains("which every user of this machine can read"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn admin_listener_with_client_ca_requires_its_certificate() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = Authority::new();
    let foreign = Authority::new();
    let own = authority.issue();
    let old = authority.issue_expired();
    let place = Setup::new(&itoc360)
        .gateway("tls = { cert = \"old.pem\", key = \"old-key.pem\" }\n\
                  admin_tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\" }\nadmin_hosts = \"gw.example.com\"")
        .file("old.pem", &old.cert)
        .file("old-key.pem", &old.key)
        .file("cert.pem", &own.cert)
        .file("key.pem", &own.key)
        .file("ca.pem", authority.pem())
        .place();
    let config = fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace("admin = \"127.0.0.1:0\"", "admin = \"0.0.0.0:0\""),
    );
    let gateway = place.start().await;
    let host = [("host", "gw.example.com")];
    let known = authority.client_as(&authority.issue());
    let metrics = known.get(gateway.admin, "/metrics", &host).await.unwrap();
    assert_eq!(metrics.status, 200);
    let headers = [host[0], ("accept", "text/html")];
    let now = known.get(gateway.admin, "/", &headers).await.unwrap();
    assert!(
        now.body.contains("The certificate of listen expired "),
        "{}",
        now.body
    );
    assert!(!now.body.contains("certificate of admin"), "{}", now.body);
    for refused in [
        authority.client(),
        authority.client_as(&foreign.issue()),
        authority.client_as(&authority.issue_expired()),
    ] {
        for path in ["/healthz", "/metrics"] {
            refused
                .get(gateway.admin, path, &host)
                .await
                .expect_err("it is answered");
        }
    }
    let metrics = known
        .get(gateway.admin, "/metrics", &host)
        .await
        .unwrap()
        .body;
    let failed = "alert_gateway_tls_handshakes_failed_total{listener=\"admin\",reason=\"client_certificate\"} 6";
    assert!(metrics.contains(failed), "{metrics}");
    assert_eq!(
        known
            .get(gateway.admin, "/metrics", &[("host", "evil.example")])
            .await
            .unwrap()
            .status,
        403
    );
    assert!(
        !gateway
            .raw_admin(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .contains("HTTP")
    );

    // An authority that is exchanged counts from the next connection on.
    place.write("ca.pem", foreign.pem());
    let stranger = authority.client_as(&foreign.issue());
    let heard = async || stranger.get(gateway.admin, "/healthz", &host).await.ok();
    assert_eq!(until("the new authority counts", heard).await.status, 200);
    known
        .get(gateway.admin, "/healthz", &host)
        .await
        .expect_err("the old authority does not");
}

#[tokio::test]
async fn admin_listener_with_a_token_requires_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .gateway("admin_token = [{ file = \"token\" }, \"canary-admin-next\"]")
        .file("token", "canary-admin-old\n")
        .start()
        .await;
    let mut said = Vec::new();
    for path in ["/", "/readyz", "/metrics", "/nothing"] {
        let (missing, answer) = page(&gateway, path, "Host: localhost\r\n").await;
        assert_eq!(missing, 401, "{answer}");
        assert!(
            answer
                .to_lowercase()
                .contains("www-authenticate: bearer\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("application/problem+json") && answer.contains("admin_token"),
            "{answer}"
        );
        said.push(answer);
        for wrong in ["canary-admin-ol", "canary-admin-old2", "x"] {
            let (status, answer) = page(
                &gateway,
                path,
                &format!("Host: localhost\r\nAuthorization: Bearer {wrong}\r\n"),
            )
            .await;
            assert_eq!(status, 403, "{wrong}: {answer}");
            said.push(answer);
        }
        for right in ["canary-admin-old", "canary-admin-next"] {
            let (status, answer) = page(
                &gateway,
                path,
                &format!("Host: localhost\r\nAuthorization: Bearer {right}\r\n"),
            )
            .await;
            assert_eq!(
                status,
                if path == "/nothing" { 404 } else { 200 },
                "{answer}"
            );
            said.push(answer);
        }
        // Not from the URL, which logs and histories keep.
        assert_eq!(
            page(
                &gateway,
                &format!("{path}?token=canary-admin-old"),
                "Host: localhost\r\n"
            )
            .await
            .0,
            401
        );
    }
    assert_eq!(
        page(&gateway, "/healthz", "Host: localhost\r\n").await.0,
        200,
        "a probe needs no token"
    );
    let looked = place.run_without_secrets(&["events", "list"]).await;
    assert_eq!(
        looked.code,
        Some(0),
        "who looks at the store needs no token: {looked:?}"
    );
    // A replaced file is followed.
    place.write("token", "canary-admin-newer\n");
    let with = async |token: &str| {
        let headers = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        page(&gateway, "/", &headers).await
    };
    let taken =
        async || Some(with("canary-admin-newer").await).filter(|(status, _)| *status == 200);
    said.push(until("the new token counts", taken).await.1);
    let (status, answer) = with("canary-admin-old").await;
    assert_eq!(status, 403);
    said.push(answer);
    assert_eq!(with("canary-admin-next").await.0, 200);
    let ended = gateway.stop().await;
    said.extend([ended.stdout, ended.stderr]);
    let shown = said
        .iter()
        .flat_map(|text| text.lines())
        .find(|line| line.contains("canary"));
    assert_eq!(shown, None);
    assert_eq!(
        refusals(&said[said.len() - 1]),
        ["unauthenticated", "forbidden"]
    );
}

/// Returns the outcomes in the log lines about the admin listener.
fn refusals(logged: &str) -> Vec<String> {
    let lines = logged
        .lines()
        .filter(|line| line.contains("refused at the admin listener"));
    let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .map(|line| line["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn admin_listener_refuses_foreign_hosts_and_origins() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .gateway("admin_hosts = [\"gateway.internal\"]")
        .start()
        .await;
    let own = gateway.admin.to_string();
    for lines in [
        "Host: localhost\r\n",
        "Host: gateway.internal:9090\r\n",
        &format!("Host: {own}\r\n"),
        &format!("Host: {own}\r\nOrigin: http://{own}\r\n"),
    ] {
        assert_eq!(page(&gateway, "/metrics", lines).await.0, 200, "{lines:?}");
    }
    // What names no host, or two, is no request (RFC 9112).
    for lines in ["", "Host: localhost\r\nHost: evil.example\r\n"] {
        assert_eq!(page(&gateway, "/metrics", lines).await.0, 400, "{lines:?}");
    }
    for (lines, help) in [
        ("Host: evil.example\r\n", "admin_hosts"),
        ("Host: localhost.evil.example\r\n", "admin_hosts"),
        (
            &format!("Host: {own}\r\nOrigin: https://evil.example\r\n"),
            "Origin",
        ),
        (&format!("Host: {own}\r\nOrigin: null\r\n"), "Origin"),
    ] {
        for path in ["/", "/healthz", "/readyz", "/metrics"] {
            let (status, answer) = page(&gateway, path, lines).await;
            assert_eq!(status, 403, "{lines:?}: {answer}");
            assert!(
                answer.contains("application/problem+json") && answer.contains(help),
                "{answer}"
            );
        }
    }
    let absolute = gateway.raw_admin(
        b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(absolute.await.starts_with("HTTP/1.1 403 "));
    let logged = gateway.stop().await.stderr;
    assert_eq!(
        refusals(&logged),
        ["foreign_host", "foreign_origin"],
        "one line of each kind: {logged}"
    );
}

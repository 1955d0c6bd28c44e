//! Handshakes, and files that change under a listener.

use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::*;

/// Writes a new pair into a folder, and gives the certificate.
fn renew(folder: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

fn load(folder: &Path) -> (Tls, Following, Metrics) {
    let files = TlsFiles {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: None,
    };
    let metrics = Metrics::new();
    let (tls, following) = Tls::load(&files, "listen", &metrics).unwrap();
    (tls, following, metrics)
}

/// Returns whether the handshake succeeds, which begins with whatever is asked of the connection
/// first.
async fn greet(tls: &Tls, stream: TcpStream) -> bool {
    let mut connection = Connection::new(Either::Left(stream), Some(tls));
    connection.write(&[]).await.is_ok()
}

/// Returns the one of `known` that a handshake shows, if any.
async fn shown(tls: &Tls, known: &[&CertificateDer<'static>]) -> Option<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let mut roots = RootCertStore::empty();
    known
        .iter()
        .for_each(|certificate| roots.add((*certificate).clone()).unwrap());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let (greeted, connected) = tokio::join!(
        greet(tls, accepted),
        connector.connect(ServerName::try_from("localhost").unwrap(), stream)
    );
    let connected = connected.ok()?;
    assert!(greeted);
    let certificates = connected.get_ref().1.peer_certificates().unwrap();
    known
        .iter()
        .position(|certificate| **certificate == certificates[0])
}

fn reloads(metrics: &Metrics, outcome: &'static str) -> u64 {
    metrics
        .tls_reloads
        .get_or_create(&ReloadLabels {
            listener: "listen",
            outcome,
        })
        .get()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path());
    let (tls, mut following, metrics) = load(folder.path());
    assert_eq!(shown(&tls, &[&first]).await, Some(0));
    following.look();
    let second = renew(folder.path());
    assert_eq!(shown(&tls, &[&first, &second]).await, Some(0));
    following.look();
    assert_eq!(shown(&tls, &[&first, &second]).await, Some(1));
    following.look();
    assert_eq!(
        (reloads(&metrics, "replaced"), reloads(&metrics, "refused")),
        (1, 0)
    );
}

#[tokio::test]
async fn unusable_files_change_nothing_and_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path());
    let (tls, mut following, metrics) = load(folder.path());
    let key = fs::read(folder.path().join("key.pem")).unwrap();
    let second = renew(folder.path());
    let second_key = fs::read(folder.path().join("key.pem")).unwrap();

    // The new certificate is there, and its key is not yet.
    fs::write(folder.path().join("key.pem"), &key).unwrap();
    following.look();
    assert_eq!(
        (
            reloads(&metrics, "refused"),
            shown(&tls, &[&first, &second]).await
        ),
        (0, Some(0))
    );
    for _ in 0..5 {
        following.look();
    }
    assert_eq!(
        (
            reloads(&metrics, "refused"),
            shown(&tls, &[&first, &second]).await
        ),
        (1, Some(0))
    );
    // Something else is wrong now.
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    following.look();
    following.look();
    assert_eq!(
        (
            reloads(&metrics, "refused"),
            shown(&tls, &[&first, &second]).await
        ),
        (2, Some(0))
    );

    fs::write(folder.path().join("key.pem"), second_key).unwrap();
    following.look();
    assert_eq!(
        (
            reloads(&metrics, "replaced"),
            shown(&tls, &[&first, &second]).await
        ),
        (1, Some(1))
    );
}

#[tokio::test]
async fn pair_behind_links_is_followed_when_the_folder_changes() {
    let folder = tempfile::tempdir().unwrap();
    let versions = ["1", "2"].map(|name| folder.path().join(name));
    let certificates = versions.each_ref().map(|version| {
        fs::create_dir(version).unwrap();
        renew(version)
    });
    // As Kubernetes mounts a secret: the files are links into `data`, and `data` is a link that is
    // renamed over.
    std::os::unix::fs::symlink("1", folder.path().join("data")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        std::os::unix::fs::symlink(format!("data/{name}"), folder.path().join(name)).unwrap();
    }
    let (tls, mut following, _) = load(folder.path());
    assert_eq!(
        shown(&tls, &[&certificates[0], &certificates[1]]).await,
        Some(0)
    );
    std::os::unix::fs::symlink("2", folder.path().join("new")).unwrap();
    fs::rename(folder.path().join("new"), folder.path().join("data")).unwrap();
    following.look();
    assert_eq!(
        shown(&tls, &[&certificates[0], &certificates[1]]).await,
        Some(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_files_that_do_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    renew(folder.path());
    let (_, following, _) = load(folder.path());
    let cert = folder.path().join("cert.pem");
    fs::remove_file(&cert).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&cert)
            .status()
            .unwrap()
            .success()
    );
    let stop = CancellationToken::new();
    let following = tokio::spawn(following.run(stop.clone()));
    // It opens once it is read from, and what reads it waits until this is dropped.
    let (opened, is_open) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || opened.send(fs::OpenOptions::new().write(true).open(cert)));
    let silent = is_open.await.unwrap().unwrap();
    stop.cancel();
    following.await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_handshake_that_fails_is_told_apart_and_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    renew(folder.path());
    let (tls, _, metrics) = load(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (said, hangs_up, reason) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], false, "not_tls"),
        (b"", false, "too_slow"),
        // A record that announces more than comes.
        (b"\x16\x03\x01\x02\x00\x01", false, "too_slow"),
        (b"\x16\x03\x01\x02\x00\x01", true, "broken"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        client.write_all(said).await.unwrap();
        if hangs_up {
            client.shutdown().await.unwrap();
        }
        assert!(!greet(&tls, accepted).await);
        let labels = HandshakeLabels {
            listener: "listen",
            reason,
        };
        assert!(
            metrics.tls_handshakes_failed.get_or_create(&labels).get() > 0,
            "{said:?}: {reason}"
        );
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let other = renew(folder.path());
    assert_eq!(shown(&tls, &[&other]).await, None);
    let labels = HandshakeLabels {
        listener: "listen",
        reason: "refused_by_client",
    };
    assert_eq!(
        metrics.tls_handshakes_failed.get_or_create(&labels).get(),
        1
    );
}

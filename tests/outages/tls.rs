//! ITOC360's certificate is not what it should be; and, where it is, HTTP/2 over it.
//!
//! The gateway trusts what the machine trusts, and `SSL_CERT_FILE` says what that is. So a test can
//! be an authority, and an operator's private one can, too.

use std::sync::Arc;

use hyper::Version;
use itoc360_double::Format;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{EVENTS, attempts, failing_because, post, recovers};
use crate::harness::{Gateway, Itoc360, Line, Place, Setup, State, twilio, until};

/// An authority that the gateway trusts.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "An authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A line that shows this certificate.
fn shows(
    name: &str,
    expired: bool,
    authority: Option<&CertifiedIssuer<'static, KeyPair>>,
) -> State {
    State::Tls(Arc::new(certificate(name, expired, authority)))
}

/// A certificate for this name, signed by `authority`, or by itself where there is none.
fn certificate(
    name: &str,
    expired: bool,
    authority: Option<&CertifiedIssuer<'static, KeyPair>>,
) -> ServerConfig {
    asking(
        WebPkiClientVerifier::no_client_auth(),
        name,
        expired,
        authority,
    )
}

/// As [`certificate`], which asks its peer for one as `clients` says.
fn asking(
    clients: Arc<dyn ClientCertVerifier>,
    name: &str,
    expired: bool,
    authority: Option<&CertifiedIssuer<'static, KeyPair>>,
) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if expired {
        params.not_after = date_time_ymd(2026, 1, 1);
    }
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.unwrap().der().clone()], key)
        .unwrap()
}

/// Alerts come in while the line shows a certificate that is not to be trusted; the reason is
/// shown; and they go out when it shows one that is, without a restart.
async fn drill(wrong: impl FnOnce(&CertifiedIssuer<'static, KeyPair>) -> State, said: &str) {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = authority();
    let line = Line::to(&itoc360);
    line.is(wrong(&authority));
    let (place, gateway) = start(&line, &authority).await;
    post(&gateway, "twilio", 0..EVENTS).await;
    failing_because(&place, &gateway, said).await;
    assert_eq!(
        itoc360.tally().requests,
        0,
        "the token is shown to nobody who is not trusted"
    );
    line.is(shows("localhost", false, Some(&authority)));
    recovers(&gateway, &itoc360, EVENTS).await;
}

async fn start(line: &Line, authority: &CertifiedIssuer<'static, KeyPair>) -> (Place, Gateway) {
    let url = line.url_as("https", "localhost");
    let place = Setup::empty()
        .destination_at("itoc360", &url, Format::Alertmanager)
        .twilio("twilio")
        .place();
    let trusted = place.write("authority.pem", authority.pem());
    let gateway = place.start_with([("SSL_CERT_FILE", trusted)]).await;
    (place, gateway)
}

#[tokio::test]
async fn alerts_wait_while_the_certificate_is_self_signed() {
    drill(
        |_| shows("localhost", false, None),
        "invalid peer certificate: UnknownIssuer; check the url, this machine's clock",
    )
    .await;
}

#[tokio::test]
async fn alerts_wait_while_the_certificate_is_expired() {
    drill(
        |authority| shows("localhost", true, Some(authority)),
        "invalid peer certificate: certificate expired",
    )
    .await;
}

#[tokio::test]
async fn alerts_wait_while_the_certificate_is_for_another_host() {
    drill(
        |authority| shows("other.example", false, Some(authority)),
        "not valid for name \"localhost\"",
    )
    .await;
}

#[tokio::test]
async fn alerts_wait_while_the_peer_speaks_no_tls() {
    drill(|_| State::Well, "cannot connect to localhost").await;
}

#[tokio::test]
async fn alerts_wait_while_the_peer_misses_a_client_certificate() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = authority();
    let mut known = RootCertStore::empty();
    known.add(authority.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider);
    let mut config = asking(
        clients.build().unwrap(),
        "localhost",
        false,
        Some(&authority),
    );
    config.alpn_protocols = vec![b"h2".to_vec()];
    let line = Line::to(&itoc360);
    line.is(State::Tls(Arc::new(config)));
    let (place, gateway) = start(&line, &authority).await;
    post(&gateway, "twilio", 0..EVENTS).await;
    // HTTP/2 may lose the peer's word in one attempt, and has it in another.
    until("an attempt says what is missing", async || {
        let event = place.event(&twilio::sid(0)).await;
        let said = |attempt: &Value| attempt["said"].as_str().unwrap().contains("ertificate");
        attempts(&event).iter().any(said).then_some(())
    })
    .await;
    assert_eq!(itoc360.tally().requests, 0);
    line.is(shows("localhost", false, Some(&authority)));
    recovers(&gateway, &itoc360, EVENTS).await;
}

#[tokio::test]
async fn alerts_go_over_http2_where_the_peer_offers_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let authority = authority();
    let line = Line::to(&itoc360);
    let mut config = certificate("localhost", false, Some(&authority));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let offers = State::Tls(Arc::new(config));
    line.is(offers.clone());
    let (_place, gateway) = start(&line, &authority).await;
    post(&gateway, "twilio", 0..EVENTS).await;
    itoc360.open(EVENTS).await;
    // What breaks takes every request on the one connection with it.
    line.is(State::Refused);
    post(&gateway, "twilio", EVENTS..2 * EVENTS).await;
    line.is(offers);
    recovers(&gateway, &itoc360, 2 * EVENTS).await;
    let received = itoc360.received();
    assert!(received.iter().all(|one| one.version == Version::HTTP_2));
}

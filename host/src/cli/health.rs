//! `health`: asks the running gateway whether it answers, for `HEALTHCHECK` and probes that run a
//! command.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::remote::reachable;
use super::{Outcome, Place, block_on};
use crate::config::{Config, Gateway, Listen};

/// A gateway that is well answers within milliseconds.
const TIME: Duration = Duration::from_secs(5);

/// Asks the gateway that runs here with this configuration whether it answers.
///
/// It asks `/healthz` at the admin listener, or at that for senders where there is no admin listener
/// or it asks for a client certificate. With --ready it asks `/readyz` at the admin listener: whether
/// requests are taken.
///
/// Exit codes: 0, it answers well; 1, it does not; 2, the address cannot be read from the
/// configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway health
  alert-gateway health --config /etc/alert-gateway/gateway.toml
  alert-gateway health --ready --remote https://gateway.example.com:9090")]
pub struct Health {
    #[command(flatten)]
    place: Place,
    /// Ask whether requests are taken, and not only whether the process answers
    #[arg(long)]
    ready: bool,
}

/// Asks, and says the answer in one line.
pub fn health(what: &Health) -> Outcome {
    if let Some(client) = what.place.remote()? {
        let path = if what.ready { "/readyz" } else { "/healthz" };
        let status = block_on(client.status(path))?;
        return told(&format!("{}{path}", client.base()), status);
    }
    // The token of the admin listener is needed for `/readyz` only.
    let stand_in = (!what.ready).then_some("unknown");
    let gateway = Config::gateway(&what.place.file.path()?, stand_in)?;
    let asked = Asked::of(&gateway, what.ready)?;
    let outcome: anyhow::Result<StatusCode> = block_on(async {
        let answer = tokio::time::timeout(TIME, asked.ask()).await;
        Ok(answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", TIME.as_secs()))))
    })?;
    let place = format!("{}{}", asked.place, asked.path);
    match outcome {
        Ok(status) => told(&place, status),
        Err(error) => Err(error.context(format!("unhealthy: {place}")).into()),
    }
}

/// Says the answer of a place.
fn told(place: &str, status: StatusCode) -> Outcome {
    let status_code = status.as_u16();
    if !status.is_success() {
        return Err(anyhow!("unhealthy: {place} answers {status_code}").into());
    }
    Ok(writeln!(
        std::io::stdout(),
        "healthy: {place} answers {status_code}"
    )?)
}

/// The place that is asked.
struct Asked {
    place: Listen,
    path: &'static str,
    tls: bool,
    token: Option<String>,
}

impl Asked {
    fn of(gateway: &Gateway, ready: bool) -> anyhow::Result<Self> {
        let asks_certificate = |admin: &&crate::config::Admin| {
            admin
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca.is_some())
        };
        let admin = gateway
            .admin
            .as_ref()
            .filter(|admin| !asks_certificate(admin));
        match (admin, ready) {
            (Some(admin), _) => Ok(Self {
                place: Listen::Tcp(reachable(admin.address)),
                path: if ready { "/readyz" } else { "/healthz" },
                tls: admin.tls.is_some(),
                token: admin
                    .tokens
                    .first()
                    .filter(|_| ready)
                    .map(|token| token.expose().to_owned()),
            }),
            (None, true) => Err(anyhow!(
                "--ready asks the admin listener, which is off or asks for a client certificate"
            )),
            (None, false) => Ok(Self {
                place: match &gateway.listen {
                    Listen::Tcp(address) => Listen::Tcp(reachable(*address)),
                    unix => unix.clone(),
                },
                path: "/healthz",
                tls: gateway.tls.is_some(),
                token: None,
            }),
        }
    }

    async fn ask(&self) -> anyhow::Result<StatusCode> {
        match &self.place {
            Listen::Unix { path, .. } => self.over(UnixStream::connect(path).await?).await,
            Listen::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                if !self.tls {
                    return self.over(stream).await;
                }
                let name = ServerName::from(address.ip());
                let stream = connector()?.connect(name, stream).await?;
                self.over(stream).await
            }
        }
    }

    async fn over<S>(&self, stream: S) -> anyhow::Result<StatusCode>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::get(self.path).header("host", "localhost");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?;
        Ok(answer.status())
    }
}

/// Makes TLS that takes any certificate. This machine asks itself by its address, and no certificate
/// is for an address of loopback; it learns a status only.
fn connector() -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be used")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

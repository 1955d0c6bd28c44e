//! Certificate authorities, their certificates, and clients that trust them.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::{Answer, PATIENCE, Post};

/// The name in every certificate.
const NAME: &str = "gw.example.com";

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub cert: String,
    pub key: String,
}

/// A client over TLS.
pub struct Client {
    config: ClientConfig,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "An authority of the tests");
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Returns its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for [`NAME`], as server and as client.
    pub fn issue(&self) -> Issued {
        self.issue_with(|_| {})
    }

    /// Issues a certificate for another name or address.
    pub fn issue_for(&self, name: &str) -> Issued {
        self.issue_with(|params| {
            params.subject_alt_names = CertificateParams::new([name.to_owned()])
                .unwrap()
                .subject_alt_names;
        })
    }

    /// Issues an expired certificate.
    pub fn issue_expired(&self) -> Issued {
        self.issue_with(|params| params.not_after = date_time_ymd(2020, 1, 1))
    }

    fn issue_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued {
            cert,
            key: key.serialize_pem(),
        }
    }

    /// Returns a client that trusts this authority, without a certificate of its own.
    pub fn client(&self) -> Client {
        self.client_of(None, ALL_VERSIONS)
    }

    /// Returns a client that trusts this authority, with a certificate of its own.
    pub fn client_as(&self, identity: &Issued) -> Client {
        self.client_of(Some(identity), ALL_VERSIONS)
    }

    /// Returns a client without a certificate, for this version of TLS only.
    pub fn client_of_version(&self, version: &'static SupportedProtocolVersion) -> Client {
        self.client_of(None, &[version])
    }

    fn client_of(
        &self,
        identity: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            Some(Issued { cert, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                config
                    .with_client_auth_cert(
                        chain,
                        PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                    )
                    .unwrap()
            }
            None => config.with_no_client_auth(),
        };
        Client { config }
    }
}

impl Issued {
    /// Returns whether a listener shows this certificate.
    pub async fn is_shown(&self, client: &Client, address: SocketAddr) -> bool {
        let stream = client.connect(address, &[]).await.unwrap();
        let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
        *shown == CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

impl Client {
    /// Connects and shakes hands, or returns the reason of the failure.
    pub async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> Result<TlsStream<TcpStream>, String> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::new(config));
        let connected = timeout(
            PATIENCE,
            connector.connect(ServerName::try_from(NAME).unwrap(), stream),
        );
        connected
            .await
            .expect("a handshake never ends")
            .map_err(|error| error.to_string())
    }

    /// Posts a request in this version of HTTP, on a connection of its own.
    pub async fn post(
        &self,
        address: SocketAddr,
        version: Version,
        post: &Post,
    ) -> Result<Answer, String> {
        let mut request = Request::post(format!("https://{NAME}{}", post.path));
        for (name, value) in &post.headers {
            request = request.header(name, value);
        }
        // hyper's client writes what HTTP/2 has in `:authority` where it pools connections, and
        // these are single ones.
        if version == Version::HTTP_11 {
            request = request.header(HOST, NAME);
        }
        self.ask(
            address,
            version,
            request.body(Full::from(post.body.clone())).unwrap(),
        )
        .await
    }

    /// Gets a page in HTTP/1.1, with these headers.
    pub async fn get(
        &self,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let mut request = Request::get(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(HOST, address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(
            address,
            Version::HTTP_11,
            request.body(Full::default()).unwrap(),
        )
        .await
    }

    async fn ask(
        &self,
        address: SocketAddr,
        version: Version,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, String> {
        let protocol = if version == Version::HTTP_2 {
            "h2"
        } else {
            "http/1.1"
        };
        let stream = self.connect(address, &[protocol]).await?;
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(protocol.as_bytes())
        );
        let stream = TokioIo::new(stream);
        let said = |error: hyper::Error| format!("{error:?}");
        let answered = async {
            let answer = if version == Version::HTTP_2 {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .map_err(said)?;
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let (mut sender, connection) = http1::handshake(stream).await.map_err(said)?;
                tokio::spawn(connection);
                sender.send_request(request).await
            };
            let (head, body) = answer.map_err(said)?.into_parts();
            assert_eq!(head.version, version);
            let body = String::from_utf8_lossy(&body.collect().await.map_err(said)?.to_bytes())
                .into_owned();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        timeout(PATIENCE, answered)
            .await
            .expect("a request is never answered")
    }
}

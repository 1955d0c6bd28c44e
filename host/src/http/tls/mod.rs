//! TLS for a listener: 1.2 and 1.3, HTTP/2 and HTTP/1.1, with files that may be replaced while it
//! runs.
//!
//! The implementation is rustls with the cryptography of ring. A handshake has a time limit and
//! runs in its connection's own task, so a silent client delays no other. Failed handshakes are
//! counted by reason.

mod connection;
mod following;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::SingleCertAndKey;

pub(super) use connection::Connection;
pub use following::Following;

use crate::config::{Credentials, Pem, TlsFiles, UnusableFiles, Validity};
use crate::metrics::{HandshakeLabels, ListenerLabel, Metrics, ReloadLabels};

/// The TLS settings of a listener. Cheap to clone; all clones follow the files together.
#[derive(Clone)]
pub struct Tls {
    acceptor: watch::Sender<TlsAcceptor>,
    counted: Counted,
}

/// The reason why some files cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The files are missing, unreadable or malformed.
    #[error(transparent)]
    Files(#[from] UnusableFiles),
    /// The files are well-formed, but rustls refuses them.
    #[error("TLS cannot be set up: {why}")]
    Library {
        /// The message of rustls.
        why: String,
    },
}

/// The metrics, with the listener's name.
#[derive(Clone)]
struct Counted {
    listener: &'static str,
    metrics: Metrics,
}

impl Tls {
    /// Loads these files for the listener named `listener` in metrics and logs.
    ///
    /// # Errors
    /// The files cannot be used.
    pub fn load(
        files: &TlsFiles,
        listener: &'static str,
        metrics: &Metrics,
    ) -> Result<(Self, Following), TlsError> {
        let counted = Counted {
            listener,
            metrics: metrics.clone(),
        };
        let in_use = files.read()?;
        let (acceptor, validity) = acceptor(files, &in_use)?;
        metrics.add_tls_listener(listener);
        counted.valid(validity);
        let tls = Self {
            acceptor: watch::Sender::new(acceptor),
            counted,
        };
        Ok((
            tls.clone(),
            Following::new(tls, files.clone(), in_use, validity),
        ))
    }
}

impl Counted {
    fn valid(&self, validity: Validity) {
        let label = ListenerLabel {
            listener: self.listener,
        };
        self.metrics
            .tls_certificate_expiry
            .get_or_create(&label)
            .set(validity.to as f64);
    }

    fn reloaded(&self, outcome: &'static str) {
        let labels = ReloadLabels {
            listener: self.listener,
            outcome,
        };
        self.metrics.tls_reloads.get_or_create(&labels).inc();
    }

    fn failed(&self, reason: &'static str) {
        let labels = HandshakeLabels {
            listener: self.listener,
            reason,
        };
        self.metrics
            .tls_handshakes_failed
            .get_or_create(&labels)
            .inc();
    }
}

/// Returns an acceptor for this content of the files, with the validity of its certificate.
fn acceptor(files: &TlsFiles, pem: &Pem) -> Result<(TlsAcceptor, Validity), TlsError> {
    let Credentials {
        own,
        client_authorities,
        validity,
    } = files.understand(pem)?;
    let library = |error: &dyn std::fmt::Display| TlsError::Library {
        why: error.to_string(),
    };
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| library(&error))?;
    let builder = match client_authorities {
        Some(authorities) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build();
            builder.with_client_cert_verifier(verifier.map_err(|error| library(&error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), validity))
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({})", self.counted.listener)
    }
}

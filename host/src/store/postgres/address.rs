//! The address of a database, and the way to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::ConfigBuilderExt;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::Secret;
use crate::store::StoreError;

/// The longest wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(5);

/// The name under which PostgreSQL lists the gateway's connections.
const NAME: &str = "alert-gateway";

/// A database that was named by a URL.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    /// Reads a URL such as `postgres://gateway@db1,db2/gateway?sslmode=verify-full`. The words of
    /// `sslmode` are `disable` and `verify-full`; a certificate authority of one's own is named by
    /// `sslrootcert`. Without it, only what stays on the machine goes unencrypted.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the mistake, and without the URL, which may hold a password.
    pub fn parse(url: &Secret) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Refused(format!("its url is of no use: {why}"));
        let (url, ssl) = split(url.expose());
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(refused(
                "it begins with neither postgres:// nor postgresql://".to_owned(),
            ));
        }
        let mut config: Config = url
            .parse()
            .map_err(|error: tokio_postgres::Error| refused(error.to_string()))?;
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host".to_owned()));
        }
        let is_near = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => true,
        });
        let encrypts = match ssl.mode.as_deref() {
            None => !is_near,
            Some("disable") => false,
            Some("verify-full") => true,
            Some(other) => {
                return Err(refused(format!(
                    "sslmode={other} does not make sure of the server: write verify-full, or disable on a network that is safe"
                )));
            }
        };
        config
            .ssl_mode(if encrypts {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .application_name(NAME)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(CONNECT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let tls = match encrypts {
            true => Some(tls(ssl.authority.as_deref()).map_err(refused)?),
            false => None,
        };
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let database = config
            .get_dbname()
            .or(config.get_user())
            .unwrap_or_default();
        let shown = format!(
            "database {database} at {}",
            hosts.collect::<Vec<_>>().join(", ")
        );
        Ok(Self { config, tls, shown })
    }

    /// Returns the database and its hosts, for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// The part of a URL that the client does not know.
#[derive(Default)]
struct Ssl {
    mode: Option<String>,
    authority: Option<String>,
}

/// Splits the words about TLS off a URL.
fn split(url: &str) -> (String, Ssl) {
    let mut ssl = Ssl::default();
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), ssl);
    };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        match pair.split_once('=') {
            Some(("sslmode", mode)) => ssl.mode = Some(decoded(mode)),
            Some(("sslrootcert", path)) => ssl.authority = Some(decoded(path)),
            _ => rest.push(pair),
        }
    }
    let rest = rest.join("&");
    let url = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{rest}")
    };
    (url, ssl)
}

fn tls(authority: Option<&str>) -> Result<MakeRustlsConnect, String> {
    let builder = ClientConfig::builder();
    let config = match authority {
        None => builder.with_webpki_roots(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(Path::new(path))
                .map_err(|error| format!("cannot read sslrootcert {path}: {error}"))?;
            for certificate in certificates {
                let certificate =
                    certificate.map_err(|error| format!("sslrootcert {path}: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("sslrootcert {path}: {error}"))?;
            }
            builder.with_root_certificates(Arc::new(roots))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(&Secret::new(url)).map_err(|error| error.to_string())
    }

    #[test]
    fn url_names_hosts_and_shows_no_password() {
        let address = parse("postgres://gateway:canary-1@db1,db2:5433/alerts").unwrap();
        assert_eq!(format!("{address:?}"), "database alerts at db1, db2");
        assert!(
            address.tls.is_some(),
            "what leaves the machine is encrypted"
        );
        assert!(
            parse("postgres://gateway@localhost/alerts")
                .unwrap()
                .tls
                .is_none()
        );
        assert!(
            parse("postgres:///a?host=/run/postgresql&user=b")
                .unwrap()
                .tls
                .is_none()
        );
    }

    #[test]
    fn url_that_does_not_verify_the_server_is_refused() {
        for mode in ["require", "prefer", "allow", "verify-ca", ""] {
            let url = format!("postgres://a:canary-2@db/a?sslmode={mode}");
            let why = parse(&url).unwrap_err();
            assert!(
                why.contains("verify-full") && !why.contains("canary"),
                "{why}"
            );
        }
        for url in [
            "mysql://a:canary-3@db/a",
            "canary-3",
            "postgres://",
            "postgres://a:canary-3@h:x/",
        ] {
            let why = parse(url).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }
}

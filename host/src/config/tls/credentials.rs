//! The content of a listener's files: certificates and keys in PEM.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::client::{
    verify_server_cert_signed_by_trust_anchor as verify, verify_server_name,
};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};

use super::TlsFiles;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// A chain is a few KiB, and all the authorities of a machine are 200 KiB. A file beyond this is
/// another file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The content of the files, as it is. It has no `Debug`: one of them is a secret.
#[derive(PartialEq, Eq)]
pub struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// The meaning of the files.
#[derive(Debug)]
pub struct Credentials {
    /// The listener's certificates, and the key of the first.
    pub own: CertifiedKey,
    /// The issuers of clients' certificates, if clients must have one.
    pub client_authorities: Option<RootCertStore>,
    /// The time in which the listener's own certificate is valid.
    pub validity: Validity,
}

/// The time in which a certificate is valid, both ends in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: u64,
    /// Not after.
    pub to: u64,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableFile {
    /// `cert`, `key` or `client_ca`.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its mistake, to follow its name.
    pub found: String,
    /// The advice.
    pub help: &'static str,
}

/// All mistakes in the files of a listener, which cannot speak TLS with them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnusableFiles(pub Vec<UnusableFile>);

impl fmt::Display for UnusableFiles {
    /// `/etc/tls/key.pem is not the key of the certificate in /etc/tls/cert.pem; name the two that belong together`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            index,
            UnusableFile {
                path, found, help, ..
            },
        ) in self.0.iter().enumerate()
        {
            let and = if index > 0 { "; and " } else { "" };
            write!(f, "{and}{} {found}; {help}", path.display())?;
        }
        Ok(())
    }
}

impl TlsFiles {
    /// Reads them.
    ///
    /// # Errors
    /// Those that cannot be read.
    pub fn read(&self) -> Result<Pem, UnusableFiles> {
        let mut unusable = Vec::new();
        let mut read = |key, path| {
            read(key, path)
                .map_err(|error| unusable.push(error))
                .unwrap_or_default()
        };
        let cert = read("cert", &self.cert);
        let key = read("key", &self.key);
        let client_ca = self
            .client_ca
            .as_deref()
            .map(|path| read("client_ca", path));
        if unusable.is_empty() {
            Ok(Pem {
                cert,
                key,
                client_ca,
            })
        } else {
            Err(UnusableFiles(unusable))
        }
    }

    /// Parses them.
    ///
    /// # Errors
    /// The files without usable content.
    pub fn understand(&self, pem: &Pem) -> Result<Credentials, UnusableFiles> {
        let own = self.own(pem);
        let client_authorities = self.client_authorities(pem);
        match (own, client_authorities) {
            (Ok((own, validity)), Ok(client_authorities)) => Ok(Credentials {
                own,
                client_authorities,
                validity,
            }),
            (own, authorities) => {
                let unusable = own.err().into_iter().flatten().chain(authorities.err());
                Err(UnusableFiles(unusable.collect()))
            }
        }
    }

    fn own(&self, pem: &Pem) -> Result<(CertifiedKey, Validity), Vec<UnusableFile>> {
        let chain = self.chain(&pem.cert);
        let key = self.private_key(&pem.key);
        let ((chain, validity), key) = match (chain, key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        let own = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            Error::InconsistentKeys(_) => self.unusable_key(
                format!("is not the key of the certificate in {}", self.cert.display()),
                "name the two that belong together; of a chain, the listener's own certificate comes first",
            ),
            _ => self.unusable_key(
                "holds a key that cannot be used",
                "take ECDSA with P-256 or P-384, Ed25519, or RSA from 2048 bits",
            ),
        });
        Ok((own.map_err(|error| vec![error])?, validity))
    }

    fn chain(&self, pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, Validity), UnusableFile> {
        const HELP: &str = "name a file that holds the listener's certificate after -----BEGIN CERTIFICATE-----, and \
            then those between it and an authority";
        let unusable = |found: &str| UnusableFile {
            key: "cert",
            path: self.cert.clone(),
            found: found.to_owned(),
            help: HELP,
        };
        let chain = certificates(pem).map_err(unusable)?;
        let validity = Validity::of(&chain[0])
            .ok_or_else(|| unusable("holds a certificate that cannot be understood"))?;
        Ok((chain, validity))
    }

    fn private_key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>, UnusableFile> {
        PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            if is_encrypted(pem) {
                let help =
                    "write it without its passphrase: openssl pkey -in encrypted.pem -out key.pem";
                self.unusable_key("holds a key that is encrypted", help)
            } else {
                let help = "name a file that holds the key after -----BEGIN PRIVATE KEY-----";
                self.unusable_key("holds no private key in PEM", help)
            }
        })
    }

    fn unusable_key(&self, found: impl Into<String>, help: &'static str) -> UnusableFile {
        UnusableFile {
            key: "key",
            path: self.key.clone(),
            found: found.into(),
            help,
        }
    }

    fn client_authorities(&self, pem: &Pem) -> Result<Option<RootCertStore>, UnusableFile> {
        let Some((path, pem)) = self.client_ca.as_ref().zip(pem.client_ca.as_deref()) else {
            return Ok(None);
        };
        let help = "name a file that holds the certificate of the authority which issues those of your clients";
        let unusable = |found: &str| UnusableFile {
            key: "client_ca",
            path: path.clone(),
            found: found.to_owned(),
            help,
        };
        let mut authorities = RootCertStore::empty();
        for authority in certificates(pem).map_err(unusable)? {
            authorities
                .add(authority)
                .map_err(|_| unusable("holds a certificate that cannot be understood"))?;
        }
        Ok(Some(authorities))
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, UnusableFile> {
    let unusable = |found: String, help| UnusableFile {
        key,
        path: path.to_owned(),
        found,
        help,
    };
    let mut bytes = Vec::new();
    let outcome =
        File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    outcome.map_err(|error| {
        let help = match error.kind() {
            ErrorKind::PermissionDenied => "let the user that the gateway runs as read it",
            _ => "relative paths start at the configuration file's folder",
        };
        unusable(format!("cannot be read: {error}"), help)
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unusable(
            "is larger than 1 MiB".to_owned(),
            "name a file in PEM",
        ));
    }
    Ok(bytes)
}

/// Returns the certificates of a file, at least one. An error does not show the content, which may
/// be a key.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| "is torn, or is not PEM")?;
    if certificates.is_empty() {
        Err("holds no certificate in PEM")
    } else {
        Ok(certificates)
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

impl Credentials {
    /// Returns the names that the listener's own certificate is for: DNS names and IP addresses.
    pub fn names(&self) -> Vec<String> {
        // The library tells them only as a reason for refusal, so it is asked about a name that no
        // certificate has.
        let refusal = self.refusal("names-of-a-certificate.invalid");
        let Some(CertificateError::NotValidForNameContext { presented, .. }) = refusal else {
            return Vec::new();
        };
        let name = |shown: &String| {
            let (kind, name) = shown.split_once('(')?;
            let name = name.strip_suffix(')')?.trim_matches('"');
            matches!(kind, "DnsName" | "IpAddress").then(|| name.to_owned())
        };
        presented.iter().filter_map(name).collect()
    }

    /// Returns true if the listener's own certificate is for this host, which is a name or an IP
    /// address.
    pub fn is_for(&self, host: &str) -> bool {
        self.refusal(host).is_none()
    }

    fn refusal(&self, host: &str) -> Option<CertificateError> {
        let name = ServerName::try_from(host).ok()?;
        let certificate = ParsedCertificate::try_from(self.own.cert.first()?).ok()?;
        match verify_server_name(&certificate, &name) {
            Err(Error::InvalidCertificate(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl Validity {
    /// Returns that of a certificate. The library tells it only as a reason for refusal, so it is
    /// asked about the beginning and the end of time: it looks at this before it looks for an
    /// issuer, of which there is none here.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let refusal = |seconds| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            match verify(&certificate, &RootCertStore::empty(), &[], time, &[]) {
                Err(Error::InvalidCertificate(refusal)) => Some(refusal),
                _ => None,
            }
        };
        let from = match refusal(0) {
            Some(CertificateError::NotValidYetContext { not_before, .. }) => not_before.as_secs(),
            _ => 0,
        };
        match refusal(u64::MAX) {
            Some(CertificateError::ExpiredContext { not_after, .. }) => Some(Self {
                from,
                to: not_after.as_secs(),
            }),
            _ => None,
        }
    }

    /// Returns why the certificate is of no use at present, if that is so: to follow the name of
    /// its file.
    pub fn objection(&self) -> Option<String> {
        let now = now();
        if now < self.from {
            Some(format!(
                "holds a certificate that is not valid before {}",
                rfc3339(self.from)
            ))
        } else if now > self.to {
            Some(format!(
                "holds a certificate that expired at {}",
                self.end()
            ))
        } else {
            None
        }
    }

    /// Returns the time that is left, where it is less than a tenth of all: by then the renewal has
    /// failed.
    pub fn ends_soon(&self) -> Option<String> {
        let left = self.to.saturating_sub(now());
        let shown = if left < 2 * DAY {
            format!("{} hours", left / HOUR)
        } else {
            format!("{} days", left / DAY)
        };
        (left < self.to.saturating_sub(self.from) / 10).then_some(shown)
    }

    /// Returns the end, as RFC 3339.
    pub fn end(&self) -> String {
        rfc3339(self.to)
    }
}

/// Returns the present, in seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the dates in a certificate are the wall clock's"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or(jiff::Timestamp::MAX).to_string()
}

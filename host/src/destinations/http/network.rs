//! The way out: which addresses may be reached, through which proxy, and which authorities vouch
//! for the peer.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_rustls::ConfigBuilderExt;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::config::Network;
use crate::destinations::kind::NotUsable;

/// The reason why a name with private addresses is not reached.
pub(crate) const FORBIDDEN: &str =
    "the name stands for addresses that `egress = \"public\"` forbids";

/// A resolver that, where only public addresses may be reached, leaves out all others.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    public_only: bool,
}

impl Resolver {
    pub(super) fn new(network: &Network) -> Self {
        Self {
            system: GaiResolver::new(),
            public_only: network.public_only,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.system.call(name);
        let public_only = self.public_only;
        Box::pin(async move {
            let mut addresses: Vec<_> = resolving.await?.collect();
            if public_only {
                addresses.retain(|address| is_public(address.ip()));
                if addresses.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, FORBIDDEN));
                }
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Checks an address that stands in the URL itself, which is never resolved.
pub(super) fn check_literal(url: &Uri, network: &Network) -> Result<(), NotUsable> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    if network.public_only && is_private_literal(host) {
        return Err(NotUsable::Private);
    }
    Ok(())
}

/// Returns whether a host is an address, and none of the Internet.
pub(crate) fn is_private_literal(host: &str) -> bool {
    host.parse().is_ok_and(|address| !is_public(address))
}

/// Returns whether the environment names a proxy for `url`.
pub(crate) fn is_proxied(url: &Uri) -> bool {
    Matcher::from_env().intercept(url).is_some()
}

/// Returns the proxy for `url`: the configured one, or that of `HTTPS_PROXY`, `HTTP_PROXY` and
/// `NO_PROXY`.
pub(super) fn proxy(url: &Uri, network: &Network) -> Result<Option<Intercept>, NotUsable> {
    let matcher = match &network.proxy {
        Some(proxy) => Matcher::builder().all(proxy.expose().to_owned()).build(),
        None => Matcher::from_env(),
    };
    let intercept = matcher.intercept(url);
    match &intercept {
        Some(intercept) if intercept.uri().scheme_str() != Some("http") => Err(NotUsable::Proxy),
        None if network.proxy.is_some() => Err(NotUsable::Proxy),
        _ => Ok(intercept),
    }
}

/// Returns the TLS configuration: the machine's authorities or the destination's own, and its
/// client certificate.
pub(super) fn tls(network: &Network) -> Result<ClientConfig, NotUsable> {
    let builder = ClientConfig::builder();
    let builder = match &network.ca {
        Some(path) => {
            let unusable = |why: String| NotUsable::File {
                path: path.clone(),
                why,
            };
            let mut roots = RootCertStore::empty();
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("it holds no certificate".to_owned()));
            }
            builder.with_root_certificates(roots)
        }
        // The machine's own, so that an operator's private one counts; Mozilla's where the machine
        // has none, as in an empty container.
        None => match ClientConfig::builder().with_native_roots() {
            Ok(builder) => builder,
            Err(error) => {
                tracing::info!(%error, "the machine has no certificate authorities of its own; Mozilla's are used");
                builder.with_webpki_roots()
            }
        },
    };
    let Some((cert, key)) = &network.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| NotUsable::File {
        path: cert.clone(),
        why: error.to_string(),
    })?;
    let unusable = |why: String| NotUsable::File {
        path: key.clone(),
        why,
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(error.to_string()))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| unusable(error.to_string()))
}

/// Returns whether an address can be reached over the Internet, and is none of this machine's or of
/// a private network's.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second))
                || (first == 192 && second == 0 && third == 0))
        }
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Returns whether an address of IPv6 is public. Those that embed one of IPv4 are as public as that
/// one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public(IpAddr::from([a, b, c, d]))
    };
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => false,
        // Only 2000::/3 is handed out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn private_address_in_the_url_is_refused() {
        let public = Network {
            public_only: true,
            ..Network::default()
        };
        for (url, network, expected) in [
            ("http://127.0.0.1:80/", &public, Err(NotUsable::Private)),
            ("http://[::1]/", &public, Err(NotUsable::Private)),
            ("https://1.1.1.1/", &public, Ok(())),
            ("http://127.0.0.1/", &Network::default(), Ok(())),
        ] {
            assert_eq!(
                check_literal(&url.parse().unwrap(), network),
                expected,
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn own_machine_is_not_reached_where_only_public_names_are() {
        let mut resolver = Resolver::new(&Network {
            public_only: true,
            ..Network::default()
        });
        let error = resolver
            .call("localhost".parse().unwrap())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("egress"), "{error}");
        let mut resolver = Resolver::new(&Network::default());
        assert!(
            resolver
                .call("localhost".parse().unwrap())
                .await
                .unwrap()
                .count()
                > 0
        );
    }
}

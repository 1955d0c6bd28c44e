//! The sender of a request, and its token. The sender is the peer, or the client named by a trusted
//! proxy.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::config::Networks;

/// Each proxy appends the address of its own peer to this. `Forwarded` (RFC 7239) and `X-Real-IP`
/// are not read: one header is enough, and of two a client could set the one that its proxy does
/// not overwrite.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The connection came over the network.
    Network(SocketAddr),
    /// The connection came through a Unix socket. Only a proxy of this machine opens it, and the
    /// operator chooses that proxy by the mode of the socket's file, so it is trusted as if
    /// `trusted_proxies` named it.
    Unix,
}

/// The sender of a request, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address; none where the request came through a Unix socket, and the proxy names no
    /// client. An IPv4 address is one, whatever the socket it came through.
    pub address: Option<IpAddr>,
    /// True if the peer names another client without being trusted to: a proxy that the operator
    /// has not named, or an impostor.
    pub claims_another: bool,
}

impl Client {
    /// Returns the sender of a request with these headers that came from `peer`.
    ///
    /// Only `proxies` are believed. The list is read from its end, where the nearest proxy has
    /// written, up to the first address that is no proxy: any entry before it is the client's own
    /// claim. An entry that is no address comes from no reliable proxy, so the address read last
    /// counts.
    pub fn of(peer: Peer, headers: &HeaderMap, proxies: &Networks) -> Self {
        let mut address = match peer {
            Peer::Network(peer) => Some(peer.ip().to_canonical()),
            Peer::Unix => None,
        };
        if address.is_some_and(|address| !proxies.contains(address)) {
            return Self {
                address,
                claims_another: headers.contains_key(X_FORWARDED_FOR),
            };
        }
        // Several headers are one list; an entry that is not text is no address.
        let headers = headers.get_all(X_FORWARDED_FOR).iter().rev();
        for entry in headers.flat_map(|header| header.as_bytes().rsplit(|byte| *byte == b',')) {
            let Some(named) = parse(entry) else { break };
            address = Some(named);
            if !proxies.contains(named) {
                break;
            }
        }
        Self {
            address,
            claims_another: false,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.ip().to_canonical().fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Returns the token of `Authorization: Bearer <token>`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// An address, to which some proxies add the port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = text
        .parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::Config;

    /// The client's address, and whether the peer claims to be another, where 10.0.0.0/8 and ::1
    /// are trusted.
    fn client(peer: &str, forwarded: &[&str]) -> (String, bool) {
        let config = "[gateway]\npublic_url = \"https://a.example\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
            [destinations.a]\nkind = \"itoc360\"\ntoken = \"t\"\n[sources.a]\nplugin = \"x\"\ndestination = \"a\"\n";
        let config = Config::parse(config, "gateway.toml".as_ref(), &|_| None).unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(
                X_FORWARDED_FOR,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers.append("forwarded", HeaderValue::from_static("for=192.0.2.99"));
        headers.append("x-real-ip", HeaderValue::from_static("192.0.2.99"));
        let peer = match peer {
            "unix" => Peer::Unix,
            peer => Peer::Network(SocketAddr::new(peer.parse().unwrap(), 4711)),
        };
        let client = Client::of(peer, &headers, &config.gateway.trusted_proxies);
        (client.to_string(), client.claims_another)
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &[]), ("192.0.2.1".to_owned(), false));
        assert_eq!(
            client("192.0.2.1", &["10.0.0.1"]),
            ("192.0.2.1".to_owned(), true)
        );
        assert_eq!(
            client("::ffff:192.0.2.1", &["10.0.0.1, 10.0.0.2"]),
            ("192.0.2.1".to_owned(), true)
        );
    }

    #[test]
    fn a_trusted_peer_says_who_the_client_is() {
        for (forwarded, address) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1:443"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&[" 192.0.2.1\t,10.0.0.7 "], "192.0.2.1"),
            (&["192.0.2.1", "10.0.0.7"], "192.0.2.1"),
            (&["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ] {
            assert_eq!(
                client("10.0.0.1", forwarded),
                (address.to_owned(), false),
                "{forwarded:?}"
            );
            assert_eq!(client("::ffff:10.0.0.1", forwarded).0, address);
        }
        assert_eq!(client("::1", &["192.0.2.1"]).0, "192.0.2.1");
    }

    #[test]
    fn proxy_behind_a_unix_socket_names_the_client() {
        assert_eq!(client("unix", &[]), ("unknown".to_owned(), false));
        assert_eq!(
            client("unix", &["192.0.2.1"]),
            ("192.0.2.1".to_owned(), false)
        );
        assert_eq!(
            client("unix", &["54.172.60.1, 192.0.2.1, 10.0.0.7"]),
            ("192.0.2.1".to_owned(), false)
        );
        assert_eq!(
            client("unix", &["192.0.2.1, nonsense"]),
            ("unknown".to_owned(), false)
        );
    }

    #[test]
    fn what_a_client_says_of_itself_is_not_believed() {
        for forwarded in [
            // It sent 54.172.60.1, and the proxy appended what it saw.
            &["54.172.60.1, 192.0.2.1"][..],
            &["54.172.60.1", "192.0.2.1, 10.0.0.7"],
            &["10.0.0.9, 192.0.2.1"],
            &["unknown, 192.0.2.1"],
        ] {
            assert_eq!(
                client("10.0.0.1", forwarded).0,
                "192.0.2.1",
                "{forwarded:?}"
            );
        }
    }

    #[test]
    fn last_hop_with_an_address_counts_before_a_bad_entry() {
        for (forwarded, address) in [
            ("192.0.2.1, unknown", "10.0.0.1"),
            ("192.0.2.1, unknown, 10.0.0.7", "10.0.0.7"),
            ("", "10.0.0.1"),
            (",", "10.0.0.1"),
            ("192.0.2.1,", "10.0.0.1"),
            ("192.0.2.256", "10.0.0.1"),
            ("192.0.2.1 192.0.2.2", "10.0.0.1"),
            ("for=192.0.2.1", "10.0.0.1"),
            ("192.0.2.1, é", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[forwarded]).0, address, "{forwarded:?}");
        }
    }

    #[test]
    fn a_token_follows_the_word_bearer_however_that_is_written() {
        for (value, token) in [
            (&b"Bearer t"[..], Some("t")),
            (b"bearer  t", Some("t")),
            (b"BEARER a b", Some("a b")),
            (b"Bearer", None),
            (b"Basic dTpw", None),
            (b"t", None),
            (b"Bearer \xff", None),
        ] {
            let headers =
                HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())]);
            assert_eq!(
                bearer(&headers),
                token,
                "{}",
                String::from_utf8_lossy(value)
            );
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}

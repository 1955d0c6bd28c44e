//! Networks: the allowed clients of a source, and the trusted proxies, which may name their
//! clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use toml::de::DeValue;

use super::raw::Value;

/// The address that only this machine reaches.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An IPv4 address within IPv6, `::ffff:a.b.c.d`, has this many bits before it.
const MAPPED_BITS: u8 = 96;

/// A set of networks. Empty unless it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if an address is in one of them. `::ffff:192.0.2.1`, as a socket for both
    /// families names its IPv4 peers, is 192.0.2.1.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns true if one of them is a whole family of addresses.
    pub(super) fn contain_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }

    /// Returns true if this machine itself is in one of them.
    pub(super) fn contains_loopback(&self) -> bool {
        self.contains(Ipv4Addr::LOCALHOST.into()) || self.contains(Ipv6Addr::LOCALHOST.into())
    }
}

impl Value<'_> {
    /// One network, or a list of them; `example` is what could have been written.
    pub(super) fn networks(&self, example: &str) -> Option<Networks> {
        let DeValue::Array(list) = self.value else {
            return Some(Networks(vec![self.network(example)?]));
        };
        if list.is_empty() {
            let found = format!("{} is an empty list", self.label);
            self.problem(found, "name a network, or leave the key out");
            return None;
        }
        // Every one is read before any is given up, so that every problem is told.
        let networks: Vec<_> = list
            .iter()
            .map(|one| self.item(one).network(example))
            .collect();
        networks.into_iter().collect::<Option<_>>().map(Networks)
    }

    /// A network, or a single address.
    fn network(&self, example: &str) -> Option<IpNet> {
        let text = self.text(example)?;
        let Some(network) = text
            .parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        else {
            self.wrong_text(
                text,
                format!("write an address or a network, like {example:?}"),
            );
            return None;
        };
        // Either less or more was meant than this says, and nobody can know which.
        if network != network.trunc() {
            let whole = network.trunc().to_string();
            let single = network.addr().to_string();
            self.wrong_text(
                text,
                format!("write {whole:?} for the network, or {single:?} for the address"),
            );
            return None;
        }
        Some(canonical(network))
    }
}

/// The network as its addresses are compared: IPv4 within IPv6 is IPv4.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    };
    mapped
        .zip(network.prefix_len().checked_sub(MAPPED_BITS))
        .and_then(|(address, bits)| IpNet::new(address.into(), bits).ok())
        .unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(written: &[&str]) -> Networks {
        Networks(
            written
                .iter()
                .map(|text| canonical(text.parse().unwrap()))
                .collect(),
        )
    }

    #[test]
    fn an_address_is_in_its_network_however_its_family_is_written() {
        for (network, inside, outside) in [
            ("54.172.60.0/23", "54.172.61.255", "54.172.62.0"),
            ("54.172.60.0/23", "::ffff:54.172.60.0", "::ffff:54.172.62.0"),
            ("::ffff:54.172.60.0/119", "54.172.61.255", "54.172.62.0"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::", "192.0.2.1"),
            ("0.0.0.0/0", "::ffff:192.0.2.1", "2001:db8::"),
        ] {
            let networks = networks(&[network]);
            assert!(
                networks.contains(inside.parse().unwrap()),
                "{inside} is in {network}"
            );
            assert!(
                !networks.contains(outside.parse().unwrap()),
                "{outside} is not in {network}"
            );
        }
    }

    #[test]
    fn several_networks_contain_what_any_does_and_none_nothing() {
        assert!(Networks::default().is_empty() && !Networks::default().contains_loopback());
        let several = networks(&["10.0.0.0/8", "::1/128"]);
        assert!(several.contains_loopback() && several.contains(IpAddr::from([10, 9, 8, 7])));
    }
}

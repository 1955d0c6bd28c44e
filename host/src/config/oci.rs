//! The name of an artifact in an OCI registry: `ghcr.io/acme/bell:1.2@sha256:…`.
//!
//! The registry is always written: a name that means Docker Hub where it has none would send a
//! misspelt host's name there.

use std::fmt;
use std::net::IpAddr;

use super::sha256::ContentHash;

/// The longest name of a repository or a tag in the distribution specification, and of a host.
const LONGEST: usize = 255;

/// An artifact of a registry, without its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciImage {
    /// The registry's host, with a port where one is written.
    pub registry: String,
    /// The repository in the registry.
    pub repository: String,
    /// The tag, which the registry's owner may move to another artifact.
    pub tag: Option<String>,
}

impl OciImage {
    /// Reads a name and, where it has one, the digest behind it.
    ///
    /// # Errors
    /// The mistake, to follow the name.
    pub fn parse(text: &str) -> Result<(Self, Option<ContentHash>), &'static str> {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let hash = digest.strip_prefix("sha256:").and_then(ContentHash::parse);
                let hash = hash.ok_or("has a digest that is not sha256: and 64 hex digits")?;
                (name, Some(hash))
            }
            None => (text, None),
        };
        let (registry, rest) = name.split_once('/').ok_or("names no registry")?;
        let is_host = registry.contains(['.', ':']) || registry == "localhost";
        if !is_host || !is_authority(registry) {
            return Err("begins with no registry's host");
        }
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if repository.len() > LONGEST || !repository.split('/').all(is_component) {
            return Err(
                "has a repository that is none: lower-case letters, digits and single separators",
            );
        }
        if !tag.is_none_or(is_tag) {
            return Err("has a tag that is none");
        }
        let image = Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
        };
        Ok((image, digest))
    }

    /// Returns the address of the registry's interface. Only this machine is asked by plain HTTP.
    pub fn base(&self) -> String {
        // Docker's registry answers under another name than that in its artifacts' names.
        let host = match self.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let name = match host.rsplit_once(':') {
            Some((name, _)) => name,
            None => host,
        };
        let name = name.trim_matches(['[', ']']);
        let is_local = name == "localhost"
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let scheme = if is_local { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.repository)
    }
}

impl fmt::Display for OciImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

/// Returns whether a text is a host with or without a port.
fn is_authority(text: &str) -> bool {
    let authority = text.parse::<hyper::http::uri::Authority>();
    text.len() <= LONGEST
        && !text.contains('@')
        && authority.is_ok_and(|authority| {
            let port = text.strip_prefix(authority.host()).unwrap_or_default();
            !authority.host().is_empty() && (port.is_empty() || authority.port_u16().is_some())
        })
}

/// Returns whether a text can stand between two slashes of a repository's name.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(is_word) && text.bytes().last().is_some_and(is_word);
    ends && text
        .bytes()
        .all(|byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !text.contains("..")
        && !text.contains("___")
}

/// Returns whether a text is a tag.
fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_read_with_and_without_its_parts() {
        let hex = "ab".repeat(32);
        let digest = ContentHash::parse(&hex);
        for (text, shown, base, expected) in [
            (
                format!("ghcr.io/acme/bell:1.2@sha256:{hex}"),
                "ghcr.io/acme/bell:1.2",
                "https://ghcr.io/v2/acme/bell",
                digest,
            ),
            (
                format!("oci://ghcr.io/bell@sha256:{hex}"),
                "ghcr.io/bell",
                "https://ghcr.io/v2/bell",
                digest,
            ),
            (
                "127.0.0.1:5000/a_b/c-d:v1".to_owned(),
                "127.0.0.1:5000/a_b/c-d:v1",
                "http://127.0.0.1:5000/v2/a_b/c-d",
                None,
            ),
            (
                "localhost/bell".to_owned(),
                "localhost/bell",
                "http://localhost/v2/bell",
                None,
            ),
            (
                "docker.io/acme/bell:1".to_owned(),
                "docker.io/acme/bell:1",
                "https://registry-1.docker.io/v2/acme/bell",
                None,
            ),
        ] {
            let (image, digest) = OciImage::parse(&text).expect("a name");
            assert_eq!(
                (image.to_string(), image.base()),
                (shown.to_owned(), base.to_owned())
            );
            assert_eq!(digest, expected, "{text}");
        }
    }

    #[test]
    fn name_that_is_none_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "names no registry"),
            ("bell:1.2", "names no registry"),
            ("acme/bell:1.2", "begins with no registry's host"),
            ("a b.io/bell", "begins with no registry's host"),
            ("user@ghcr.io/bell", "has a digest"),
            ("ghcr.io:port/bell", "begins with no registry's host"),
            ("ghcr.io/Bell", "has a repository that is none"),
            ("ghcr.io/", "has a repository that is none"),
            ("ghcr.io/a/../b", "has a repository that is none"),
            ("ghcr.io/a//b", "has a repository that is none"),
            ("ghcr.io/bell:", "has a tag that is none"),
            ("ghcr.io/bell:a/b", "has a tag that is none"),
            ("ghcr.io/bell:..", "has a tag that is none"),
            ("ghcr.io/bell@sha512:00", "has a digest"),
            ("ghcr.io/bell@sha256:00", "has a digest"),
        ] {
            let told = OciImage::parse(text).expect_err(text);
            assert!(told.starts_with(why), "{text}: {told}");
        }
    }
}

//! Convincing a registry: the challenge that it answers 401 with, and the credential of its
//! user, from the files in which `docker login` and `podman login` keep it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::HeaderValue;
use serde_json::Value;

/// The challenge of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// The user's name and password are wanted.
    Basic,
    /// A token is wanted, which another server hands out.
    Bearer {
        /// The URL of that server, with its query.
        realm: String,
    },
}

impl Challenge {
    /// Reads `WWW-Authenticate` (RFC 9110, 11.6.1).
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut realm = None;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut rest = rest.trim_start();
        while let Some((name, value)) = rest.split_once('=') {
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_once(',').unwrap_or((value, "")),
            };
            match name.trim() {
                "realm" => realm = Some(value),
                name @ ("service" | "scope") => drop(query.append_pair(name, value)),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        let realm = realm?;
        let and = if realm.contains('?') { '&' } else { '?' };
        Some(Self::Bearer {
            realm: format!("{realm}{and}{}", query.finish()),
        })
    }
}

/// Returns the header of the user whom this machine knows at a registry.
pub fn known(registry: &str) -> Option<HeaderValue> {
    files().into_iter().find_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        header(&serde_json::from_str(&text).ok()?, registry)
    })
}

/// The files of credentials, in the order in which they are looked at.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let within = |name: &str, file: &str| variable(name).map(|folder| folder.join(file));
    [
        variable("REGISTRY_AUTH_FILE"),
        within("DOCKER_CONFIG", "config.json"),
        within("XDG_RUNTIME_DIR", "containers/auth.json"),
        within("HOME", ".docker/config.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn header(config: &Value, registry: &str) -> Option<HeaderValue> {
    let auths = config.get("auths")?;
    let names = match registry {
        "docker.io" => &["docker.io", "https://index.docker.io/v1/"][..],
        registry => &[registry][..],
    };
    let auth = names.iter().find_map(|name| auths.get(*name)?.get("auth"));
    let auth = auth?.as_str()?;
    // Anything else would be sent as it stands.
    BASE64.decode(auth).ok()?;
    basic(auth)
}

fn basic(auth: &str) -> Option<HeaderValue> {
    sensitive(&format!("Basic {auth}"))
}

/// Returns the header of a token.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn challenge_is_read_in_the_forms_of_registries() {
        let bearer = |realm: &str| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
            })
        };
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:acme/bell:pull""#,
                bearer(
                    "https://auth.example/token?service=registry.example&scope=repository%3Aacme%2Fbell%3Apull",
                ),
            ),
            (
                r#"bearer realm="https://a.example/t?x=1", service=r, error="invalid_token""#,
                bearer("https://a.example/t?x=1&service=r"),
            ),
            (r#"Basic realm="Registry""#, Some(Challenge::Basic)),
            ("Bearer service=\"r\"", None),
            ("Bearer realm=\"unclosed", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn credential_is_that_of_the_registry_alone() {
        let config = json!({ "auths": {
            "ghcr.io": { "auth": "dTpw" },
            "https://index.docker.io/v1/": { "auth": "ZDpw" },
            "bad.example": { "auth": "no base64\r\n" },
            "helper.example": {},
        } });
        let found = |registry: &str| header(&config, registry);
        assert_eq!(found("ghcr.io").unwrap(), "Basic dTpw");
        assert_eq!(found("docker.io").unwrap(), "Basic ZDpw");
        assert!(found("ghcr.io").unwrap().is_sensitive());
        for registry in ["ghcr.io:443", "bad.example", "helper.example", "x.example"] {
            assert_eq!(found(registry), None, "{registry}");
        }
    }

    proptest! {
        #[test]
        fn any_challenge_is_read_without_a_panic(header in "\\PC{0,80}") {
            let _ = Challenge::parse(&header);
            let _ = Challenge::parse(&format!("Bearer {header}"));
        }
    }
}

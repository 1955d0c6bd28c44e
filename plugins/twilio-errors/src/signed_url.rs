//! The spellings of a URL that Twilio may have signed.
//!
//! The signature covers the URL as the operator typed it, but Twilio's own libraries add or drop the standard port and
//! drop the user before they sign, depending on the product. So each spelling is tried. None goes through a URL parser,
//! because a normalised URL is another one.

/// The URL as it is, then with the port added or dropped, then both without the user.
pub fn spellings(url: &str) -> Vec<String> {
    let url = url.split('#').next().unwrap_or_default();
    let Some(parts) = Parts::of(url) else { return vec![url.to_owned()] };
    let other_port = if parts.port.is_some() { None } else { parts.standard_port() };
    let mut spellings = vec![url.to_owned(), parts.spell(parts.user, other_port)];
    if parts.user.is_some() {
        spellings.extend([parts.spell(None, parts.port), parts.spell(None, other_port)]);
    }
    spellings
}

/// The URL for people and logs: without a password, and without the value of a query parameter `token`.
pub fn masked(url: &str) -> String {
    let user = Parts::of(url).and_then(|parts| parts.user);
    let url = match user.and_then(|user| user.split_once(':')) {
        Some((name, password)) => url.replacen(&format!("{name}:{password}@"), &format!("{name}:***@"), 1),
        None => url.to_owned(),
    };
    let Some((start, query)) = url.split_once('?') else { return url };
    let fields = query.split('&').map(|field| {
        let form = plugin_sdk::form::Form::parse(field.as_bytes());
        if form.get("token").is_some() { "token=***" } else { field }
    });
    format!("{start}?{}", fields.collect::<Vec<_>>().join("&"))
}

/// A URL, cut at its joints.
struct Parts<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        // A colon inside the brackets of an IPv6 address starts no port.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (address, None),
        };
        Some(Self { scheme, user, host, port, rest })
    }

    fn standard_port(&self) -> Option<&'static str> {
        match self.scheme {
            "https" => Some("443"),
            "http" => Some("80"),
            _ => None,
        }
    }

    fn spell(&self, user: Option<&str>, port: Option<&str>) -> String {
        let (user, at) = user.map_or(("", ""), |user| (user, "@"));
        let (colon, port) = port.map_or(("", ""), |port| (":", port));
        [self.scheme, "://", user, at, self.host, colon, port, self.rest].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_added_or_dropped() {
        assert_eq!(spellings("https://a.example/x?y=1"), ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]);
        assert_eq!(spellings("http://a.example?y"), ["http://a.example?y", "http://a.example:80?y"]);
        assert_eq!(spellings("https://a.example:8443"), ["https://a.example:8443", "https://a.example"]);
        assert_eq!(spellings("https://[::1]/x"), ["https://[::1]/x", "https://[::1]:443/x"]);
        assert_eq!(spellings("https://[::1]:1/x"), ["https://[::1]:1/x", "https://[::1]/x"]);
    }

    #[test]
    fn the_user_is_kept_and_then_dropped() {
        let tried = spellings("https://u:p@a.example/x@y:1");
        let expected = [
            "https://u:p@a.example/x@y:1",
            "https://u:p@a.example:443/x@y:1",
            "https://a.example/x@y:1",
            "https://a.example:443/x@y:1",
        ];
        assert_eq!(tried, expected);
    }

    #[test]
    fn a_fragment_is_never_signed_and_nonsense_is_taken_as_it_is() {
        assert_eq!(spellings("https://a.example/x#rc=3&rp=all")[0], "https://a.example/x");
        assert_eq!(spellings("nonsense"), ["nonsense"]);
    }

    #[test]
    fn secrets_in_a_url_are_masked() {
        assert_eq!(masked("https://u:pw@a.example/in/x"), "https://u:***@a.example/in/x");
        assert_eq!(
            masked("https://a.example/in/x?a=token&token=s3&b=%20&%74oken=s3&token"),
            "https://a.example/in/x?a=token&token=***&b=%20&token=***&token=***"
        );
        assert_eq!(masked("https://a.example/token=1"), "https://a.example/token=1");
    }
}

//! URLs as senders sign them and as people read them. None goes through a URL parser, because a
//! normalised URL is another one, and a signature covers what was typed.

use crate::form::Form;

/// The URL for people and logs: without a password, and without the value of a query parameter
/// `token`.
pub fn masked(url: &str) -> String {
    let user = Parts::of(url).and_then(|parts| parts.user);
    let url = match user.and_then(|user| user.split_once(':')) {
        Some((name, password)) => {
            url.replacen(&format!("{name}:{password}@"), &format!("{name}:***@"), 1)
        }
        None => url.to_owned(),
    };
    let Some((start, query)) = url.split_once('?') else {
        return url;
    };
    let fields = query.split('&').map(|field| {
        let form = Form::parse(field.as_bytes());
        if form.get("token").is_some() {
            "token=***"
        } else {
            field
        }
    });
    format!("{start}?{}", fields.collect::<Vec<_>>().join("&"))
}

/// A URL, cut at its joints.
pub(crate) struct Parts<'a> {
    scheme: &'a str,
    pub(crate) user: Option<&'a str>,
    host: &'a str,
    pub(crate) port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(url: &'a str) -> Option<Self> {
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
        Some(Self {
            scheme,
            user,
            host,
            port,
            rest,
        })
    }

    pub(crate) fn standard_port(&self) -> Option<&'static str> {
        match self.scheme {
            "https" => Some("443"),
            "http" => Some("80"),
            _ => None,
        }
    }

    /// The URL with this user and this port.
    pub(crate) fn spell(&self, user: Option<&str>, port: Option<&str>) -> String {
        let (user, at) = user.map_or(("", ""), |user| (user, "@"));
        let (colon, port) = port.map_or(("", ""), |port| (":", port));
        [
            self.scheme,
            "://",
            user,
            at,
            self.host,
            colon,
            port,
            self.rest,
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_url_are_masked() {
        assert_eq!(
            masked("https://u:pw@a.example/in/x"),
            "https://u:***@a.example/in/x"
        );
        assert_eq!(
            masked("https://a.example/in/x?a=token&token=s3&b=%20&%74oken=s3&token"),
            "https://a.example/in/x?a=token&token=***&b=%20&token=***&token=***"
        );
        assert_eq!(
            masked("https://a.example/token=1"),
            "https://a.example/token=1"
        );
    }
}

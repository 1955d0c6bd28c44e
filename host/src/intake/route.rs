//! Which source a path names, and the URL that its sender used.

/// What a path says.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The source's name.
    pub source: &'a str,
    /// What follows the name, from its slash on; empty where nothing does.
    pub suffix: &'a str,
}

/// Reads `/in/<source>` and what follows. `public_path` is the path of the public URL: a reverse proxy may pass it on or
/// strip it, so both are understood.
pub fn find<'a>(public_path: &str, path: &'a str) -> Option<Route<'a>> {
    // Passed on first, because a public path may begin with `/in/` itself.
    let passed_on = path.strip_prefix(public_path).and_then(|path| path.strip_prefix("/in/"));
    let own = passed_on.or_else(|| path.strip_prefix("/in/"))?;
    let end = own.find('/').unwrap_or(own.len());
    let (source, suffix) = own.split_at(end);
    (!source.is_empty()).then_some(Route { source, suffix })
}

/// The URL as the sender used it: the source's configured URL, and the received suffix and query, byte for byte. A
/// signature is made over this; it is never rebuilt from `Host` or `X-Forwarded-*`, which anybody can send.
pub fn public_url(source_url: &str, suffix: &str, query: Option<&str>) -> String {
    let mut url = String::with_capacity(source_url.len() + suffix.len() + query.map_or(0, |query| query.len() + 1));
    url.push_str(source_url);
    url.push_str(suffix);
    if let Some(query) = query {
        url.push('?');
        url.push_str(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_source_with_or_without_the_public_path() {
        let route = |source, suffix| Some(Route { source, suffix });
        assert_eq!(find("", "/in/a"), route("a", ""));
        assert_eq!(find("", "/in/a/b/c"), route("a", "/b/c"));
        assert_eq!(find("", "/in/a/"), route("a", "/"));
        assert_eq!(find("/alerts", "/alerts/in/a"), route("a", ""));
        assert_eq!(find("/alerts", "/in/a"), route("a", ""));
        assert_eq!(find("/in", "/in/in/a"), route("a", ""));
        assert_eq!(find("/in", "/in/a"), route("a", ""));
        for nobody in ["/", "/in", "/in/", "/in//x", "/IN/a", "/other/in/a", ""] {
            assert_eq!(find("/alerts", nobody), None, "{nobody}");
        }
    }

    #[test]
    fn the_url_is_the_configured_one_with_what_followed_it() {
        let url = "https://x.example/in/a";
        assert_eq!(public_url(url, "", None), url);
        assert_eq!(public_url(url, "/b%2F", Some("c=%20&d")), "https://x.example/in/a/b%2F?c=%20&d");
        assert_eq!(public_url(url, "", Some("")), "https://x.example/in/a?");
    }
}

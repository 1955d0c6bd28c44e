//! The route of a request: the source that its path names, and the URL that its sender used.

use percent_encoding::percent_decode;

/// The number of times a path is decoded before it is refused. A proxy decodes once, and a chain of
/// them once each.
const DECODINGS: usize = 4;

/// The parts of a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The rest of the path after the name, from its slash on; empty where nothing does.
    pub suffix: &'a str,
}

/// Reads `/in/<source>` and what follows. `public_path` is the path of the public URL: a reverse
/// proxy may pass it on or strip it, so both are understood. A suffix that a proxy may take for
/// another path is no route.
pub fn find<'a>(public_path: &str, path: &'a str) -> Option<Route<'a>> {
    // Passed on first, because a public path may begin with `/in/` itself.
    let passed_on = path
        .strip_prefix(public_path)
        .and_then(|path| path.strip_prefix("/in/"));
    let own = passed_on.or_else(|| path.strip_prefix("/in/"))?;
    let end = own.find('/').unwrap_or(own.len());
    let (source, suffix) = own.split_at(end);
    (!source.is_empty() && is_plain(suffix)).then_some(Route { source, suffix })
}

/// Returns whether every reader of a path takes it for the same place.
///
/// A proxy that allows or denies by path (nginx's `location`) resolves `..`, merges slashes and
/// decodes percent escapes before it compares, and then hands on the path as it came. So a path
/// with `//`, `.`, `..`, `\` or a control character, in any spelling, could pass a rule that it was
/// meant to meet.
fn is_plain(suffix: &str) -> bool {
    let mut path = suffix.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        let decoded: Vec<u8> = percent_decode(&path).collect();
        if decoded == path {
            let odd = |byte: &u8| *byte == b'\\' || byte.is_ascii_control();
            if is_overlong(&path) {
                return false;
            }
            // Some servers cut a path parameter off before they resolve: `/..;a/`.
            let name = |segment: &[u8]| {
                segment
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or_default()
                    .to_vec()
            };
            let is_dots = |segment: &[u8]| matches!(&name(segment)[..], b"." | b"..");
            // Only behind the last slash may nothing stand.
            let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
            while let Some(segment) = segments.next() {
                if is_dots(segment) || segment.is_empty() && segments.peek().is_some() {
                    return false;
                }
            }
            return !path.iter().any(odd);
        }
        path = decoded;
    }
    false
}

/// Returns whether a path spells an ASCII character in UTF-8 of more bytes than it takes, or as
/// `%u002e`. Lenient decoders read `%c0%ae` as a dot.
fn is_overlong(path: &[u8]) -> bool {
    let pairs = path.windows(2).any(|pair| {
        matches!(
            pair,
            [0xc0 | 0xc1, _] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]
        )
    });
    let unicode = |escape: &[u8]| matches!(escape, [b'%', b'u' | b'U', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit));
    pairs || path.windows(6).any(unicode)
}

/// The URL as the sender used it: the source's configured URL, and the received suffix and query,
/// byte for byte. A signature is made over this; it is never rebuilt from `Host` or
/// `X-Forwarded-*`, which anybody can send.
pub fn public_url(source_url: &str, suffix: &str, query: Option<&str>) -> String {
    let mut url = String::with_capacity(
        source_url.len() + suffix.len() + query.map_or(0, |query| query.len() + 1),
    );
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
    fn ambiguous_suffix_is_no_route() {
        for suffix in [
            "/./x",
            "/../x",
            "/..",
            "/.",
            "//",
            "//x",
            "/x//y",
            "/x//",
            "/\\x",
            "/x\\..\\y",
            "/%2e%2e/x",
            "/%2E./x",
            "/x/%2e",
            "/%2f",
            "/x%2f%2fy",
            "/%5cx",
            "/%5C..%5cx",
            "/%252e%252e/x",
            "/%25252e%25252e",
            "/..;a/x",
            "/%2e%2e%3bx",
            "/x%00",
            "/x%0d%0ay",
            "/x%7f",
            "/%252525252525252e",
            "/%c0%ae%c0%ae/x",
            "/%C0%AF",
            "/%e0%80%ae%e0%80%ae/x",
            "/%f0%80%80%ae",
            "/x%25c0%25af",
            "/%u002e%u002e/x",
            "/x%u2215y",
        ] {
            assert_eq!(find("", &format!("/in/a{suffix}")), None, "{suffix}");
        }
        for suffix in [
            "",
            "/",
            "/b",
            "/b/",
            "/b/c",
            "/b.c/..d/e..",
            "/...",
            "/b%2Fc",
            "/%20",
            "/caf%C3%A9",
            "/100%",
            "/%zz",
        ] {
            assert_eq!(
                find("", &format!("/in/a{suffix}")),
                Some(Route {
                    source: "a",
                    suffix
                }),
                "{suffix}"
            );
        }
    }

    #[test]
    fn the_url_is_the_configured_one_with_what_followed_it() {
        let url = "https://x.example/in/a";
        assert_eq!(public_url(url, "", None), url);
        assert_eq!(
            public_url(url, "/b%2F", Some("c=%20&d")),
            "https://x.example/in/a/b%2F?c=%20&d"
        );
        assert_eq!(public_url(url, "", Some("")), "https://x.example/in/a?");
    }
}

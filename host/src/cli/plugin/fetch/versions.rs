//! Versions in tags: `1.2`, `v1.2.3`. A tag of another form is a name, and has no newer one.

use std::collections::BTreeSet;

/// A tag that is a version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version<'t> {
    /// `v`, or nothing.
    prefix: &'t str,
    numbers: Vec<u64>,
}

impl<'t> Version<'t> {
    fn parse(tag: &'t str) -> Option<Self> {
        let numbers = tag.strip_prefix('v').unwrap_or(tag);
        let prefix = &tag[..tag.len() - numbers.len()];
        let numbers = numbers.split('.').map(|number| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            number.parse().ok().filter(|_| is_number)
        });
        let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
        (numbers.len() <= 4).then_some(Self { prefix, numbers })
    }

    /// Returns whether `other` can take its place by the rules of Semantic Versioning: before 1.0
    /// the second number is the one that breaks.
    fn is_compatible(&self, other: &Self) -> bool {
        let kept = if self.numbers[0] == 0 { 2 } else { 1 };
        self.numbers
            .iter()
            .take(kept)
            .eq(other.numbers.iter().take(kept))
    }
}

/// Returns the newest of `tags` that is newer than `tag` and of its form. Where `compatible`, only
/// those that can take its place count.
pub fn newest<'t>(tag: &str, tags: &'t BTreeSet<String>, compatible: bool) -> Option<&'t str> {
    let current = Version::parse(tag)?;
    tags.iter()
        .filter_map(|tag| Some((Version::parse(tag)?, tag.as_str())))
        .filter(|(version, _)| {
            version.prefix == current.prefix
                && version.numbers.len() == current.numbers.len()
                && version.numbers > current.numbers
                && (!compatible || current.is_compatible(version))
        })
        .max_by(|(one, _), (other, _)| one.numbers.cmp(&other.numbers))
        .map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_is_of_the_same_form_and_where_asked_compatible() {
        let tags = [
            "1.2",
            "1.3",
            "1.10",
            "2.0",
            "v1.4",
            "1.2.9",
            "1.11-rc1",
            "latest",
            "sha256-00.sig",
            "0.1",
            "0.2",
            "0.2.1",
            "0.2.2",
            "0.3.0",
            "",
            ".",
            "1.",
            "99999999999999999999999",
        ];
        let tags: BTreeSet<_> = tags.iter().map(|&tag| tag.to_owned()).collect();
        for (tag, compatible, any) in [
            ("1.2", Some("1.10"), Some("2.0")),
            ("1.10", None, Some("2.0")),
            ("v1.2", Some("v1.4"), Some("v1.4")),
            ("0.2.1", Some("0.2.2"), Some("1.2.9")),
            ("0.1", None, Some("2.0")),
            ("2.0", None, None),
            ("latest", None, None),
        ] {
            assert_eq!(newest(tag, &tags, true), compatible, "{tag}");
            assert_eq!(newest(tag, &tags, false), any, "{tag}");
        }
    }
}

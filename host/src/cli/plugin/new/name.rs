//! The name of a plugin: of its folder, its package, its wasm, and of what it calls itself.

/// The longest. A source is often named like its plugin, and senders limit the length of a URL.
const LONGEST: usize = 63;

/// Words of Rust that are no name for a crate.
const KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while",
];

/// Crates of a plugin's dependencies, or of Rust itself.
const CRATES: [&str; 9] = [
    "alert-gateway-plugin-sdk",
    "alloc",
    "core",
    "plugin-sdk",
    "proc-macro",
    "serde",
    "serde-json",
    "std",
    "test",
];

/// A name that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// Names the mistake and a valid name.
    pub fn new(name: &str) -> Result<Self, String> {
        match fault(name) {
            None => Ok(Self(name.to_owned())),
            Some(fault) => Err(format!("{name:?} {fault}; {}", help(name))),
        }
    }

    /// With dashes: the package, and what the plugin calls itself.
    pub fn package(&self) -> &str {
        &self.0
    }

    /// With underscores: the crate in Rust.
    pub fn ident(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As a type in Rust: one that has another name than all in `source`.
    pub fn type_name(&self, source: &str) -> String {
        let camel: String = self.0.split('-').map(capitalised).collect();
        let taken = source
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == camel);
        if taken { camel + "Plugin" } else { camel }
    }
}

/// Explains why a name is refused.
fn fault(name: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || !name.bytes().all(allowed) || name.ends_with('-') || name.contains("--") {
        Some("is not a name for a plugin")
    } else if name.len() > LONGEST {
        Some("is too long for a name")
    } else if KEYWORDS.contains(&name) {
        Some("is a word of Rust")
    } else if CRATES.contains(&name) {
        Some("is the name of a crate that plugins are made of")
    } else {
        None
    }
}

/// The rule, and the nearest name that keeps it.
fn help(name: &str) -> String {
    let rule = "lower-case letters, digits and single dashes, beginning with a letter, at most 63";
    let lower = name.to_lowercase();
    let words: Vec<_> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let plain = words.join("-");
    let near = [
        plain.clone(),
        format!("{plain}-alerts"),
        format!("from-{plain}"),
    ];
    match near.iter().find(|near| fault(near).is_none()) {
        Some(near) => format!("name it {near:?} ({rule})"),
        None => format!("use {rule}"),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_a_package_a_crate_and_a_type() {
        let name = Name::new("door-bell-2").unwrap();
        assert_eq!(
            (name.package(), &*name.ident()),
            ("door-bell-2", "door_bell_2")
        );
        assert_eq!(
            name.type_name("use plugin_sdk::contract::Alert;"),
            "DoorBell2"
        );
        assert_eq!(
            Name::new("alert")
                .unwrap()
                .type_name("use plugin_sdk::contract::Alert;"),
            "AlertPlugin"
        );
        assert!(Name::new(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn a_wrong_name_is_told_with_one_that_would_be_right() {
        let long = "a".repeat(64);
        for (name, said) in [
            ("Door Bell", "name it \"door-bell\""),
            ("door_bell", "name it \"door-bell\""),
            ("-door--bell-", "name it \"door-bell\""),
            ("3cx", "name it \"from-3cx\""),
            (
                "match",
                "\"match\" is a word of Rust; name it \"match-alerts\"",
            ),
            (
                "test",
                "is the name of a crate that plugins are made of; name it \"test-alerts\"",
            ),
            ("serde-json", "name it \"serde-json-alerts\""),
            ("../evil", "name it \"evil\""),
            ("", "use lower-case letters"),
            ("–", "use lower-case letters"),
            (&long, "is too long for a name; use lower-case letters"),
        ] {
            let error = Name::new(name).unwrap_err();
            assert!(error.contains(said), "{name:?}: {error}");
        }
    }
}

//! JSON, read lazily: an object or a list is taken apart when something in it is asked for, and
//! once.
//!
//! A webhook's body is often a hundred times what a mapping asks of it. Values are text until then,
//! so numbers keep all their digits, and one odd value spoils nothing but itself.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use plugin_sdk::json;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most steps of a pointer: no sender nests half as deep, and each step may read nearly all of
/// the body once more.
pub const MAX_STEPS: usize = 16;

/// A value, and what is in it as soon as somebody has asked.
#[derive(Debug)]
pub struct Node<'a> {
    json: &'a RawValue,
    parts: OnceCell<Parts<'a>>,
}

/// The parts of a value.
#[derive(Debug, Default)]
enum Parts<'a> {
    Members(Vec<(Cow<'a, str>, Node<'a>)>),
    Items(Vec<Node<'a>>),
    /// A scalar, or what only looks like more.
    #[default]
    Nothing,
}

impl<'a> Node<'a> {
    /// The value that this is.
    pub fn new(json: &'a RawValue) -> Self {
        Self {
            json,
            parts: OnceCell::new(),
        }
    }

    /// The JSON text that a whole text is, if it is any.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self::new)
    }

    /// The value as the sender wrote it.
    pub fn json(&self) -> &'a RawValue {
        self.json
    }

    /// The node at a JSON Pointer (RFC 6901) of at most [`MAX_STEPS`]; the empty one leads here.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        if pointer.bytes().filter(|byte| *byte == b'/').count() > MAX_STEPS {
            return None;
        }
        let mut steps = pointer.split('/').skip(1);
        steps.try_fold(self, |node, step| node.step(step))
    }

    fn step(&self, step: &str) -> Option<&Self> {
        self.part(step).or_else(|| self.selected(step))
    }

    /// `list[name=X]`: the first member of the list at `list` whose `name` reads X. Without a word
    /// before the bracket, a member of this list itself.
    fn selected(&self, step: &str) -> Option<&Self> {
        let (list, selector) = step.strip_suffix(']')?.split_once('[')?;
        let (name, value) = selector.split_once('=')?;
        let list = if list.is_empty() {
            self
        } else {
            self.part(list)?
        };
        let value = unescaped(value);
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(&value);
        let reads = |item: &&Self| {
            item.part(name)
                .and_then(Node::text)
                .is_some_and(|text| text == value)
        };
        list.items()?.iter().find(reads)
    }

    fn part(&self, step: &str) -> Option<&Self> {
        match self.parts() {
            // The last one where a key occurs twice, as most parsers have it.
            Parts::Members(members) if !step.contains('~') => members
                .iter()
                .rev()
                .find(|(name, _)| name == step)
                .map(|(_, node)| node),
            Parts::Members(members) => {
                let step = unescaped(step);
                members
                    .iter()
                    .rev()
                    .find(|(name, _)| *name == step)
                    .map(|(_, node)| node)
            }
            Parts::Items(items) => items.get(step.parse::<usize>().ok()?),
            Parts::Nothing => None,
        }
    }

    /// The member of this name of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, node)| node)
    }

    /// The members of an object, in their order; none where this is anything else.
    pub fn members(&self) -> &[(Cow<'a, str>, Self)] {
        match self.parts() {
            Parts::Members(members) => members,
            _ => &[],
        }
    }

    /// The items of a list, or else this one.
    pub fn one_or_several(&self) -> &[Self] {
        self.items().unwrap_or(std::slice::from_ref(self))
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Self]> {
        match self.parts() {
            Parts::Items(items) => Some(items),
            _ => None,
        }
    }

    /// Returns whether this is neither an object nor a list.
    pub fn is_scalar(&self) -> bool {
        !self.json.get().starts_with(['{', '['])
    }

    /// The value as text: a scalar without white space around it, an object or a list as JSON;
    /// `None` for null and where there is nothing to read.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let json = self.json.get();
        match json.as_bytes().first()? {
            b'{' | b'[' => Some(Cow::Borrowed(json)),
            b'"' => match self.string() {
                Some(Cow::Borrowed(text)) => {
                    Some(Cow::Borrowed(text.trim())).filter(|text| !text.is_empty())
                }
                _ => json::text(json).map(Cow::Owned),
            },
            _ => json::text(json).map(Cow::Owned),
        }
    }

    /// The string that this is, to the letter; `None` where it is anything else.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        let json = self.json.get();
        match json.strip_prefix('"')?.strip_suffix('"')? {
            // Most strings are written as they are read, and need no copy.
            plain if !plain.as_bytes().contains(&b'\\') => Some(Cow::Borrowed(plain)),
            _ => serde_json::from_str(json).ok().map(Cow::Owned),
        }
    }

    fn parts(&self) -> &Parts<'a> {
        self.parts.get_or_init(|| {
            let json = self.json.get();
            match json.as_bytes().first() {
                Some(b'{' | b'[') => serde_json::from_str(json).unwrap_or_default(),
                _ => Parts::Nothing,
            }
        })
    }
}

/// A step as a key: `~1` is a slash, and `~0` a tilde.
fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::new)
    }
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneLevel;

        impl<'de> Visitor<'de> for OneLevel {
            type Value = Parts<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object or a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((name, node)) = map.next_entry::<json::Name<'_>, _>()? {
                    members.push((name.into(), node));
                }
                Ok(Parts::Members(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Parts::Items(items))
            }
        }

        deserializer.deserialize_any(OneLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str, pointer: &str) -> Option<String> {
        Node::read(json)
            .unwrap()
            .at(pointer)
            .and_then(Node::text)
            .map(Cow::into_owned)
    }

    #[test]
    fn a_pointer_leads_where_the_rfc_says() {
        let json = r#"{"a":{"b":[{"c":"x"},7]},"a/b":1,"m~n":2,"":3," ":4,"ü":5,"\u0041":6}"#;
        for (pointer, found) in [
            ("/a/b/0/c", Some("x")),
            ("/a/b/1", Some("7")),
            ("/a~1b", Some("1")),
            ("/m~0n", Some("2")),
            ("/", Some("3")),
            ("/ ", Some("4")),
            ("/ü", Some("5")),
            ("/A", Some("6")),
            ("/a/b", Some(r#"[{"c":"x"},7]"#)),
            ("/a/b/2", None),
            ("/a/b/-", None),
            ("/a/b/0/c/d", None),
            ("/x/y", None),
        ] {
            assert_eq!(text(json, pointer).as_deref(), found, "{pointer}");
        }
        assert_eq!(text(json, "").as_deref(), Some(json));
    }

    #[test]
    fn a_member_of_a_list_is_found_by_name() {
        let json = r#"{"l":[{"n":"a","v":1},{"n":"b/c","v":2},{"n":7,"v":3}],"l[n=x]":4,"n":[[{"k":"y"}]]}"#;
        for (pointer, found) in [
            ("/l[n=a]/v", Some("1")),
            ("/l/[n=a]/v", Some("1")),
            ("/l[n=b~1c]/v", Some("2")),
            ("/l[n=\"b~1c\"]/v", Some("2")),
            ("/l[n=7]/v", Some("3")),
            ("/l[n=x]", Some("4")),
            ("/l[n=z]/v", None),
            ("/l[m=a]/v", None),
            ("/x[n=a]/v", None),
            ("/n/0[k=y]/k", Some("y")),
            ("/n/0/[k=y]/k", Some("y")),
        ] {
            assert_eq!(text(json, pointer).as_deref(), found, "{pointer}");
        }
    }

    #[test]
    fn scalars_keep_their_digits_and_empty_ones_are_nothing() {
        let json =
            r#"{"n":12345678901234567890123,"f":1.10,"t":true,"null":null,"e":" ","s":" x "}"#;
        let found = ["/n", "/f", "/t", "/null", "/e", "/s"].map(|pointer| text(json, pointer));
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(
            found,
            [
                Some("12345678901234567890123"),
                Some("1.10"),
                Some("true"),
                None,
                None,
                Some("x")
            ]
        );
    }

    #[test]
    fn one_odd_value_spoils_nothing_else_and_the_last_of_two_counts() {
        assert_eq!(
            text(r#"{"a":"\ud800","b":"fine","b":"better"}"#, "/b").as_deref(),
            Some("better")
        );
        assert_eq!(
            text(r#"{"\ud800":1,"b":"fine"}"#, "/b").as_deref(),
            Some("fine")
        );
        assert!(Node::read("{\"a\":1} x").is_none() && Node::read("").is_none());
    }

    #[test]
    fn depth_does_not_matter() {
        let json = format!("{}7{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            text(&json, &"/0".repeat(16)).map(|text| text.len()),
            Some(200_001 - 32)
        );
        assert_eq!(text(&json, &"/0".repeat(17)), None);
    }
}

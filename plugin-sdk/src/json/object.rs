//! JSON objects, read leniently: only text that is not JSON fails.
//!
//! A struct would refuse a number in place of a string, a repeated key, or half of a surrogate pair
//! in an unused value. An authentic event must never be lost for such a thing. Text is borrowed
//! where possible: one request can hold a thousand objects.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, undecoded, in their order.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The object that this JSON text is; one without members where it is anything else.
    pub fn read(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The value of a member; the last one where the key occurs twice, as most parsers have it.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.get())
    }

    /// Adds a member, for an author's own reading of an object.
    pub fn push(&mut self, name: Name<'a>, value: &'a RawValue) {
        self.0.push((name.0, value));
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the members, in their order; one that occurs twice is there twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(name, _)| name)
    }

    /// The names of the members and their values as they are spelled, in their order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// A string, number or boolean as text, without white space around it; `None` where there is
    /// nothing to read.
    pub fn text(&self, key: &str) -> Option<String> {
        text(self.get(key)?)
    }

    /// A boolean, also where it is spelled as a text or as 0 or 1.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.text(key)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// A whole number, also where it is spelled as a text or as `3.0`; `None` where it has a part
    /// behind the point.
    pub fn integer(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => &text,
        };
        whole.parse().ok()
    }

    /// A number, also where it is spelled as a text; never an infinite one or none at all.
    pub fn number(&self, key: &str) -> Option<f64> {
        let number: f64 = self.text(key)?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// The elements of a list, as they are spelled; one where the member is no list, and none where
    /// it is `null` or absent.
    pub fn list(&self, key: &str) -> Vec<&'a str> {
        let Some(json) = self.get(key) else {
            return Vec::new();
        };
        match serde_json::from_str::<Vec<&RawValue>>(json) {
            Ok(elements) => elements.into_iter().map(RawValue::get).collect(),
            Err(_) if json == "null" => Vec::new(),
            Err(_) => vec![json],
        }
    }

    /// The texts of a list, without what is none: see [`list`](Self::list) and [`text`].
    pub fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).into_iter().filter_map(text).collect()
    }

    /// The object that a member is; one without members where it is anything else.
    pub fn object(&self, key: &str) -> Object<'a> {
        self.get(key).map(Self::read).unwrap_or_default()
    }
}

/// A scalar as text. A string that JSON allows and Unicode does not (half a surrogate pair) is
/// shown as it is spelled.
pub fn text(json: &str) -> Option<String> {
    let spelled = match json.as_bytes().first()? {
        b'"' => json.trim_matches('"'),
        b'{' | b'[' | b'n' => return None,
        _ => json,
    };
    // Without an escape, it is spelled as it is meant.
    let decoded = if spelled.as_bytes().contains(&b'\\') {
        serde_json::from_str::<String>(json).ok()
    } else {
        None
    };
    let trimmed = trimmed(decoded.as_deref().unwrap_or(spelled));
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// As [`str::trim`], which decodes characters. Nearly every text begins and ends with ASCII.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object(Vec::with_capacity(8));
                while let Some((name, value)) = map.next_entry()? {
                    object.push(name, value);
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a member, borrowed where it is written without escapes: serde copies every `Cow`
/// that it is not shown how to borrow.
#[derive(Debug)]
pub struct Name<'a>(Cow<'a, str>);

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<Name<'a>> for Cow<'a, str> {
    fn from(name: Name<'a>) -> Self {
        name.0
    }
}

/// As bytes, because half a surrogate pair in one name must not spoil all of an object: it becomes
/// U+FFFD.
impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a name")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, name: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(String::from_utf8_lossy(name)))
            }

            fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(String::from_utf8_lossy(name).into_owned())))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_numbers_and_lists_are_read_as_senders_spell_them() {
        let object = Object::read(
            r#"{"t":true,"f":"No","one":1,"two":2,"whole":"7.0","part":7.5,"huge":1e999,"list":["a",1,null,{}],"single":"a","null":null}"#,
        );
        let flags = ["t", "f", "one", "two", "none"].map(|key| object.flag(key));
        assert_eq!(flags, [Some(true), Some(false), Some(true), None, None]);
        let integers = ["two", "whole", "part", "huge", "t"].map(|key| object.integer(key));
        assert_eq!(integers, [Some(2), Some(7), None, None, None]);
        let numbers = ["two", "whole", "part", "huge", "t"].map(|key| object.number(key));
        assert_eq!(numbers, [Some(2.0), Some(7.0), Some(7.5), None, None]);
        assert_eq!(object.list("list"), ["\"a\"", "1", "null", "{}"]);
        assert_eq!(object.texts("list"), ["a", "1"]);
        assert_eq!(object.texts("single"), ["a"]);
        assert!(object.list("null").is_empty() && object.list("none").is_empty());
    }

    #[test]
    fn scalars_are_read_as_text_and_nothing_else_is() {
        let object = Object::read(
            r#"{"s":" a\n","n":11200,"big":1e999,"b":true,"null":null,"o":{"x":"y"},"l":[],"e":" "}"#,
        );
        let texts =
            ["s", "n", "big", "b", "null", "o", "l", "e", "none"].map(|key| object.text(key));
        let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
        assert_eq!(
            texts,
            [
                Some("a"),
                Some("11200"),
                Some("1e999"),
                Some("true"),
                None,
                None,
                None,
                None,
                None
            ]
        );
        assert_eq!(
            object.names().take(3).collect::<Vec<_>>(),
            ["s", "n", "big"]
        );
        assert_eq!(object.object("o").text("x").as_deref(), Some("y"));
        assert_eq!(object.object("s").text("x"), None);
    }

    #[test]
    fn the_last_of_two_members_counts_and_names_are_decoded() {
        let object = Object::read(r#"{"a":"1","\u0061": [2 ]}"#);
        assert_eq!(object.get("a"), Some("[2 ]"));
        assert_eq!(
            object.members().collect::<Vec<_>>(),
            [("a", "\"1\""), ("a", "[2 ]")]
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_shown_as_it_is_spelled() {
        let object = Object::read(r#"{"a":"\ud800!","b":"fine"}"#);
        assert_eq!(object.text("a").as_deref(), Some(r"\ud800!"));
        assert_eq!(object.text("b").as_deref(), Some("fine"));
    }

    #[test]
    fn half_a_surrogate_pair_in_a_name_spoils_nothing_else() {
        let object = Object::read(r#"{"\ud800x":1,"\ud83d\ude00":2,"a":"3"}"#);
        assert_eq!(object.text("a").as_deref(), Some("3"));
        assert_eq!(object.text("😀").as_deref(), Some("2"));
        let first = object.names().next().unwrap();
        assert!(
            first.starts_with('\u{fffd}') && first.ends_with('x'),
            "{first}"
        );
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in ["", "null", "[1]", "\"{}\"", "{\"a\":1", "{\"a\":1} x"] {
            assert_eq!(Object::read(json).text("a"), None, "{json}");
        }
    }
}

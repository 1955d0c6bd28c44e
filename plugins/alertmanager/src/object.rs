//! JSON objects, read so leniently that only what is not JSON at all fails.
//!
//! A struct would refuse a number where a string should be, a key that occurs twice, or half of a surrogate pair in a
//! value that nobody asks for. An authenticated notification must never be lost for such a thing. Nothing is copied that
//! can be borrowed: a notification can hold a thousand alerts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, undecoded, in their order.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The object that this JSON text is.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The value of a member; the last one where the key occurs twice, as most parsers have it.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// A string, number or boolean as text, without white space around it; `None` where there is nothing to read.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let text = text(self.get(key)?.get())?;
        match text.trim().len() {
            0 => None,
            length if length == text.len() => Some(text),
            _ => Some(Cow::Owned(text.trim().to_owned())),
        }
    }

    /// The object that a member is; one without members where it is anything else.
    pub fn object(&self, key: &str) -> Object<'a> {
        self.get(key).and_then(|value| Self::parse(value.get())).unwrap_or_default()
    }

    /// Names and values, in the order sent.
    pub fn members(&self) -> &[(Cow<'a, str>, &'a RawValue)] {
        &self.0
    }
}

/// A scalar as text, to the letter. A string that JSON allows and Unicode does not (half a surrogate pair) is shown as it
/// is spelled.
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'"' => {
            let spelled = &json[1..json.len() - 1];
            if !spelled.contains('\\') {
                return Some(Cow::Borrowed(spelled));
            }
            Some(serde_json::from_str(json).map_or(Cow::Borrowed(spelled), Cow::Owned))
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(json)),
    }
}

/// The members by name, as far as `read` makes texts of their values.
pub fn sorted<'a>(object: &Object<'a>, read: impl Fn(&'a str) -> Option<Cow<'a, str>>) -> BTreeMap<String, String> {
    // One by one: `collect` sorts first, and that takes more room in the plugin than all of this module.
    let mut members = BTreeMap::new();
    for (name, value) in &object.0 {
        if let Some(value) = read(value.get()) {
            members.insert(name.to_string(), value.into_owned());
        }
    }
    members
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
                let mut members = Vec::with_capacity(8);
                while let Some((Key(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// serde copies every `Cow`, unless it is read like this.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_as_text_and_nothing_else_is() {
        let object = Object::parse(
            r#"{"s":" a\n","n":11200,"big":1e999,"b":true,"null":null,"o":{"x":"y"},"l":[],"e":" ","plain":"p"}"#,
        )
        .unwrap();
        let keys = ["s", "n", "big", "b", "null", "o", "l", "e", "none", "plain"];
        let texts = keys.map(|key| object.text(key));
        let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
        let expected = [Some("a"), Some("11200"), Some("1e999"), Some("true"), None, None, None, None, None, Some("p")];
        assert_eq!(texts, expected);
        assert_eq!(object.object("o").text("x").as_deref(), Some("y"));
        assert_eq!(object.object("s").text("x"), None);
    }

    #[test]
    fn the_last_of_two_members_counts_and_keys_are_decoded() {
        let object = Object::parse(r#"{"a":"1","\u0061":"2"}"#).unwrap();
        assert_eq!(object.text("a").as_deref(), Some("2"));
    }

    #[test]
    fn half_a_surrogate_pair_is_shown_as_it_is_spelled() {
        let object = Object::parse(r#"{"a":"\ud800!","b":"fine"}"#).unwrap();
        assert_eq!(object.text("a").as_deref(), Some(r"\ud800!"));
        assert_eq!(object.text("b").as_deref(), Some("fine"));
    }

    #[test]
    fn what_is_plain_is_borrowed() {
        assert!(matches!(text("\"plain\""), Some(Cow::Borrowed("plain"))));
        assert_eq!(text("\"two\\nlines \"").as_deref(), Some("two\nlines "));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for json in ["", "null", "[1]", "\"{}\"", "{\"a\":1", "{\"a\":1} x"] {
            assert!(Object::parse(json).is_none(), "{json}");
        }
    }
}

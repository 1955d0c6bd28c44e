//! A notification as Alertmanager sends it: facts about a group of alerts, and the alerts.
//!
//! The structure is that of
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. `version` is not
//! asked for: Grafana sends the same structure as version 1.

use std::fmt;

use plugin_sdk::body::{self, Reading};
use plugin_sdk::json::{Name, Object};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The kinds of bodies.
#[derive(Debug)]
pub enum Body<'a> {
    /// Alerts, or a group that has none.
    Notification(Notification<'a>),
    /// Something else, which has to be carried as it is.
    Strange,
    /// Nothing at all, and why it is that.
    Nothing(&'static str),
}

/// The parts of a notification, undecoded.
#[derive(Debug)]
pub struct Notification<'a> {
    /// All of it but for the alerts is about the group.
    pub group: Object<'a>,
    /// The alerts.
    pub members: Vec<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// Reads what the SDK has made of a body. Several notifications behind each other are no list
    /// of alerts.
    pub fn of(reading: &'a Reading<'_>) -> Self {
        match &reading.body {
            body::Body::Json(json) => Self::read(json),
            body::Body::Empty if reading.text.trim().is_empty() => {
                Self::Nothing("the body is empty")
            }
            _ => Self::Strange,
        }
    }

    /// Reads a JSON text.
    fn read(text: &'a str) -> Self {
        // Nearly every body is read in one pass. Another is taken apart member by member: the last
        // of two counts, whatever the first one is.
        if let Ok(Parts {
            group,
            members: Some(members),
        }) = serde_json::from_str(text)
        {
            return Self::Notification(Notification { group, members });
        }
        let Ok(group) = serde_json::from_str::<Object<'_>>(text) else {
            return match text.trim() {
                "" => Self::Nothing("the body is empty"),
                "null" | "[]" => Self::Nothing("the body is empty JSON"),
                _ => Self::Strange,
            };
        };
        let members = match group.get("alerts") {
            None if group.is_empty() => return Self::Nothing("the body is empty JSON"),
            Some(list) => serde_json::from_str(list),
            None => return Self::Strange,
        };
        members.map_or(Self::Strange, |members| {
            Self::Notification(Notification { group, members })
        })
    }
}

/// A notification as its JSON is read.
struct Parts<'a> {
    group: Object<'a>,
    /// `None` where there is no list of alerts.
    members: Option<Vec<&'a RawValue>>,
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Parts<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a notification")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts = Parts {
                    group: Object::default(),
                    members: None,
                };
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    if &*name == "alerts" {
                        // The last one counts where the key occurs twice. Go writes a list that was
                        // never made as null.
                        let list: Option<Vec<&RawValue>> = map.next_value()?;
                        parts.members = Some(list.unwrap_or_default());
                    } else {
                        parts.group.push(name, map.next_value()?);
                    }
                }
                Ok(parts)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl Notification<'_> {
    /// The number of alerts that Alertmanager left out of the group, because there were more than
    /// `max_alerts`.
    pub fn truncated(&self) -> u64 {
        self.group
            .text("truncatedAlerts")
            .and_then(|count| match count.split_once('.') {
                // Some libraries write every number with a fraction.
                Some((whole, _)) => whole.parse().ok(),
                None => count.parse().ok(),
            })
            .unwrap_or_default()
    }

    /// The key of the group.
    pub fn group_key(&self) -> String {
        self.group
            .text("groupKey")
            .or_else(|| self.group.text("receiver"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_alerts_makes_a_notification() {
        for (body, count) in [
            (r#"{"alerts":[{},1]}"#, 2),
            (r#"{"alerts":[]}"#, 0),
            (r#"{"alerts":null}"#, 0),
            (r#" {"version":"1","alerts":[ null ]} "#, 1),
            (r#"{"alerts":[{}],"a":1,"alerts":[1,2]}"#, 2),
            (r#"{"alerts":{"a":1},"alerts":[1,2]}"#, 2),
            (r#"{"alerts":[1],"\u0061lerts":null}"#, 0),
        ] {
            let Body::Notification(notification) = Body::read(body) else {
                panic!("{body}")
            };
            assert_eq!(notification.members.len(), count, "{body}");
        }
    }

    #[test]
    fn nothing_is_told_from_something_else() {
        for nothing in ["", " \n", "null", "[]", "{}"] {
            assert!(
                matches!(Body::read(nothing), Body::Nothing(_)),
                "{nothing:?}"
            );
        }
        for strange in [
            "x",
            "1",
            "[1]",
            "{\"a\":1}",
            "{\"alerts\":{}}",
            "{\"alerts\":[}",
            "{\"alerts\":\"\"}",
            "{\"alerts\":[1],\"alerts\":{}}",
        ] {
            assert!(matches!(Body::read(strange), Body::Strange), "{strange:?}");
        }
    }

    #[test]
    fn what_was_left_out_is_a_number_or_none_of_it() {
        for (field, count) in [
            ("3", 3),
            ("\"3\"", 3),
            ("3.0", 3),
            ("0", 0),
            ("null", 0),
            ("-1", 0),
            ("\"many\"", 0),
        ] {
            let body = format!("{{\"alerts\":[],\"truncatedAlerts\":{field}}}");
            let Body::Notification(notification) = Body::read(&body) else {
                panic!("{body}")
            };
            assert_eq!(notification.truncated(), count, "{field}");
        }
    }
}

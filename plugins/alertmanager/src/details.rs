//! The details of an alert, as JSON: the member to the letter, and the known parts of its group.

use plugin_sdk::json::Object;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A fact about the group is repeated for each of its alerts, and there can be a thousand.
const MAX_FACT_BYTES: usize = 1024;

#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a RawValue>,
    group: Group<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_key: Option<&'a RawValue>,
    #[serde(rename = "externalURL", skip_serializing_if = "Option::is_none")]
    external_url: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated_alerts: Option<&'a RawValue>,
}

/// The details of a member.
pub fn of(member: &RawValue, group: &Object<'_>) -> Option<Box<RawValue>> {
    to_raw_value(&Details {
        alert: Some(member),
        group: facts(group),
    })
    .ok()
}

/// The details of a group.
pub fn of_group(group: &Object<'_>) -> Option<Box<RawValue>> {
    to_raw_value(&Details {
        alert: None,
        group: facts(group),
    })
    .ok()
}

fn facts<'a>(group: &Object<'a>) -> Group<'a> {
    let short = |json: &&str| json.len() <= MAX_FACT_BYTES;
    let fact = |name| {
        group
            .get(name)
            .filter(short)
            .and_then(|json| serde_json::from_str(json).ok())
    };
    Group {
        receiver: fact("receiver"),
        group_key: fact("groupKey"),
        external_url: fact("externalURL"),
        truncated_alerts: fact("truncatedAlerts"),
    }
}

//! Labels: those that a mapping names, and all of an object where it says so.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plugin_sdk::text::line;

use crate::choice::Choice;
use crate::place::Place;
use crate::scope::Scope;
use crate::tree::Node;

/// Labels are for rules; the details hold all of it.
const MAX_LABEL_CHARS: usize = 256;

/// The name of a label that a sender chose; those of the settings are bounded by their schema.
const MAX_NAME_CHARS: usize = 64;

/// The host keeps no more.
const MAX_LABELS: usize = 64;

/// Senders' names for the two halves where each label is an object.
const NAMES: [&str; 4] = ["name", "key", "label", "Name"];
const VALUES: [&str; 3] = ["value", "val", "Value"];

/// The labels of an event; `fits` says whether there is room for a text, and takes it.
pub fn of<'a>(
    settings: &'a Node<'_>,
    scope: &Scope<'a, '_>,
    fits: &mut dyn FnMut(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        let value = line(value, MAX_LABEL_CHARS);
        let room = labels.len() < MAX_LABELS && !labels.contains_key(name);
        if room && !value.is_empty() && fits(name) && fits("\"\":\"\",") && fits(&value) {
            labels.insert(name.to_owned(), value);
        }
    };
    for (name, label) in settings
        .get("labels")
        .map(Node::members)
        .unwrap_or_default()
    {
        if let Some(value) = Choice::new(label).text(scope) {
            add(name, &value);
        }
    }
    for all in settings
        .get("labels_from")
        .map(Node::one_or_several)
        .unwrap_or_default()
    {
        for place in all.get("from").unwrap_or(all).one_or_several() {
            let place = place.string();
            let place = place.as_deref().and_then(|place| Place::parse(place).ok());
            let Some(node) = place.and_then(|place| scope.node(place)) else {
                continue;
            };
            let listed = |list: &str, name: &str| {
                let words = all.get(list).map(Node::one_or_several).unwrap_or_default();
                words
                    .iter()
                    .any(|word| word.string().is_some_and(|word| is_like(&word, name)))
            };
            let prefix = all.get("prefix").and_then(Node::string).unwrap_or_default();
            each(node, &mut |name, value| {
                let name = line(name, MAX_NAME_CHARS);
                if !name.is_empty()
                    && !listed("except", &name)
                    && (all.get("only").is_none() || listed("only", &name))
                {
                    add(&line(&format!("{prefix}{name}"), MAX_NAME_CHARS), value);
                }
            });
        }
    }
    labels
}

/// Calls `add` with every label of an object, of a list of texts (`env:prod`, `env=prod`) or of
/// objects (`name` and `value`), or of such texts with commas between. What is itself an object or
/// a list is no label.
fn each(node: &Node<'_>, add: &mut dyn FnMut(&str, &str)) {
    for (name, value) in node.members() {
        if let Some(value) = value.text().filter(|_| value.is_scalar()) {
            add(name, &value);
        }
    }
    match node.items() {
        Some(items) => {
            for item in items {
                match item.string() {
                    Some(text) => pair(&text, add),
                    None => {
                        let named = |names: &[&str]| {
                            names
                                .iter()
                                .find_map(|name| item.get(name))
                                .and_then(Node::text)
                        };
                        if let (Some(name), Some(value)) = (named(&NAMES), named(&VALUES)) {
                            add(&name, &value);
                        }
                    }
                }
            }
        }
        None => node
            .string()
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .for_each(|text| pair(text, add)),
    }
}

/// Calls `add` with what stands on both sides of the first colon or equals sign.
fn pair(text: &str, add: &mut dyn FnMut(&str, &str)) {
    if let Some((name, value)) = text.split_once([':', '=']) {
        add(name.trim(), value.trim());
    }
}

/// Returns whether a name is this one, or begins or ends like it where there is a star.
fn is_like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// The name of a label as a step of a JSON Pointer.
pub fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Asked;
    use plugin_sdk::testing;

    fn labels(event: &str, settings: &str) -> String {
        let request = testing::post("https://a.example/").build();
        let asked = Asked::new(0);
        let event = Node::read(event).unwrap();
        let settings = Node::read(settings).unwrap();
        let scope = Scope {
            whole: false,
            request: &request,
            body: Some(&event),
            event: Some(&event),
            asked: &asked,
        };
        let labels = of(&settings, &scope, &mut |_| true);
        labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn all_of_an_object_becomes_labels() {
        let event = r#"{"l":{"env":"prod","n":7,"x":null,"o":{"a":1},"e":[],"pod_id":"9"}}"#;
        assert_eq!(
            labels(event, r#"{"labels_from":"/l"}"#),
            "env=prod n=7 pod_id=9"
        );
        let some = r#"{"labels_from":{"from":"/l","except":["pod_*"]},"labels":{"env":"mine","t":"{/l/n}"}}"#;
        assert_eq!(labels(event, some), "env=mine n=7 t=7");
        let some =
            r#"{"labels_from":[{"from":"/l","only":["env","*_id"],"prefix":"k8s_"},"/none"]}"#;
        assert_eq!(labels(event, some), "k8s_env=prod k8s_pod_id=9");
    }

    #[test]
    fn lists_and_texts_of_labels_are_read_as_well() {
        for tags in [
            r#"["env:prod","team=ops","alone"]"#,
            r#""env:prod, team:ops,alone""#,
            r#"[{"name":"env","value":"prod"},{"key":"team","value":"ops"},{"x":1}]"#,
            r#"[{"Name":"env","Value":"prod"},{"label":"team","val":"ops"},7]"#,
        ] {
            assert_eq!(
                labels(&format!("{{\"t\":{tags}}}"), r#"{"labels_from":"/t"}"#),
                "env=prod team=ops",
                "{tags}"
            );
        }
    }

    #[test]
    fn there_are_no_more_than_the_host_keeps() {
        let many = (0..100)
            .map(|n| format!("\"l{n}\":{n}"))
            .collect::<Vec<_>>()
            .join(",");
        let all = labels(
            &format!("{{{many}}}"),
            r#"{"labels_from":"$body","labels":{"own":"x"}}"#,
        );
        assert_eq!(all.split(' ').count(), 64);
        assert!(all.ends_with("own=x"), "{all}");
    }
}

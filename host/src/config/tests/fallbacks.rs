//! Several destinations, and what stands in for one that takes nothing.

use std::time::Duration;

use super::{GOOD, good, problems};
use crate::config::{FALLBACK_AFTER, Problem};

/// [`GOOD`] with more destinations: the name of each, its URL's path and its fallback.
fn with(more: &[(&str, &str)]) -> String {
    let tables = more.iter().map(|(name, lines)| {
        format!(
            "[destinations.{name}]\nkind = \"itoc360\"\nurl = \"https://{name}.example/\"\ntoken = {{ env = \"T\" }}\n{lines}\n"
        )
    });
    let tables: String = tables.collect();
    format!("{tables}{GOOD}")
}

#[test]
fn fallback_has_a_name_and_a_time() {
    let config = good(&with(&[
        ("a", "fallback = \"b\""),
        ("b", "fallback = \"itoc360\"\nfallback_after = \"90s\""),
    ]));
    let of = |index: usize| {
        let fallback = config.destinations[index].fallback.as_ref();
        fallback.map(|fallback| (fallback.destination.as_str(), fallback.after))
    };
    assert_eq!(of(0), Some(("b", FALLBACK_AFTER)));
    assert_eq!(of(1), Some(("itoc360", Duration::from_secs(90))));
    assert_eq!(of(2), None);
    // One that only stands in for others is used.
    let unused: Vec<_> = config
        .warnings
        .iter()
        .map(|warning| warning.found.as_str())
        .filter(|found| found.starts_with("no source"))
        .collect();
    assert_eq!(unused, ["no source sends to [destinations.a]"]);
}

#[test]
fn fallback_that_leads_nowhere_is_refused_with_each_position() {
    assert_eq!(
        problems(&with(&[
            ("a", "fallback = \"b\""),
            ("b", "fallback = \"c\""),
            ("c", "fallback = \"a\"")
        ])),
        [
            "5:12: the fallbacks go in a circle: a to b (5:12), to c (10:12) and then to a (15:12); \
             let one of them have no fallback"
        ]
    );
    assert_eq!(
        problems(&with(&[
            ("a", "fallback = \"b\""),
            ("b", "fallback = \"a\"")
        ])),
        [
            "5:12: the fallbacks go in a circle: a to b (5:12) and then to a (10:12); let one of them have no fallback"
        ]
    );
    let late = problems(&with(&[
        ("a", "fallback = \"b\"\nfallback_after = 2"),
        ("b", "fallback = \"a\""),
    ]));
    assert!(
        late.len() == 2 && late[0].contains("in a circle"),
        "a mistake in the time hides no circle: {late:?}"
    );
    assert_eq!(
        problems(&with(&[("a", "fallback = \"a\"")])),
        ["5:12: [destinations.a] is its own fallback; name another destination"]
    );
    assert_eq!(
        problems(&with(&[("a", "fallback = \"itoc306\"")])),
        [
            "5:12: fallback in [destinations.a] is \"itoc306\", which is not configured; did you mean \"itoc360\"?"
        ]
    );
    assert_eq!(
        problems(&with(&[("a", "fallback_after = \"2m\"")])),
        [
            "5:18: fallback_after in [destinations.a] stands without fallback; name the destination that gets what is \
             not taken, or leave it out"
        ]
    );
}

#[test]
fn fallback_at_the_same_url_is_a_warning() {
    let text = with(&[("a", "fallback = \"itoc360\"")]).replace(
        "https://a.example/",
        "https://api.itoc360.app/functions/v1/events",
    );
    let config = good(&text);
    let found: Vec<_> = config
        .warnings
        .iter()
        .map(|warning| warning.found.as_str())
        .collect();
    let same = "[destinations.a] and its fallback itoc360 have the same URL";
    assert!(found.contains(&same), "{found:?}");
}

#[test]
fn list_of_destinations_leaves_places_for_their_fallbacks() {
    let names: Vec<String> = (0..6).map(|number| format!("d{number}")).collect();
    let tables: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "fallback = \"itoc360\""))
        .collect();
    let list = |count: usize| {
        let list = format!("destination = {:?}", &names[..count]);
        with(&tables).replace("destination = \"itoc360\"", &list)
    };
    assert_eq!(good(&list(5)).sources[0].destinations, names[..5]);
    let said = problems(&list(6));
    let most = "an alert of [sources.twilio-prod] may have 18 deliveries with those to fallbacks, and 16 are the most";
    assert!(said.len() == 1 && said[0].contains(most), "{said:?}");
    let twice = with(&tables).replace(
        "destination = \"itoc360\"",
        "destination = [\"d0\", \"d0\"]",
    );
    assert!(problems(&twice)[0].contains("write each destination once"));
}

#[test]
fn original_format_stands_beside_nothing_that_changes_alerts() {
    let native = "format = \"original\"";
    let with_source = |lines: &str, operator: &str| {
        let source = format!(
            "[sources.native]\nplugin = \"twilio-errors\"\ndestination = \"a\"\n{lines}\n\
             [sources.native.settings]\nauth_token = {{ env = \"T\" }}\n"
        );
        let text = with(&[("a", native), ("b", "")]) + &source;
        text.replace("[gateway]\n", &format!("[gateway]\n{operator}\n"))
    };
    let operator = "operator_destination = \"b\"";
    let config = good(&with_source("", operator));
    let source = config
        .sources
        .iter()
        .find(|one| one.name == "native")
        .unwrap();
    assert_eq!(
        (source.destination(), &*source.originals),
        ("b", &["a".to_owned()][..])
    );
    let routed = "rules = [{ when = { level = \"x\" }, drop = true }, { when = { level = \"y\" }, destination = \"b\" }]";
    good(&with_source(routed, operator));

    for (lines, operator, found) in [
        ("", "", "nothing takes the internal alerts about it"),
        (
            "",
            "operator_destination = \"a\"",
            "operator_destination is [destinations.a]",
        ),
        (
            "redact = [\"/x\"]",
            operator,
            "redact of [sources.native] does nothing at a",
        ),
        (
            "group = { by = [\"x\"] }",
            operator,
            "group of [sources.native] does nothing",
        ),
        (
            "rules = [{ when = { level = \"x\" }, redact = [\"ip-addresses\"] }]",
            operator,
            "rule 1 of [sources.native]",
        ),
    ] {
        let problems = problems(&with_source(lines, operator));
        assert!(
            problems.iter().any(|problem| problem.contains(found)),
            "{lines} {operator}: {problems:#?}"
        );
    }
    for lines in [
        "labels = { a = \"b\" }",
        "resolve_after = \"1h\"",
        "rules = [{ when = { level = \"x\" }, priority = \"low\" }]",
    ] {
        let warnings = good(&with_source(lines, operator)).warnings;
        let is_told = |one: &Problem| one.found.contains("of [sources.native] does nothing at a");
        assert!(warnings.iter().any(is_told), "{lines}: {warnings:?}");
    }
    let fallback = problems(&with(&[("a", native), ("b", "fallback = \"a\"")]));
    assert!(
        fallback[0].contains("the fallback a has format = \"original\""),
        "{fallback:#?}"
    );
}

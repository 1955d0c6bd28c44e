use std::path::Path;

use plugin_sdk::contract::{Alert, Priority, Status};
use serde_json::value::RawValue;

use super::*;
use crate::config::{Config, Source};

/// A configuration whose source has these lines.
fn config(lines: &str) -> Config {
    let text = format!(
        "[gateway]\npublic_url = \"https://a.example\"\ndata_dir = \"d\"\n
         [destinations.main]\nkind = \"itoc360\"\ntoken = \"0123456789abcdef\"\n
         [destinations.night]\nkind = \"itoc360\"\ntoken = \"0123456789abcdef\"\n
         [sources.a]\nplugin = \"webhook\"\ndestination = \"main\"\n{lines}\n"
    );
    Config::parse(&text, Path::new("gateway.toml"), &|_| None).unwrap()
}

/// The source of it.
fn source(lines: &str) -> Source {
    config(lines).sources.into_iter().next().unwrap()
}

fn policy(lines: &str) -> Policy {
    Policy::of(&source(lines))
}

fn alert(labels: &[(&str, &str)]) -> Alert {
    let mut alert = Alert::new("e1", Priority::Medium, "Disk full on db1");
    alert.labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    alert
}

#[test]
fn alert_without_policy_stays_as_it_is() {
    let policy = policy("");
    assert!(policy.is_empty());
    let before = alert(&[("error_code", "30006")]);
    let decision = policy.decide("a", before.clone());
    assert_eq!(
        serde_json::to_string(&decision.alert).unwrap(),
        serde_json::to_string(&before).unwrap()
    );
    assert!(
        decision.applied.is_empty()
            && decision.dropped_by.is_none()
            && decision.destinations.is_none()
    );
}

#[test]
fn labels_of_the_source_win_over_the_senders() {
    let decision = policy("labels = { team = \"voice\" }")
        .decide("a", alert(&[("team", "forged"), ("x", "1")]));
    assert_eq!(decision.alert.labels["team"], "voice");
    assert_eq!(decision.alert.labels["x"], "1");
}

#[test]
fn rules_apply_in_order_until_one_stops() {
    let policy = policy(
        "[[sources.a.rules]]\nwhen = { level = \"warning\" }\npriority = \"low\"\nlabels = { quiet = \"yes\" }\n
         [[sources.a.rules]]\nwhen = { quiet = \"yes\" }\ndestination = \"night\"\nstop = true\n
         [[sources.a.rules]]\nwhen = {}\npriority = \"critical\"",
    );
    let quiet = policy.decide("a", alert(&[("level", "warning")]));
    assert_eq!(
        (quiet.alert.priority, quiet.applied),
        (Priority::Low, vec![1, 2])
    );
    assert_eq!(
        quiet.destinations.as_deref(),
        Some(&["night".to_owned()][..])
    );
    let loud = policy.decide("a", alert(&[("level", "error")]));
    assert_eq!(
        (loud.alert.priority, loud.applied),
        (Priority::Critical, vec![3])
    );
}

#[test]
fn every_term_must_hold_and_not_must_not() {
    let policy = policy(
        "[[sources.a.rules]]\nwhen = { error_code = [\"30006\", \"311*\"], priority = \"medium\", status = \"trigger\",
         title = \"Disk*\", source = \"a\", not = { team = \"voice\" } }\ndrop = true",
    );
    let dropped = |labels: &[(&str, &str)], change: &dyn Fn(&mut Alert)| {
        let mut alert = alert(labels);
        change(&mut alert);
        policy.decide("a", alert).dropped_by.is_some()
    };
    let same = &|_: &mut Alert| {};
    assert!(dropped(&[("error_code", "30006")], same));
    assert!(dropped(&[("error_code", "31100"), ("team", "sms")], same));
    assert!(!dropped(&[("error_code", "30007")], same));
    assert!(
        !dropped(&[], same),
        "a label that is missing matches nothing"
    );
    assert!(!dropped(
        &[("error_code", "30006"), ("team", "voice")],
        same
    ));
    assert!(!dropped(&[("error_code", "30006")], &|alert| alert
        .priority =
        Priority::High));
    assert!(!dropped(&[("error_code", "30006")], &|alert| alert
        .status =
        Status::Resolve));
    assert!(!dropped(&[("error_code", "30006")], &|alert| alert.title =
        "CPU".to_owned()));
}

#[test]
fn resolve_is_dropped_only_where_the_rule_names_it() {
    let mut resolve = alert(&[("level", "warning")]);
    resolve.status = Status::Resolve;
    let decided = |when: &str| {
        let policy = policy(&format!(
            "[[sources.a.rules]]\nwhen = {{ {when} }}\ndrop = true"
        ));
        (
            policy
                .decide("a", alert(&[("level", "warning")]))
                .dropped_by,
            policy.decide("a", resolve.clone()).dropped_by,
        )
    };
    assert_eq!(decided("level = \"warning\""), (Some(1), None));
    let spared = policy("[[sources.a.rules]]\ndrop = true").decide("a", resolve.clone());
    assert_eq!(spared.dropped_unless_open, Some(1));
    assert_eq!(
        decided("level = \"warning\", status = [\"trigger\", \"resolve\"]"),
        (Some(1), Some(1))
    );
}

#[test]
fn key_is_made_of_labels_or_left_alone() {
    let policy = policy("[[sources.a.rules]]\nkey = \"{source}/{host}/{error_code}\"");
    let whole = policy.decide("a", alert(&[("host", "db1"), ("error_code", "1")]));
    assert_eq!(whole.alert.key(), "a/db1/1");
    assert_eq!(
        policy.decide("a", alert(&[("host", "db1")])).alert.key(),
        "e1"
    );
    let long = policy.decide(
        "a",
        alert(&[("host", &"x".repeat(2000)), ("error_code", "1")]),
    );
    assert_eq!(long.alert.key(), "e1", "a key that is too long is none");
}

#[test]
fn rule_sees_what_redaction_hides() {
    let policy = policy(
        "redact = [\"phone-numbers\", \"label:secret\", \"/request/parameters/From\", \"/list/*/b\"]\n
         [[sources.a.rules]]\nwhen = { secret = \"s3\" }\npriority = \"high\"\nredact = \"email-addresses\"",
    );
    let mut before = alert(&[("secret", "s3"), ("to", "+14155550100")]);
    before.title = "No answer from +14155550100, ask ann@example.com".to_owned();
    before.key = Some("call/+14155550100".to_owned());
    let details = r#"{"request":{"parameters":{"From":"x","To":"+14155550101"}},"list":[{"b":1,"c":2}],"n":1.50}"#;
    before.details = Some(RawValue::from_string(details.to_owned()).unwrap());
    let decision = policy.decide("a", before.clone());
    let after = decision.alert;
    assert_eq!(after.priority, Priority::High);
    assert_eq!(
        after.title,
        "No answer from [redacted phone-numbers], ask [redacted email-addresses]"
    );
    assert_eq!(after.labels["secret"], "[redacted]");
    assert_eq!(after.labels["to"], "[redacted phone-numbers]");
    assert_eq!(
        after.details.as_ref().unwrap().get(),
        r#"{"request":{"parameters":{"From":"[redacted]","To":"[redacted phone-numbers]"}},"list":[{"b":"[redacted]","c":2}],"n":1.50}"#
    );
    assert!(decision.redacted >= 7);
    let mut other = before;
    other.key = Some("call/+14155550199".to_owned());
    let other = policy.decide("a", other).alert;
    assert!(
        !other.key().contains("4155550199") && other.key() != after.key(),
        "keys stay apart"
    );
}

#[test]
fn masked_label_is_masked_where_it_was_copied_from() {
    let policy = policy("redact = [\"label:to\", \"label:n\"]");
    let mut before = alert(&[("to", "agent-77"), ("n", "7"), ("also", "agent-77")]);
    before.title = "No answer of agent-77 (7)".to_owned();
    before.key = Some("call/agent-77".to_owned());
    before.link = Some("https://x.example/agent%2D77".to_owned());
    let details = r#"{"to":"agent-77","text":"ask agent\u002d77","n":7}"#;
    before.details = Some(RawValue::from_string(details.to_owned()).unwrap());
    let after = policy.decide("a", before).alert;
    assert_eq!(after.title, "No answer of [redacted] (7)");
    assert_eq!(after.link.as_deref(), Some("https://x.example/[redacted]"));
    assert_eq!(after.labels["also"], "[redacted]");
    assert_eq!(
        after.details.as_ref().unwrap().get(),
        r#"{"to":"[redacted]","text":"ask [redacted]","n":7}"#
    );
    assert_eq!(after.key(), "call/agent-77", "it is the same incident");
}

#[test]
fn masked_place_is_masked_where_it_was_copied_to() {
    let lines = "redact = [\"/from\"]
         [[sources.a.rules]]\nwhen = {}\nlabels = { said = \"x\" }";
    let mut before = alert(&[("caller", "agent-77"), ("said", "ask agent-77")]);
    before.title = "No answer of agent-77".to_owned();
    before.message = Some("Call agent-77 (7)".to_owned());
    before.key = Some("call/agent-77".to_owned());
    before.details = RawValue::from_string(r#"{"from":"agent-77","n":7}"#.to_owned()).ok();
    let decision = policy(lines).decide("a", before);
    assert_eq!(
        decision.changes[0].to_string(),
        "labels.said ask [redacted] -> x"
    );
    let after = decision.alert;
    assert_eq!(after.title, "No answer of [redacted]");
    assert_eq!(after.message.as_deref(), Some("Call [redacted] (7)"));
    assert_eq!(after.labels["caller"], "[redacted]");
    assert_eq!(after.key(), "call/agent-77", "it is the same incident");
}

#[test]
fn what_a_text_leaves_of_a_credential_is_masked_by_its_form() {
    let policy = policy("redact = [\"url-credentials\", \"/user\"]");
    let mut before = alert(&[]);
    before.title = "https://admin1:hunter2@db/ and /?token=admin1hunter2".to_owned();
    before.details = RawValue::from_string(r#"{"user":"admin1"}"#.to_owned()).ok();
    let after = policy.decide("a", before).alert;
    assert!(!after.title.contains("hunter2"), "{}", after.title);
}

#[test]
fn more_than_can_be_looked_for_masks_what_is_made_of_it_whole() {
    let policy = policy("redact = [\"/all\"]");
    let mut before = alert(&[("a", "x")]);
    before.message = Some("x".to_owned());
    before.link = Some("https://x.example/".to_owned());
    let texts: Vec<_> = (0..10_000).map(|n| format!("text {n}")).collect();
    before.details = RawValue::from_string(serde_json::json!({ "all": texts }).to_string()).ok();
    let after = policy.decide("a", before).alert;
    let texts = [
        &*after.title,
        after.message.as_deref().unwrap(),
        &after.labels["a"],
    ];
    assert_eq!((texts, after.link), (["[redacted]"; 3], None));
}

#[test]
fn forms_within_forms_are_not_followed() {
    let policy = policy("redact = [\"/a\"]\nredact_stored = true");
    let text = "a=".repeat(100_000) + "{";
    let mut before = alert(&[]);
    before.details = RawValue::from_string(serde_json::json!([&text]).to_string()).ok();
    let decision = policy.decide("a", before);
    let stored = policy.stored().unwrap();
    let stored = stored.redact("https://x.example/", &[], text.as_bytes(), &decision.masked);
    assert_ne!(stored.places, 0);
}

#[test]
fn place_is_found_at_any_depth_where_requests_are_masked() {
    let policy = policy("redact = [\"/user/secret\"]\nredact_stored = true");
    for details in [
        r#"[{"user":{"secret":"hunter2"}}]"#,
        r#"{"body_text":"{\"user\":{\"secret\":\"hunter2\"}}\n{}"}"#,
    ] {
        let mut before = alert(&[]);
        before.title = "hunter2 failed".to_owned();
        before.details = RawValue::from_string(details.to_owned()).ok();
        let after = policy.decide("a", before).alert;
        assert_eq!(after.title, "[redacted] failed", "{details}");
        let details = after.details.unwrap();
        assert!(!details.get().contains("hunter2"), "{details}");
    }
}

#[test]
fn rule_that_can_never_match_is_found() {
    let source = source(
        "labels = { team = \"voice\" }\n
         [[sources.a.rules]]\nwhen = { team = \"voice\", eror_code = \"1\" }\ndrop = true\n
         [[sources.a.rules]]\nwhen = { level = [\"warning\", \"info\"] }\nlabels = { quiet = \"1\" }\nstop = true\n
         [[sources.a.rules]]\nwhen = { level = \"warning\", error_code = \"30006\" }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { quiet = \"1\" }\npriority = \"low\"",
    );
    let declared = ["error_code".to_owned(), "level".to_owned()];
    let found = lint(&source, Some(&declared));
    let lines: Vec<_> = found
        .iter()
        .map(|finding| (finding.position.line, finding.help.as_str()))
        .collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(lines[0].1, "did you mean \"error_code\"?");
    assert!(found[1].found.contains("stops at every alert"), "{found:?}");
    assert!(
        lint(&source, None).len() == 1,
        "a plugin that declares nothing may set any label"
    );
}

#[test]
fn rule_that_contradicts_itself_or_a_fixed_label_is_found() {
    let source = source(
        "labels = { team = \"voice\" }\n
         [[sources.a.rules]]\nwhen = { code = \"1\", not = { code = [\"1\", \"2\"] } }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { code = \"1*\", not = { code = \"11\" } }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { not = {} }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { team = \"sms\" }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { code = \"1\" }\nlabels = { team = \"sms\", shift = \"night\" }\n
         [[sources.a.rules]]\nwhen = { team = \"sms\" }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { shift = \"day\" }\npriority = \"low\"",
    );
    let found = |declared: Option<&[String]>| {
        let found = lint(&source, declared).into_iter();
        let found = found.map(|one| one.found.rsplit(": ").next().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    let excludes = "its not excludes all that the rest of it asks for";
    let team = "the label \"team\" of each alert of a is \"voice\" there";
    let shift = "the label \"shift\" of each alert of a is \"night\" there";
    let declared = ["code".to_owned()];
    assert_eq!(found(Some(&declared)), [excludes, excludes, team, shift]);
    assert_eq!(
        found(None),
        [excludes, excludes, team],
        "a sender may set any other label"
    );
}

#[test]
fn time_that_a_group_makes_idle_is_found() {
    let text = |above: &str| {
        format!(
            "resolve_after = \"4h\"\n[[sources.a.rules]]\nresolve_after = \"1h\"\n[sources.a.group]\nby = [\"code\"]\n{above}"
        )
    };
    let found = lint(&source(&text("")), None);
    let found: Vec<_> = found.iter().map(|one| one.found.as_str()).collect();
    let expected = [
        "the resolve_after of this rule does nothing: each alert of a is in a group",
        "resolve_after does nothing: each alert of a is in a group",
    ];
    assert_eq!(found, expected);
    assert_eq!(lint(&source(&text("above = \"20/5m\"")), None), []);
}

#[test]
fn misspelt_label_of_a_not_or_redaction_is_found() {
    let source = source(
        "redact = [\"label:form\"]\n
         [[sources.a.rules]]\nwhen = { not = { eror_code = \"1\" } }\npriority = \"low\"\nredact = \"label:too\"",
    );
    let declared = ["error_code".to_owned(), "from".to_owned(), "to".to_owned()];
    let found = lint(&source, Some(&declared));
    let found: Vec<_> = found.iter().map(|finding| finding.found.as_str()).collect();
    let expected = [
        "the not of this rule excludes nothing: no alert of a has the label \"eror_code\"",
        "this rule redacts nothing there: no alert of a has the label \"too\"",
        "a redacts a label that no alert of it has: \"form\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn rule_for_resolves_is_not_shadowed_by_a_drop() {
    let source = source(
        "[[sources.a.rules]]\ndrop = true\n
         [[sources.a.rules]]\nwhen = { status = \"resolve\" }\npriority = \"low\"\n
         [[sources.a.rules]]\nwhen = { level = \"warning\" }\npriority = \"low\"",
    );
    let found = lint(&source, None);
    let lines: Vec<_> = found.iter().map(|finding| finding.found.as_str()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("drops every alert"), "{lines:?}");
}

#[test]
fn stored_request_is_masked_by_what_is_masked_in_its_alert() {
    let policy =
        policy("redact = [\"/from\", \"label:street\", \"phone-numbers\"]\nredact_stored = true");
    let mut before = alert(&[("street", "Long Lane 7")]);
    before.title = "From agent-77 in Long Lane 7".to_owned();
    before.key = Some("call/agent-77".to_owned());
    let details = r#"{"from":"agent-77","again":"agent-77"}"#;
    before.details = Some(RawValue::from_string(details.to_owned()).unwrap());
    let decision = policy.decide("a", before);
    let after = decision.alert;
    assert_eq!(after.title, "From [redacted] in [redacted]");
    assert!(after.key().starts_with("call/redacted-"), "{}", after.key());
    assert_eq!(
        after.details.as_ref().unwrap().get(),
        r#"{"from":"[redacted]","again":"[redacted]"}"#
    );
    let body = br#"{"from":"agent-77","note":"agent\u002d77 of Long Lane 7","to":"+14155550100"}"#;
    let redactor = policy.stored().unwrap();
    let stored = redactor.redact("https://x.example/in/a", &[], body, &decision.masked);
    assert_eq!(
        String::from_utf8(stored.body).unwrap(),
        r#"{"from":"[redacted]","note":"[redacted] of [redacted]","to":"[redacted phone-numbers]"}"#
    );
}

#[test]
fn mute_that_never_holds_anything_is_found() {
    let config = config(
        "labels = { team = \"voice\" }
         [[mutes]]\nwhen = { source = \"b\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { source = \"a*\", eror_code = \"1\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { source = \"a\" }\nuntil = 2020-01-01T00:00:00Z\nwhy = \"x\"
         [[mutes]]\nwhen = { error_code = \"1\", team = \"voice\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { status = \"resolve\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { team = \"sms\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { source = \"alert-gateway\" }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"
         [[mutes]]\nwhen = { source = \"a\", not = { source = \"*\" } }\nweekly = \"Sat 22:00 - Sun 06:00 UTC\"\nwhy = \"x\"",
    );
    let declared = ["error_code".to_owned()];
    let sources = [(&config.sources[0], Some(&declared[..]))];
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let found = lint_mutes(&config.mutes, &sources, now);
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.found.rsplit(": ").next().unwrap(), one.help.as_str()))
        .collect();
    let expected = [
        (
            "no alert of its sources has the label \"eror_code\"",
            "did you mean \"error_code\"?",
        ),
        (
            "it ended at 2020-01-01T00:00:00Z",
            "remove it, or write another time",
        ),
        ("a resolve is held by none", "leave the status out"),
        (
            "the label \"team\" of each alert of its sources is \"voice\"",
            "ask for that, or remove the mute",
        ),
        (
            "the gateway's own alerts are held by none",
            "name a source of the configuration",
        ),
        (
            "its not excludes all that the rest of it asks for",
            "let the not exclude less",
        ),
    ];
    assert_eq!(found, expected);
    let any = lint_mutes(&config.mutes, &[(&config.sources[0], None)], now);
    assert_eq!(
        any.len(),
        5,
        "a plugin that declares nothing may set any label"
    );
}

#[test]
fn changes_of_rules_are_noted_and_masked() {
    let lines = "redact = [\"label:to\", \"phone-numbers\"]\nresolve_after = \"1h\"
         [[sources.a.rules]]\nwhen = {}\npriority = \"medium\"\nkey = \"{to}/{key}\"\nlabels = { to = \"nobody\", team = \"voice\" }\n
         [[sources.a.rules]]\nwhen = {}\ndestination = \"night\"\nresolve_after = \"2h\"\nlabels = { team = \"sms\" }";
    let mut alert = alert(&[("to", "+14155550100"), ("said", "call +14155550100")]);
    alert.key = Some("k".to_owned());
    let decision = policy(lines).decide("a", alert);
    let changes: Vec<_> = decision
        .changes
        .iter()
        .map(|change| (change.rule, change.to_string()))
        .collect();
    let shown: Vec<_> = changes
        .iter()
        .map(|(rule, text)| (*rule, &**text))
        .collect();
    assert_eq!(decision.applied, [1, 2]);
    // A digest takes the number's place in a key, as it does in the alert's.
    let key = format!("key k -> {}", decision.alert.key());
    assert!(key.contains("redacted-"), "{key}");
    assert_eq!(
        shown,
        [
            (1, &*key),
            (1, "labels.team voice"),
            (1, "labels.to [redacted] -> [redacted]"),
            (2, "labels.team voice -> sms"),
            (2, "resolve_after 1h -> 2h"),
            (2, "destination night"),
        ]
    );
}

#[test]
fn value_of_a_masked_label_is_masked_in_other_changes() {
    let lines = "redact = [\"label:to\"]
         [[sources.a.rules]]\nwhen = {}\nlabels = { said = \"x\", to = \"nobody\" }";
    let alert = alert(&[("to", "Ada Lovelace"), ("said", "ask Ada Lovelace")]);
    let decision = policy(lines).decide("a", alert);
    let changes: Vec<_> = decision.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "labels.said ask [redacted] -> x",
            "labels.to [redacted] -> [redacted]"
        ]
    );
}

//! Each mistake, and the very words that the operator reads.

use std::path::Path;

use super::{GOOD, edited, environment, printed, problems};
use crate::config::Config;
use crate::config::reading::Reading;
use crate::config::text::Text;

#[test]
fn each_mistake_is_told_with_its_place_and_what_would_be_right() {
    for (from, to, said) in MISTAKES {
        assert_eq!(problems(&edited(from, to)), *said, "{to}");
    }
}

#[test]
fn every_mistake_is_reported_at_once_in_order() {
    let text = GOOD
        .replace("listen =", "lisen =")
        .replace("\"30d\"", "30")
        .replace("\"256KiB\"", "1")
        .replace("\"ITOC360_TOKEN\"", "\"NO_TOKEN\"")
        .replace("destination = \"itoc360\"", "destination = \"itoc\"")
        .replace("\"200ms\"", "0");
    let lines: Vec<_> = problems(&text)
        .iter()
        .filter_map(|said| Some(said.split_once(':')?.0.to_owned()))
        .collect();
    assert_eq!(lines, ["2", "9", "13", "21", "28", "35"]);
}

#[test]
fn flawed_rule_or_mute_hides_no_other() {
    let rules = "plugin = \"twilio-errors\"\n\
        rules = [{ priority = \"hihg\" }, { when = { source = \"b\" }, drop = true }]\n";
    let mute = |source: &str, until: &str| {
        format!("[[mutes]]\nwhen = {{ source = \"{source}\" }}\nuntil = {until}\nwhy = \"x\"\n")
    };
    let text = edited("plugin = \"twilio-errors\"\n", rules)
        + &mute("twilio-prod", "\"soon\"")
        + &mute("nope", "2030-01-01T00:00:00Z");
    let path = Path::new("gateway.toml");
    let text = Text::of(&text, path);
    let draft = Config::understand(Reading::new(&text, &environment), path).unwrap();
    let said = [printed(&draft.problems), printed(&draft.config.warnings)].concat();
    let begin: Vec<_> = said
        .iter()
        .filter_map(|said| said.split(';').next())
        .collect();
    assert_eq!(
        begin,
        [
            "28:23: priority in rule 1 of rules in [sources.twilio-prod] is \"hihg\"",
            "40:9: until in mute 1 is \"soon\"",
            "28:33: rule 2 of [sources.twilio-prod] is for alerts of b",
            "42:1: mute 2 names the source \"nope\", and there is none",
        ]
    );
}

#[test]
fn keys_beside_a_misspelt_kind_are_judged_as_it_is_meant() {
    let slack = "[destinations.s]\nkind = \"slak\"\nurl = \"https://hooks.example.com/x\"\ntoken = { env = \"T\" }\n";
    let said = problems(&format!("{GOOD}{slack}"));
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        said[0],
        "38:8: kind in [destinations.s] is \"slak\"; did you mean \"slack\"?"
    );
    assert!(
        said[1].starts_with("40:1: unknown key \"token\" in [destinations.s]"),
        "{said:?}"
    );
}

#[test]
fn nothing_at_all_is_told_what_to_begin_with() {
    for nothing in ["", "\n\n", "# only a comment\n"] {
        let said = "1:1: nothing is configured; write [gateway], [destinations.<name>] and [sources.<name>]";
        assert_eq!(problems(nothing), [said]);
    }
    assert_eq!(
        problems("[gateway]\npublic_url = \"https://a.example\"\n[destinations]\n"),
        [
            "1:1: there is no source; add [sources.twilio-prod]",
            "3:1: there is no destination; add [destinations.itoc360]",
        ]
    );
}

#[test]
fn a_port_that_is_taken_by_default_is_told() {
    let text = edited("admin = \"127.0.0.1:9090\"\n", "").replace("127.0.0.1:8080", "0.0.0.0:9090");
    assert_eq!(
        problems(&text),
        [
            "2:10: listen in [gateway] has the port of admin, which is 127.0.0.1:9090 by default; choose another port, or write \
          admin = \"127.0.0.1:9091\" or admin = \"off\""
        ]
    );
}

#[test]
fn a_duplicate_names_its_first_definition_in_the_same_table() {
    let text = edited(
        "concurrency = 32",
        "extra = { url = \"x\" }\nurl = \"https://b.example\"",
    );
    let said = problems(&text);
    assert!(
        said.iter()
            .any(|said| said.starts_with("24:1: url is written twice, first at 20:1;")),
        "{said:?}"
    );
}

/// The replaced text of [`GOOD`], its replacement, and the words of the problem.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &[&str])] = &[
    // Syntax.
    ("listen = \"127.0.0.1:8080\"", "listen = 127.0.0.1:8080", &[
        "2:15: this is not TOML: invalid float; put text in quotes",
    ]),
    ("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:8080", &[
        "2:25: this is not TOML: invalid basic string; expected `\"`",
    ]),
    ("listen = \"127.0.0.1:8080\"", "listen", &[
        "2:7: this is not TOML: key with no value; expected `=`",
    ]),
    ("[retention]", "[retention", &[
        "8:11: this is not TOML: unclosed table; expected `]`",
    ]),
    ("data_dir = \"data\"", "data_dir = \"data\"\ndata_dir = \"x\"", &[
        "6:1: data_dir is written twice, first at 5:1; keep one of the two",
    ]),
    ("[retention]", "[gateway]", &[
        "8:2: gateway is written twice, first at 1:2; keep one of the two",
        "9:1: unknown key \"age\" in [gateway]; the keys here are listen, listen_mode, tls, trusted_proxies, public_url, admin, admin_token, admin_tls, admin_hosts, data_dir, shutdown_grace, operator_destination, heartbeat, traces, memory, plugin_keys, plugin_store and reload",
        "10:1: unknown key \"size\" in [gateway]; the keys here are listen, listen_mode, tls, trusted_proxies, public_url, admin, admin_token, admin_tls, admin_hosts, data_dir, shutdown_grace, operator_destination, heartbeat, traces, memory, plugin_keys, plugin_store and reload",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "{ env = \"ITOC360_TOKEN\"", &[
        "22:1: this is not TOML: missing comma between key-value pairs; close what an earlier line opens",
    ]),
    // Keys.
    ("format =", "formt =", &[
        "22:1: unknown key \"formt\" in [destinations.itoc360]; did you mean \"format\"?",
    ]),
    ("concurrency = 32", "colour = 32", &[
        "23:1: unknown key \"colour\" in [destinations.itoc360]; the keys here are kind, url, token, format, concurrency, timeout, egress, proxy, ca, client_cert, client_key, fallback and fallback_after",
    ]),
    ("public_url =", "public-url =", &[
        "3:1: unknown key \"public-url\" in [gateway]; did you mean \"public_url\"?",
    ]),
    ("[gateway]", "[gatway]", &[
        "1:2: unknown key \"gatway\" in the file; did you mean \"gateway\"?",
    ]),
    ("[destinations.itoc360]", "[destination.itoc360]", &[
        "18:2: unknown key \"destination\" in the file; did you mean \"destinations\"?",
    ]),
    ("[gateway]", "", &[
        "1:1: there is no [gateway]; add it, with public_url = \"https://alerts.example.com\"",
        "2:1: unknown key \"listen\" in the file; the keys here are gateway, admin, store, retention, limits, destinations, sources, mutes and include",
        "3:1: unknown key \"public_url\" in the file; the keys here are gateway, admin, store, retention, limits, destinations, sources, mutes and include",
        "4:9: admin in the file is text; write it as a table, under the header [admin]",
        "5:1: unknown key \"data_dir\" in the file; the keys here are gateway, admin, store, retention, limits, destinations, sources, mutes and include",
        "6:1: unknown key \"shutdown_grace\" in the file; the keys here are gateway, admin, store, retention, limits, destinations, sources, mutes and include",
    ]),
    ("plugin =", "#", &[
        "26:1: [sources.twilio-prod] has no plugin; add plugin = \"twilio-errors\", or whichever reads this sender",
    ]),
    ("destination = ", "#", &[
        "26:1: [sources.twilio-prod] has no destination; add destination = \"itoc360\"",
    ]),
    ("destination = ", "dest = ", &[
        "28:1: unknown key \"dest\" in [sources.twilio-prod]; did you mean \"destination\"?",
    ]),
    ("kind =", "#", &[
        "18:1: [destinations.itoc360] has no kind; add kind = \"itoc360\"",
    ]),
    ("token = { env = \"ITOC360_TOKEN\" }", "", &[
        "18:1: [destinations.itoc360] has no token; add token = { env = \"ITOC360_TOKEN\" }",
    ]),
    // Types.
    ("listen = \"127.0.0.1:8080\"", "listen = 8080", &[
        "2:10: listen in [gateway] is an integer; write text such as \"127.0.0.1:8080\"",
    ]),
    ("\"30d\"", "30", &[
        "9:7: age in [retention] is an integer; write a duration from \"1h\" to \"3650d\"",
    ]),
    ("\"4GiB\"", "1.5", &[
        "10:8: size in [retention] is a fraction; write a size from \"16MiB\" to \"1PiB\"",
    ]),
    ("concurrency = 32", "concurrency = \"32\"", &[
        "23:15: concurrency in [destinations.itoc360] is text; write a whole number from 1 to 256",
    ]),
    ("[retention]", "[[retention]]", &[
        "8:1: retention in the file is an array; write it as a table, under the header [retention]",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = 1", &[
        "27:10: plugin in [sources.twilio-prod] is an integer; write the name of a bundled plugin, or { path = \"my.wasm\" }",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "12345", &[
        "21:9: token in [destinations.itoc360] is an integer; write { env = \"NAME\" }, { file = \"path\" }, { credential = \"name\" } or the text itself",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "[\"a\"]", &[
        "21:9: token in [destinations.itoc360] is an array; write { env = \"NAME\" }, { file = \"path\" }, { credential = \"name\" } or the text itself",
    ]),
    ("[sources.twilio-prod.settings]\nauth_token = { env = \"TWILIO_AUTH_TOKEN\" }", "settings = 1", &[
        "31:12: settings in [sources.twilio-prod] is an integer; write it as a table, under the header [sources.twilio-prod.settings]",
    ]),
    // Values.
    ("\"127.0.0.1:8080\"", "\"localhost:8080\"", &[
        "2:10: listen in [gateway] is \"localhost:8080\"; write an IP address and a port, like \"127.0.0.1:8080\"",
    ]),
    ("\"127.0.0.1:9090\"", "\"0.0.0.0:9090\"", &[
        "4:9: admin in [gateway] is \"0.0.0.0:9090\"; nobody who reaches it is asked who they are: put it on loopback, like \"127.0.0.1:9090\", or add admin_token = { env = \"ADMIN_TOKEN\" }, or [[admin.users]], or admin_tls with a client_ca",
    ]),
    ("\"127.0.0.1:9090\"", "\"127.0.0.1:8080\"", &[
        "4:9: admin in [gateway] is \"127.0.0.1:8080\"; listen has that port already; choose another",
    ]),
    ("\"127.0.0.1:9090\"", "\"on\"", &[
        "4:9: admin in [gateway] is \"on\"; write an IP address and a port, like \"127.0.0.1:9090\"",
    ]),
    ("data_dir = \"data\"", "data_dir = \"\"", &[
        "5:12: data_dir in [gateway] is \"\"; name a folder",
    ]),
    ("shutdown_grace = \"10s\"", "shutdown_grace = \"2h\"", &[
        "6:18: shutdown_grace in [gateway] is \"2h\"; write a duration from \"0s\" to \"1h\"",
    ]),
    ("\"https://alerts.example.com\"", "\"alerts.example.com\"", &[
        "3:14: public_url in [gateway] does not begin with https:// or http://; write it as senders see it, like \"https://alerts.example.com\"",
    ]),
    ("\"https://alerts.example.com\"", "\"https://alerts.example.com/?a=b\"", &[
        "3:14: public_url in [gateway] has a query (?…); write it as senders see it, like \"https://alerts.example.com\"",
    ]),
    ("\"https://alerts.example.com\"", "\"https://alerts.example.com/#rc=3\"", &[
        "3:14: public_url in [gateway] has a fragment (#…), which is never sent; write it as senders see it, like \"https://alerts.example.com\"",
    ]),
    ("\"https://api.itoc360.app/functions/v1/events\"", "\"/functions/v1/events\"", &[
        "20:7: url in [destinations.itoc360] does not begin with https:// or http://; write it like \"https://api.itoc360.app/functions/v1/events\"",
    ]),
    ("\"30d\"", "\"10s\"", &[
        "9:7: age in [retention] is \"10s\"; write a duration from \"1h\" to \"3650d\"",
    ]),
    ("\"30d\"", "\"1 fortnight\"", &[
        "9:7: age in [retention] is \"1 fortnight\"; write a duration from \"1h\" to \"3650d\"",
    ]),
    ("\"30d\"", "\"1mo\"", &[
        "9:7: age in [retention] is \"1mo\"; write a duration from \"1h\" to \"3650d\"",
    ]),
    ("\"30d\"", "\"-1h\"", &[
        "9:7: age in [retention] is \"-1h\"; write a duration from \"1h\" to \"3650d\"",
    ]),
    ("\"4GiB\"", "\"4 gibs\"", &[
        "10:8: size in [retention] is \"4 gibs\"; write a size from \"16MiB\" to \"1PiB\"",
    ]),
    ("\"256KiB\"", "\"1GiB\"", &[
        "13:8: body in [limits] is \"1GiB\"; write a size from \"1KiB\" to \"64MiB\"",
    ]),
    ("\"256KiB\"", "1023", &[
        "13:8: body in [limits] is \"1023\"; write a size from \"1KiB\" to \"64MiB\"",
    ]),
    ("\"256KiB\"", "-1", &[
        "13:8: body in [limits] is \"-1\"; write a size from \"1KiB\" to \"64MiB\"",
    ]),
    ("\"100ms\"", "\"1ms\"", &[
        "14:8: time in [limits] is \"1ms\"; write a duration from \"10ms\" to \"30s\"",
    ]),
    ("\"16MiB\"", "\"2GiB\"", &[
        "15:10: memory in [limits] is \"2GiB\"; write a size from \"1MiB\" to \"1GiB\"",
    ]),
    ("\"200ms\"", "\"31s\"", &[
        "35:8: time in [sources.twilio-prod.limits] is \"31s\"; write a duration from \"10ms\" to \"30s\"",
    ]),
    ("\"100/s\"", "\"0/s\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"0/s\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"1000001/s\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"1000001/s\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"100\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"100\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"100/d\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"100/d\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"+1/s\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"+1/s\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"/s\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"/s\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"-1/min\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"-1/min\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"1.5/h\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"1.5/h\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "\"99999999999/s\"", &[
        "36:8: rate in [sources.twilio-prod.limits] is \"99999999999/s\"; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("\"100/s\"", "100", &[
        "36:8: rate in [sources.twilio-prod.limits] is an integer; write a count from 1 to 1000000 for each s, min or h, like \"100/s\", or \"off\"",
    ]),
    ("shutdown_grace = \"10s\"", "memory = \"1MiB\"", &[
        "6:10: memory in [gateway] is \"1MiB\"; write a size from \"16MiB\" to \"64GiB\"",
    ]),
    ("concurrency = 32", "concurrency = 0", &[
        "23:15: concurrency in [destinations.itoc360] is 0; write a whole number from 1 to 256",
    ]),
    ("concurrency = 32", "concurrency = 257", &[
        "23:15: concurrency in [destinations.itoc360] is 257; write a whole number from 1 to 256",
    ]),
    ("kind = \"itoc360\"", "kind = \"itoc\"", &[
        "19:8: kind in [destinations.itoc360] is \"itoc\"; did you mean \"itoc360\"?",
    ]),
    ("kind = \"itoc360\"", "kind = \"carrier-pigeon\"", &[
        "19:8: kind in [destinations.itoc360] is \"carrier-pigeon\"; write itoc360, webhook, slack, teams, pagerduty, opsgenie, alertmanager or smtp",
    ]),
    ("\"alertmanager\"", "\"prometheus\"", &[
        "22:10: format in [destinations.itoc360] is \"prometheus\"; write alertmanager, zapier or original",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = \"twilio.wasm\"", &[
        "27:10: plugin in [sources.twilio-prod] is \"twilio.wasm\"; write { path = \"twilio.wasm\" } for a file of your own",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = \"Twilio Errors\"", &[
        "27:10: plugin in [sources.twilio-prod] is \"Twilio Errors\"; write the name of a bundled plugin, like \"twilio-errors\"",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = { path = \"none.wasm\" }", &[
        "27:19: there is no file none.wasm; relative paths start at the configuration file's folder",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = { path = \"none.wasm\", sha256 = \"12\" }", &[
        "27:19: there is no file none.wasm; relative paths start at the configuration file's folder",
        "27:41: sha256 in plugin in [sources.twilio-prod] is \"12\"; write the 64 hex digits that sha256sum prints",
    ]),
    ("plugin = \"twilio-errors\"", "plugin = { pth = \"none.wasm\" }", &[
        "27:12: unknown key \"pth\" in plugin in [sources.twilio-prod]; did you mean \"path\"?",
    ]),
    ("destination = \"itoc360\"", "destination = \"itoc\"", &[
        "28:15: destination in [sources.twilio-prod] is \"itoc\", which is not configured; did you mean \"itoc360\"?",
    ]),
    ("destination = \"itoc360\"", "destination = \"pager\"", &[
        "28:15: destination in [sources.twilio-prod] is \"pager\", which is not configured; the destinations are itoc360",
    ]),
    ("shutdown_grace = \"10s\"", "operator_destination = \"itoc36\"", &[
        "6:24: operator_destination in [gateway] is \"itoc36\", which is not configured; did you mean \"itoc360\"?",
    ]),
    ("token = { env = \"SOURCE_TOKEN\" }", "expect_every = \"30s\"", &[
        "29:16: expect_every in [sources.twilio-prod] is \"30s\"; write a duration from \"1m\" to \"90d\"",
    ]),
    // Names.
    ("[sources.twilio-prod]", "[sources.alert-gateway]\nplugin = \"x\"\ndestination = \"itoc360\"\n[sources.twilio-prod]", &[
        "26:10: \"alert-gateway\" is the source of the gateway's own alerts; give this source another name",
    ]),
    ("[destinations.itoc360]", "[destinations.ITOC360]", &[
        "18:15: \"ITOC360\" is not a name for a destination; name it \"itoc360\" (lower-case letters, digits, - and _, beginning with a letter or digit, at most 63)",
    ]),
    ("[sources.twilio-prod]", "[sources.\"\"]\n[sources.twilio-prod]", &[
        "26:1: [sources.\"\"] has no plugin; add plugin = \"twilio-errors\", or whichever reads this sender",
        "26:1: [sources.\"\"] has no destination; add destination = \"itoc360\"",
        "26:10: \"\" is not a name for a source; use lower-case letters, digits, - and _, beginning with a letter or digit, at most 63",
    ]),
    // The spool.
    ("[retention]", "[store]\nspool = true\nspool_size = \"1GiB\"\n[retention]", &[
        "9:9: spool in [store] is for kind = \"postgres\", and this store is a file; leave it out: a file is on this machine's own disk, and there is no outage of a database to bridge; or name a database by kind = \"postgres\" and its url",
        "10:14: spool_size in [store] is for kind = \"postgres\", and this store is a file; leave it out: a file is on this machine's own disk, and there is no outage of a database to bridge; or name a database by kind = \"postgres\" and its url",
    ]),
    ("size = \"4GiB\"", "[store]\nkind = \"postgres\"\nurl = \"postgres://a/b\"\nspool = \"yes\"\nspool_size = \"1KiB\"", &[
        "13:9: spool in [store] is text; write true or false",
        "14:14: spool_size in [store] is \"1KiB\"; write a size from \"1MiB\" to \"64GiB\"",
    ]),
    // Secrets.
    ("\"ITOC360_TOKEN\"", "\"NO_TOKEN\"", &[
        "21:17: token in [destinations.itoc360] names the environment variable NO_TOKEN, which is not set; set it for the gateway's process",
    ]),
    ("\"ITOC360_TOKEN\"", "\"NO_token\"", &[
        "21:17: token in [destinations.itoc360] names an environment variable that is not set; set it for the gateway's process",
    ]),
    ("\"ITOC360_TOKEN\"", "\"EMPTY_TOKEN\"", &[
        "21:17: token in [destinations.itoc360] names the environment variable EMPTY_TOKEN, which is empty; set it to the secret: an empty one protects nothing",
    ]),
    ("\"ITOC360_TOKEN\"", "5", &[
        "21:17: env of token in [destinations.itoc360] is an integer; write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "{ evn = \"ITOC360_TOKEN\" }", &[
        "21:11: unknown key \"evn\" in token in [destinations.itoc360]; did you mean \"env\"?",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "{ vault = \"ITOC360_TOKEN\" }", &[
        "21:11: unknown key \"vault\" in token in [destinations.itoc360]; write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "{ env = \"A\", file = \"b\" }", &[
        "21:9: token in [destinations.itoc360] is a table of 2 keys; write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "{ file = \"no/such/file\" }", &[
        "21:18: token in [destinations.itoc360] names a file that cannot be read: No such file or directory (os error 2); relative paths start at the configuration file's folder",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "\"\"", &[
        "21:9: token in [destinations.itoc360] is empty; an empty secret protects nothing",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "\"a b\"", &[
        "21:9: token in [destinations.itoc360] holds a space, a line break or another character that no token has; copy it again, without what surrounds it",
    ]),
    ("{ env = \"ITOC360_TOKEN\" }", "\"${ITOC360_TOKEN}\"", &[
        "21:9: token in [destinations.itoc360] is the text \"${ITOC360_TOKEN}\", and nothing replaces it; write { env = \"ITOC360_TOKEN\" }",
    ]),
    ("{ env = \"SOURCE_TOKEN\" }", "[]", &[
        "29:9: token in [sources.twilio-prod] is an empty list; name a token, or leave the key out",
    ]),
    ("{ env = \"SOURCE_TOKEN\" }", "[{ env = \"NO_A\" }, \"\"]", &[
        "29:18: token in [sources.twilio-prod] names the environment variable NO_A, which is not set; set it for the gateway's process",
        "29:28: token in [sources.twilio-prod] is empty; an empty secret protects nothing",
    ]),
    // Settings.
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "nan", &[
        "32:14: auth_token in [sources.twilio-prod.settings] is not a finite number; plugins are given JSON, which has no other",
    ]),
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "99999999999999999999", &[
        "32:14: auth_token in [sources.twilio-prod.settings] is too large a number; 64 bits are the most",
    ]),
];

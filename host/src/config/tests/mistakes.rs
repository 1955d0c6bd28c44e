//! Each mistake, and the very words that the operator reads.

use super::{GOOD, edited, printed, problems};
use crate::config::Config;
use std::path::Path;

/// (what is replaced, by what, what is said)
const MISTAKES: &[(&str, &str, &str)] = &[
];

#[test]
fn each_mistake_is_told_with_its_place_and_what_would_be_right() {
    let mut out = String::new();
    for (from, to, said) in CASES {
        out += &format!("({from:?}, {to:?}, {:#?}),\n", problems(&edited(from, to)));
    }
    panic!("{out}");
}

const CASES: &[(&str, &str, &str)] = &[
    // Syntax.
    ("listen = \"127.0.0.1:8080\"", "listen = 127.0.0.1:8080", ""),
    ("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:8080", ""),
    ("listen = \"127.0.0.1:8080\"", "listen", ""),
    ("[retention]", "[retention", ""),
    ("data_dir = \"data\"", "data_dir = \"data\"\ndata_dir = \"x\"", ""),
    ("[retention]", "[gateway]", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "{ env = \"ITOC360_TOKEN\"", ""),
    // Keys.
    ("format =", "formt =", ""),
    ("concurrency = 32", "colour = 32", ""),
    ("public_url =", "public-url =", ""),
    ("[gateway]", "[gatway]", ""),
    ("[destinations.itoc360]", "[destination.itoc360]", ""),
    ("[gateway]", "", ""),
    ("plugin =", "#", ""),
    ("destination = ", "#", ""),
    ("destination = ", "dest = ", ""),
    ("kind =", "#", ""),
    ("token = { env = \"ITOC360_TOKEN\" }", "", ""),
    // Types.
    ("listen = \"127.0.0.1:8080\"", "listen = 8080", ""),
    ("\"30d\"", "30", ""),
    ("\"4GiB\"", "1.5", ""),
    ("concurrency = 32", "concurrency = \"32\"", ""),
    ("[retention]", "[[retention]]", ""),
    ("plugin = \"twilio-errors\"", "plugin = 1", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "12345", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "[\"a\"]", ""),
    ("[sources.twilio-prod.settings]\nauth_token = { env = \"TWILIO_AUTH_TOKEN\" }", "settings = 1", ""),
    // Values.
    ("\"127.0.0.1:8080\"", "\"localhost:8080\"", ""),
    ("\"127.0.0.1:9090\"", "\"0.0.0.0:9090\"", ""),
    ("\"127.0.0.1:9090\"", "\"127.0.0.1:8080\"", ""),
    ("\"127.0.0.1:9090\"", "\"on\"", ""),
    ("data_dir = \"data\"", "data_dir = \"\"", ""),
    ("shutdown_grace = \"10s\"", "shutdown_grace = \"2h\"", ""),
    ("\"https://alerts.example.com\"", "\"alerts.example.com\"", ""),
    ("\"https://alerts.example.com\"", "\"https://alerts.example.com/?a=b\"", ""),
    ("\"https://alerts.example.com\"", "\"https://alerts.example.com/#rc=3\"", ""),
    ("\"https://api.itoc360.app/functions/v1/events\"", "\"/functions/v1/events\"", ""),
    ("\"30d\"", "\"10s\"", ""),
    ("\"30d\"", "\"1 fortnight\"", ""),
    ("\"30d\"", "\"1mo\"", ""),
    ("\"30d\"", "\"-1h\"", ""),
    ("\"4GiB\"", "\"4 gibs\"", ""),
    ("\"256KiB\"", "\"1GiB\"", ""),
    ("\"256KiB\"", "1023", ""),
    ("\"256KiB\"", "-1", ""),
    ("\"100ms\"", "\"1ms\"", ""),
    ("\"16MiB\"", "\"2GiB\"", ""),
    ("\"200ms\"", "\"31s\"", ""),
    ("concurrency = 32", "concurrency = 0", ""),
    ("concurrency = 32", "concurrency = 257", ""),
    ("kind = \"itoc360\"", "kind = \"itoc\"", ""),
    ("kind = \"itoc360\"", "kind = \"pagerduty\"", ""),
    ("\"alertmanager\"", "\"prometheus\"", ""),
    ("plugin = \"twilio-errors\"", "plugin = \"twilio.wasm\"", ""),
    ("plugin = \"twilio-errors\"", "plugin = \"Twilio Errors\"", ""),
    ("plugin = \"twilio-errors\"", "plugin = { path = \"none.wasm\" }", ""),
    ("plugin = \"twilio-errors\"", "plugin = { path = \"none.wasm\", sha256 = \"12\" }", ""),
    ("plugin = \"twilio-errors\"", "plugin = { pth = \"none.wasm\" }", ""),
    ("destination = \"itoc360\"", "destination = \"itoc\"", ""),
    ("destination = \"itoc360\"", "destination = \"pager\"", ""),
    // Names.
    ("[destinations.itoc360]", "[destinations.ITOC360]", ""),
    ("[sources.twilio-prod]", "[sources.\"\"]\n[sources.twilio-prod]", ""),
    // Secrets.
    ("\"ITOC360_TOKEN\"", "\"NO_TOKEN\"", ""),
    ("\"ITOC360_TOKEN\"", "\"NO_token\"", ""),
    ("\"ITOC360_TOKEN\"", "\"EMPTY_TOKEN\"", ""),
    ("\"ITOC360_TOKEN\"", "5", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "{ evn = \"ITOC360_TOKEN\" }", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "{ vault = \"ITOC360_TOKEN\" }", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "{ env = \"A\", file = \"b\" }", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "{ file = \"no/such/file\" }", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "\"\"", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "\"a b\"", ""),
    ("{ env = \"ITOC360_TOKEN\" }", "\"${ITOC360_TOKEN}\"", ""),
    ("{ env = \"SOURCE_TOKEN\" }", "[]", ""),
    ("{ env = \"SOURCE_TOKEN\" }", "[{ env = \"NO_A\" }, \"\"]", ""),
    // Settings.
    ("\"TWILIO_AUTH_TOKEN\"", "\"NO_TOKEN\"", ""),
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "nan", ""),
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "99999999999999999999", ""),
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "{ AC1 = { env = \"NO_TOKEN\" } }", ""),
    ("{ env = \"TWILIO_AUTH_TOKEN\" }", "[{ file = \"none\" }]", ""),
];

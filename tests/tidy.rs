//! The house is in order: what the compiler does not check, and what a reader relies on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use alert_gateway::config::Config;
use alert_gateway::{gateway, sources};

use crate::harness::root;

/// The floors, as `host/src/lib.rs` shows them. An import goes to a lower floor, or stays in its module.
const FLOORS: [(u8, &[&str]); 6] = [
    (5, &["cli"]),
    (4, &["gateway"]),
    (3, &["intake", "delivery", "monitor", "admin"]),
    (2, &["sources", "destinations"]),
    (1, &["plugin", "store", "http"]),
    (0, &["config", "alert", "metrics", "health", "clock", "log_throttle"]),
];

/// Words that fit any program, and so say nothing about this one.
const EMPTY_WORDS: [&str; 10] =
    ["utils", "util", "common", "types", "manager", "service", "handler", "handlers", "helpers", "misc"];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// Every file of the project below a folder whose name ends so, by path.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(entry);
            } else if entry.is_file() && name.ends_with(ending) {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The modules that a line of code names as `crate::<module>` or `crate::{<module>…, …}`.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut modules = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            modules.push(word(after));
            continue;
        };
        // The names at the group's own level.
        let (mut depth, mut names) = (0_usize, String::new());
        for character in group.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ if depth == 0 => names.push(character),
                _ => {}
            }
        }
        modules.extend(names.split(',').map(word));
    }
    modules.retain(|module| !module.is_empty());
    modules
}

#[test]
fn the_reader_of_imports_reads_them() {
    assert_eq!(named("use crate::store::{self, Store};"), ["store"]);
    assert_eq!(named("    crate::intake::answer(crate::http::Answer)"), ["intake", "http"]);
    assert_eq!(named("use crate::{alert::Alert, config::{Config, Limits}, http};"), ["alert", "config", "http"]);
    assert!(named("// use crate::cli;").is_empty() && named("use plugin_sdk::contract;").is_empty());
}

#[test]
fn imports_go_down_never_up_and_never_sideways() {
    let source = root().join("host/src");
    let mut wrong = Vec::new();
    for path in files("host/src", ".rs") {
        let own = path.strip_prefix(&source).unwrap().iter().next().unwrap().to_string_lossy().replace(".rs", "");
        if own == "lib" || own == "main" {
            continue;
        }
        let own_floor = floor(&own).unwrap_or_else(|| panic!("{} is on no floor", path.display()));
        for (number, line) in (1..).zip(fs::read_to_string(&path).unwrap().lines()) {
            for module in named(line).iter().filter(|module| **module != own) {
                if floor(module).is_none_or(|floor| floor >= own_floor) {
                    wrong.push(format!("{}:{number}: `{own}` (floor {own_floor}) imports `{module}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_map_of_the_house_shows_every_module_on_its_floor() {
    let map = read("host/src/lib.rs");
    let mut shown = BTreeMap::new();
    for row in map.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split('|').map(str::trim);
        if let (Some(Ok(floor)), Some(modules)) = (cells.next().map(str::parse::<u8>), cells.next()) {
            let names = modules.split(',').map(|name| name.trim().trim_matches(['[', ']', '`']).to_owned());
            shown.insert(floor, names.collect::<Vec<_>>());
        }
    }
    let floors = FLOORS.map(|(floor, modules)| (floor, modules.iter().map(ToString::to_string).collect()));
    assert_eq!(shown, BTreeMap::from(floors));
    let modules: Vec<_> = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules.len(), FLOORS.iter().map(|(_, modules)| modules.len()).sum::<usize>());
    assert!(modules.iter().all(|module| floor(module).is_some()), "{modules:?}");
}

#[test]
fn no_file_has_a_name_that_fits_any_program() {
    for path in files("", ".rs") {
        let within = path.strip_prefix(root()).unwrap().with_extension("");
        let empty = within.iter().find(|part| EMPTY_WORDS.iter().any(|word| *part == *word));
        assert!(empty.is_none(), "{}", path.display());
    }
}

#[tokio::test]
async fn every_example_is_a_configuration_that_runs() {
    let examples = files("examples", ".toml");
    let examples: Vec<_> = examples.iter().filter(|path| !path.ends_with("Cargo.toml")).collect();
    assert!(examples.len() >= 2, "{examples:?}");
    for path in examples {
        let text = fs::read_to_string(path).unwrap();
        let config =
            Config::parse(&text, path, &|_| Some("x".to_owned())).unwrap_or_else(|problems| panic!("{problems}"));
        let sandbox = gateway::sandbox(&config, false).unwrap();
        sources::load(&config, &sandbox).await.unwrap_or_else(|problems| panic!("{problems}"));
    }
}

/// The commands of README's first two blocks of shell: run it, and test it.
fn first_commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let commands = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim());
    commands.filter(|line| !line.is_empty() && !line.starts_with('#')).take(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_begins_with_the_commands_that_are_checked() {
    let [run, test] = <[String; 2]>::try_from(first_commands(&read("README.md"))).unwrap();
    assert!(
        run.starts_with("cargo run --release") && run.ends_with("demo"),
        "the first command runs the main job: {run}"
    );
    assert_eq!(test, "cargo test --workspace");
    assert!(read(".ci/run").lines().any(|line| line == test), ".ci/run does not say: {test}");
}

#[test]
fn no_test_of_the_whole_system_waits_for_time_to_pass() {
    // The one place that looks again and again is the harness's.
    let wait = concat!("sl", "eep(");
    for path in files("tests", ".rs").iter().filter(|path| !path.ends_with("harness/wait.rs")) {
        let line = fs::read_to_string(path).unwrap().lines().position(|line| line.contains(wait));
        assert_eq!(line.map(|line| line + 1), None, "{}", path.display());
    }
}

/// Where the machine's clock, which may be set at any time, is asked: for what a person reads, never for a wait.
const WALL_CLOCK: [&str; 4] = [
    "cli/events.rs",               // A process of its own, which reads what people wrote.
    "clock.rs",                    // The one place for all of the gateway.
    "config/tls/credentials.rs",   // The dates in a certificate.
    "destinations/http/answer.rs", // A `Retry-After` that is a date, in an answer without a date.
];

#[test]
fn nothing_waits_by_a_clock_that_can_be_set() {
    let source = root().join("host/src");
    let mut asked = Vec::new();
    for path in files("host/src", ".rs") {
        let within = path.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        // Tests stand below all else in their file, or in files of their own.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_test = within.ends_with("tests.rs") || within.contains("tests/");
        if !is_test && ["Timestamp::now", "SystemTime::now"].iter().any(|word| code.contains(word)) {
            asked.push(within);
        }
    }
    assert_eq!(asked, WALL_CLOCK, "use `clock::wall_ms` for what is shown, and `clock::Clock` for what is waited for");
}

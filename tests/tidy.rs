//! The house is in order: what the compiler does not check, and what a reader relies on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use alert_gateway::config::Config;
use alert_gateway::{gateway, sources};
use serde_json::Value;

use crate::harness::root;

mod circles;
mod imports;
mod lets;
mod words;

/// The floors, as `host/src/lib.rs` shows them. An import goes to a lower floor, or stays in its
/// module.
const FLOORS: [(u8, &[&str]); 6] = [
    (5, &["cli"]),
    (4, &["gateway"]),
    (3, &["intake", "delivery", "monitor", "admin"]),
    (2, &["sources", "destinations", "policy"]),
    (1, &["store", "http", "spans"]),
    (
        0,
        &[
            "config",
            "alert",
            "metrics",
            "health",
            "hops",
            "random",
            "recent",
            "clock",
            "log_throttle",
            "log_filter",
            "mask",
            "credential",
        ],
    ),
];

/// Words that fit any program, and so say nothing about this one.
const EMPTY_WORDS: [&str; 10] = [
    "utils", "util", "common", "types", "manager", "service", "handler", "handlers", "helpers",
    "misc",
];

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(floor, _)| *floor)
}

/// Every file of the project below a folder whose name ends so, by path.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
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

#[test]
fn imports_go_down_never_up_and_never_sideways() {
    let mut wrong = Vec::new();
    for (module, imports) in circles::Files::of("host/src").iter() {
        let Some(own) = module.first() else { continue };
        let own_floor = floor(own).unwrap_or_else(|| panic!("{own} is on no floor"));
        for import in imports.found.iter().filter(|import| import.path[0] != *own) {
            let other = &import.path[0];
            if floor(other).is_none_or(|floor| floor >= own_floor) {
                let module = module.join("::");
                let line = import.line;
                wrong.push(format!(
                    "{module}, line {line}: `{own}` (floor {own_floor}) imports `{other}`"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_of_the_host_import_in_no_circle() {
    let graph = circles::Files::of("host/src").graph();
    let found = circles::circles(&graph);
    found.iter().for_each(|circle| {
        println!(
            "a circle of {}:\n{}",
            circle.len(),
            circles::shown(&graph, circle)
        )
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_let_binds_one_name() {
    let folders = ["host", "plugin-sdk", "plugins", "tests", "examples"];
    for path in folders.iter().flat_map(|folder| files(folder, ".rs")) {
        let lines = lets::of_tuples(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(lines.is_empty(), "{}: lines {lines:?}", path.display());
    }
}

#[test]
fn series_begin_for_each_word_that_is_counted() {
    for (list, name, file, function, beside) in [
        (
            "host/src/intake/ending.rs",
            "OUTCOMES",
            "host/src/intake/ending.rs",
            "outcome",
            // Of no source.
            Some("unknown_source"),
        ),
        (
            "host/sandbox/src/error.rs",
            "KINDS",
            "host/sandbox/src/error.rs",
            "kind",
            None,
        ),
        (
            "host/src/metrics/series.rs",
            "HANDSHAKES",
            "host/src/http/tls/connection.rs",
            "reason",
            None,
        ),
    ] {
        let mut counted = words::within(&read(file), function).unwrap();
        if let Some(beside) = beside {
            assert!(counted.remove(beside));
        }
        let begun = words::within(&read(list), name).unwrap();
        assert!(!counted.is_empty());
        assert_eq!(begun, counted, "{list}");
    }
}

#[test]
fn the_map_of_the_house_shows_every_module_on_its_floor() {
    let map = read("host/src/lib.rs");
    let mut shown = BTreeMap::new();
    for row in map.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split('|').map(str::trim);
        if let (Some(Ok(floor)), Some(modules)) = (cells.next().map(str::parse::<u8>), cells.next())
        {
            let names = modules
                .split(',')
                .map(|name| name.trim().trim_matches(['[', ']', '`']).to_owned());
            shown.insert(floor, names.collect::<Vec<_>>());
        }
    }
    let floors =
        FLOORS.map(|(floor, modules)| (floor, modules.iter().map(ToString::to_string).collect()));
    assert_eq!(shown, BTreeMap::from(floors));
    let modules: Vec<_> = map
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(
        modules.len(),
        FLOORS
            .iter()
            .map(|(_, modules)| modules.len())
            .sum::<usize>()
    );
    assert!(
        modules.iter().all(|module| floor(module).is_some()),
        "{modules:?}"
    );
}

#[test]
fn no_file_has_a_name_that_fits_any_program() {
    for path in files("", ".rs") {
        let within = path.strip_prefix(root()).unwrap().with_extension("");
        let empty = within
            .iter()
            .find(|part| EMPTY_WORDS.iter().any(|word| *part == *word));
        assert!(empty.is_none(), "{}", path.display());
    }
}

#[tokio::test]
async fn every_example_is_a_configuration_that_runs() {
    let examples = files("examples", ".toml");
    let examples: Vec<_> = examples
        .iter()
        .filter(|path| !path.ends_with("Cargo.toml"))
        .collect();
    assert!(examples.len() >= 2, "{examples:?}");
    for path in examples {
        let text = fs::read_to_string(path).unwrap();
        let config = Config::parse(&text, path, &|_| Some("x".to_owned()))
            .unwrap_or_else(|problems| panic!("{problems}"));
        let sandbox = gateway::sandbox(&config, None).unwrap();
        sources::load(&config, &sandbox)
            .await
            .unwrap_or_else(|problems| panic!("{problems}"));
    }
}

/// The commands of README's first two blocks of shell: run it, and test it.
fn first_commands(readme: &str) -> Vec<String> {
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or_default());
    let commands = blocks
        .flat_map(str::lines)
        .map(|line| line.split(" #").next().unwrap_or_default().trim());
    commands
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .take(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_readme_begins_with_the_commands_that_are_checked() {
    let [run, test] = <[String; 2]>::try_from(first_commands(&read("README.md"))).unwrap();
    assert!(
        run.starts_with("cargo run --release") && run.ends_with("demo"),
        "the first command runs the main job: {run}"
    );
    assert_eq!(test, "cargo test --workspace");
    assert!(
        read(".ci/run").lines().any(|line| line.trim() == test),
        ".ci/run does not say: {test}"
    );
}

#[test]
fn cargo_run_starts_the_gateway() {
    // Of several programs in a workspace cargo starts the only default one, and without one none.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let defaults: Vec<_> = packages
        .iter()
        .filter_map(|package| package["default_run"].as_str())
        .collect();
    assert_eq!(defaults, ["alert-gateway"]);
}

#[test]
fn no_test_of_the_whole_system_waits_for_time_to_pass() {
    // The one place that looks again and again is the harness's.
    for path in files("tests", ".rs")
        .iter()
        .filter(|path| !path.ends_with("harness/wait.rs"))
    {
        let calls = imports::last_words(&fs::read_to_string(path).unwrap()).unwrap();
        let wait = calls
            .iter()
            .find(|(word, _)| ["sleep", "sleep_until"].contains(&&**word));
        assert_eq!(wait.map(|(_, line)| line), None, "{}", path.display());
    }
}

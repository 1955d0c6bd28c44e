//! A machine without some program runs the other tests, and names the skipped ones.

use std::process::{Command, Output};

/// A module of tests, each named after the program that it needs.
const MODULE: &str = "alertmanager::";

const MISSING: &str = " needs prometheus-alertmanager, which is not installed; install it: ";

/// Runs the tests of [`MODULE`] where no program is installed.
fn without_programs(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(MODULE)
        .args(arguments)
        .env("PATH", "")
        .env_remove("CI")
        .env_remove("REQUIRE_PROGRAMS");
    command
        .env_remove("RUST_TEST_THREADS")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn tests() -> Vec<String> {
    let listed = stdout(&without_programs(&["--list"], &[]));
    let tests: Vec<_> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect();
    assert!(tests.len() >= 5, "{listed}");
    tests
}

#[test]
fn each_skipped_test_is_named_after_the_results() {
    let output = without_programs(&[], &[]);
    let said = stdout(&output);
    assert!(output.status.success(), "{said}");
    let (_, end) = said.split_once("test result: ok").unwrap();
    let tests = tests();
    let head = format!(
        "{} tests were SKIPPED, as a program is missing (REQUIRE_PROGRAMS=1",
        tests.len()
    );
    assert!(end.contains(&head), "{said}");
    for test in tests {
        let line = end
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{test}{MISSING}")));
        assert!(
            line.is_some_and(|line| line.ends_with("apt-get install prometheus-alertmanager")),
            "{test}: {said}"
        );
    }
}

#[test]
fn one_test_thread_skips_and_names_the_same_tests() {
    let said = stdout(&without_programs(&[], &[("RUST_TEST_THREADS", "1")]));
    assert!(
        tests()
            .iter()
            .all(|test| said.contains(&format!("{test}{MISSING}"))),
        "{said}"
    );
}

#[test]
fn a_missing_program_fails_its_tests_where_it_is_required() {
    for required in [("CI", "true"), ("REQUIRE_PROGRAMS", "1")] {
        let output = without_programs(&[], &[required]);
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(101), "{required:?}: {said}");
        assert!(
            tests()
                .iter()
                .all(|test| said.contains(&format!("{test}{MISSING}"))),
            "{required:?}: {said}"
        );
        assert!(
            said.contains("0 passed") && !said.contains("SKIPPED"),
            "{required:?}: {said}"
        );
    }
}

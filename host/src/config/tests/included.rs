//! Further files of a configuration: their order, what stands in two of them, and where a mistake is
//! told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::environment;
use crate::config::{Config, Problems};

const MAIN: &str = "[gateway]\npublic_url = \"https://a.example\"\n[destinations.d]\nkind = \"itoc360\"\ntoken = { env = \"TOKEN\" }\n";

/// A source of this name.
fn source(name: &str) -> String {
    format!("[sources.{name}]\nplugin = \"x\"\ndestination = \"d\"\ntoken = {{ env = \"T\" }}\n")
}

/// A folder with these files, and the path of its gateway.toml.
fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let main = dir.path().join("gateway.toml");
    (dir, main)
}

fn read(files: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let (dir, main) = folder(files);
    let read = Config::draft(&main, &environment).and_then(|draft| draft.whole());
    read.map_err(|Problems(problems)| {
        let folder = format!("{}/", dir.path().display());
        let lines = problems.iter().map(ToString::to_string);
        lines.map(|line| line.replace(&folder, "")).collect()
    })
}

fn names(config: &Config) -> Vec<&str> {
    config.sources.iter().map(|one| one.name.as_str()).collect()
}

#[test]
fn folder_beside_the_file_is_read_in_the_order_of_names() {
    let config = read(&[
        ("gateway.toml", &format!("{MAIN}{}", source("main"))),
        (
            "conf.d/20-b.toml",
            &format!("{}{}", source("z"), source("b")),
        ),
        ("conf.d/10-a.toml", &source("y")),
        ("conf.d/.hidden.toml", "this is no TOML"),
        ("conf.d/20-b.toml~", "this is no TOML"),
        ("conf.d/README", "this is no TOML"),
    ])
    .unwrap();
    assert_eq!(names(&config), ["main", "y", "z", "b"]);
    let files: Vec<_> = config
        .text
        .files()
        .map(|file| file.file_name().unwrap())
        .collect();
    assert_eq!(files, ["gateway.toml", "10-a.toml", "20-b.toml"]);
}

#[test]
fn named_files_are_read_in_the_order_of_the_list() {
    let main = format!("include = [\"z.toml\", \"more/*.toml\", \"*.toml\"]\n{MAIN}");
    let config = read(&[
        ("gateway.toml", &main),
        ("z.toml", &source("z")),
        ("a.toml", &source("a")),
        ("more/m.toml", &source("m")),
        ("conf.d/unasked.toml", &source("unasked")),
    ])
    .unwrap();
    assert_eq!(
        names(&config),
        ["z", "m", "a"],
        "each once, and never the file itself"
    );
    let none = format!("include = []\n{MAIN}{}", source("main"));
    let config = read(&[("gateway.toml", &none), ("conf.d/a.toml", &source("a"))]).unwrap();
    assert_eq!(names(&config), ["main"]);
}

#[test]
fn sections_and_lists_are_joined() {
    let mute = "[[mutes]]\nwhen = { source = \"a\" }\nuntil = 2030-01-01T00:00:00Z\nwhy = \"w\"\n";
    let config = read(&[
        ("gateway.toml", &format!("{MAIN}{mute}")),
        (
            "conf.d/a.toml",
            &format!("[gateway]\nmemory = \"64MiB\"\n{}{mute}", source("a")),
        ),
    ])
    .unwrap();
    assert_eq!(config.gateway.memory, 64 * 1024 * 1024);
    assert_eq!(config.mutes.len(), 2);
    let user = |name: &str| {
        format!(
            "[[admin.users]]\nname = \"{name}\"\nrole = \"viewer\"\ntoken = {{ env = \"T\" }}\n"
        )
    };
    let config = read(&[
        ("gateway.toml", &format!("{MAIN}{}", user("kim"))),
        ("conf.d/a.toml", &format!("{}{}", user("sam"), source("a"))),
    ])
    .unwrap();
    let users = config.gateway.admin.unwrap().users.list;
    assert_eq!(
        (users[0].name.as_str(), users[1].name.as_str()),
        ("kim", "sam")
    );
}

#[test]
fn thing_in_two_files_is_told_with_both_places() {
    let twice = read(&[
        ("gateway.toml", &format!("{MAIN}{}", source("a"))),
        ("conf.d/1.toml", &format!("# a comment\n{}", source("a"))),
        (
            "conf.d/2.toml",
            "[gateway]\npublic_url = \"https://b.example\"\n[destinations.d]\nkind = \"slack\"\n",
        ),
        ("conf.d/3.toml", "mutes = 1\ninclude = [\"x.toml\"]\n"),
        ("conf.d/4.toml", "mutes = 2\n"),
    ])
    .unwrap_err();
    assert_eq!(
        twice,
        [
            "conf.d/1.toml:2:10: a in [sources] is written twice, first at gateway.toml:6:10; keep one of the two",
            "conf.d/2.toml:2:1: public_url in [gateway] is written twice, first at gateway.toml:2:1; keep one of the two",
            "conf.d/2.toml:3:15: d in [destinations] is written twice, first at gateway.toml:3:15; keep one of the two",
            "conf.d/3.toml:1:9: mutes in the file is an integer; write each mute as a table of its own, below [[mutes]]",
            "conf.d/3.toml:2:1: an included file includes others; name them in the main file",
            "conf.d/4.toml:1:1: mutes is written twice, first at conf.d/3.toml:1:1; keep one of the two",
        ]
    );
}

#[test]
fn mistake_is_told_at_the_line_of_its_own_file() {
    let wrong = read(&[
        ("gateway.toml", &MAIN.replace("itoc360", "itoc")),
        (
            "conf.d/1.toml",
            &format!("\n\n{}fallbak = 1\n", source("a")),
        ),
        ("conf.d/2.toml", "[sources.b\n"),
        (
            "conf.d/3.toml",
            &format!("{}limits.body = {{ env = \"NO_BODY\" }}\n", source("c")),
        ),
    ])
    .unwrap_err();
    let places: Vec<_> = wrong
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "gateway.toml:4:8",
            "conf.d/1.toml:7:1",
            "conf.d/2.toml:1:11",
            "conf.d/3.toml:5:15"
        ],
        "{wrong:#?}"
    );
}

#[test]
fn one_cause_in_many_files_is_one_line_with_their_places() {
    let (dir, main) = folder(&[
        ("gateway.toml", MAIN),
        ("conf.d/1.toml", &format!("{}labels = 1\n", source("a"))),
        ("conf.d/2.toml", &format!("{}labels = 1\n", source("b"))),
    ]);
    let problems = Config::draft(&main, &environment)
        .unwrap()
        .whole()
        .unwrap_err();
    let said = problems
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(
        said,
        "conf.d/1.toml:5:10: labels in [sources.a] is an integer (and so in 1 other place: conf.d/2.toml:5); write a table \
         such as { team = \"voice\" }"
    );
}

#[test]
fn paths_of_an_included_file_start_at_the_main_one() {
    let (dir, main) = folder(&[
        ("gateway.toml", MAIN),
        (
            "conf.d/a.toml",
            &source("a").replace("{ env = \"T\" }", "{ file = \"token\" }"),
        ),
        ("token", "0123456789abcdef0123"),
    ]);
    let config = Config::draft(&main, &environment).unwrap().whole().unwrap();
    assert_eq!(config.sources[0].tokens[0].expose(), "0123456789abcdef0123");
    assert!(config.files.contains_key(&dir.path().join("token")));
}

#[test]
fn modes_of_every_file_are_looked_at() {
    let (dir, main) = folder(&[
        (
            "gateway.toml",
            &MAIN.replace("{ env = \"TOKEN\" }", "\"0123456789abcdef0123\""),
        ),
        (
            "conf.d/a.toml",
            &source("a").replace("{ env = \"T\" }", "\"0123456789abcdef4567\""),
        ),
    ]);
    let warned = || -> Vec<_> {
        let config = Config::draft(&main, &environment).unwrap().whole().unwrap();
        let warnings = config.warnings.iter().map(ToString::to_string);
        warnings
            .filter(|line| line.contains("plain text"))
            .collect()
    };
    assert_eq!(warned(), [""; 0]);
    let included = dir.path().join("conf.d/a.toml");
    fs::set_permissions(&included, Permissions::from_mode(0o644)).unwrap();
    let warnings = warned();
    assert!(
        warnings.len() == 1 && warnings[0].contains("conf.d/a.toml:4:9"),
        "{warnings:?}"
    );
}

#[test]
fn file_that_cannot_be_included_is_a_problem() {
    let whole = format!("{MAIN}{}", source("a"));
    let beside = |files: &[(&str, &str)]| {
        let mut all = vec![("gateway.toml", whole.as_str())];
        all.extend(files);
        read(&all).unwrap_err().join("\n")
    };
    let (dir, main) = folder(&[("gateway.toml", &whole)]);
    fs::create_dir_all(dir.path().join("conf.d/folder.toml")).unwrap();
    let said = Config::draft(&main, &environment)
        .unwrap()
        .whole()
        .unwrap_err()
        .to_string();
    assert!(said.contains("conf.d/folder.toml: is no file"), "{said}");
    let said = beside(&[("conf.d/large.toml", &"#".repeat(1024 * 1024 + 1))]);
    assert!(
        said.contains("conf.d/large.toml: is larger than 1 MiB"),
        "{said}"
    );
    for (include, found) in [
        ("\"none.toml\"", "none.toml: cannot be read"),
        ("\"none/*.toml\"", "gateway.toml:1:11: the included folder"),
        (
            "\"*/a.toml\"",
            "include in the file is \"*/a.toml\"; write paths",
        ),
        ("[\"\"]", "include in the file is \"\"; write paths"),
        ("1", "include in the file is an integer"),
    ] {
        let said = read(&[("gateway.toml", &format!("include = {include}\n{whole}"))]).unwrap_err();
        assert!(said.join("\n").contains(found), "{include}: {said:?}");
    }
    let many: Vec<_> = (0..1025).map(|n| format!("conf.d/{n}.toml")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    let said = beside(&many);
    assert!(
        said.contains("has 1025 files that are included; 1024 are the most"),
        "{said}"
    );
}

#[test]
fn configuration_is_read_again_without_its_files() {
    let (dir, main) = folder(&[("gateway.toml", MAIN), ("conf.d/a.toml", &source("a"))]);
    let config = Config::draft(&main, &|_| Some("0123456789abcdef".to_owned()));
    let config = config.unwrap().whole().unwrap();
    fs::remove_dir_all(dir.path().join("conf.d")).unwrap();
    // The variables of this process are not set.
    let again = config.again().unwrap_err().to_string();
    assert!(
        again.contains("conf.d/a.toml:4:17: token in [sources.a] names"),
        "{again}"
    );
}

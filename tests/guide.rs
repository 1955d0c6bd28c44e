//! The guide for plugin authors, followed command by command.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::author::{PROGRAM, builder, target_dir};
use crate::harness::{Place, Process, caches, root};

/// The guide's commands: every block of shell, in order.
fn blocks() -> Vec<String> {
    let guide = fs::read_to_string(root().join("plugin-sdk/README.md")).unwrap();
    guide
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn guides_commands_lead_to_a_tested_plugin() {
    let _builder = builder().await;
    let place = Place::of("");
    let programs = Path::new(PROGRAM).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut said = String::new();
    for (number, block) in blocks().into_iter().enumerate() {
        // A shell for each, where the one before has ended.
        let script = if number == 0 {
            block
        } else {
            format!("cd door-bell\n{block}")
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", &script])
            .current_dir(place.path(""))
            .env("PATH", &path);
        shell
            .env("XDG_CACHE_HOME", caches())
            .env("CARGO_TARGET_DIR", target_dir())
            .env_remove("RUSTFLAGS");
        let typed = Process::start(shell).output().await;
        assert_eq!(typed.code, Some(0), "{script}\n{typed:?}");
        said += &typed.stdout;
    }
    for expected in [
        "2 passed, 0 failed",
        "better.json: read it before you keep it",
        "3 passed, 0 failed",
        "every_case_is_answered_as_written ... ok",
        "plugin = { path = ",
        "median",
        "\"status\": \"resolve\"",
    ] {
        assert!(
            said.contains(expected),
            "it never said {expected:?}:\n{said}"
        );
    }
}

//! The same commands, given the folder of a plugin's crate: it is built, and then treated as its
//! wasm file.

use super::*;
use crate::author::{builder, target_dir};

#[tokio::test]
async fn a_crate_is_built_and_tested_and_a_panic_is_shown_by_its_line() {
    let _builder = builder().await;
    let place = Place::of("");
    let target_dir = target_dir();
    let target_dir = target_dir.to_str().unwrap();
    assert_eq!(run(&place, &["new", "door-bell"]).await.code, Some(0));
    let green = run(&place, &["test", "door-bell", "--target-dir", target_dir]).await;
    assert_eq!(green.code, Some(0), "{green:?}");
    assert_said(
        &green.stdout,
        &[
            "door-bell 0.1.0, each case in a fresh instance",
            "ok       sample",
            " 0 failed\n",
        ],
    );

    // A mistake as authors make them, in the first line of a function.
    let code = fs::read_to_string(place.path("door-bell/src/lib.rs")).unwrap();
    let read = "fn read(request: &Request, settings: Settings) -> Answer {\n";
    let line = code
        .lines()
        .position(|line| line.ends_with(read.trim_end()))
        .unwrap()
        + 2;
    let broken = format!(
        "{read}assert!(request.method.is_empty(), \"no method but {{:?}}\", request.method);\n"
    );
    place.write("door-bell/src/lib.rs", code.replace(read, &broken));
    let red = run(
        &place,
        &[
            "test",
            "door-bell",
            "--case",
            "sample",
            "--target-dir",
            target_dir,
        ],
    )
    .await;
    assert_eq!(red.code, Some(1), "{red:?}");
    assert_said(
        &red.stdout,
        &[
            "failed   sample",
            "the plugin crashed",
            &format!("src/lib.rs:{line}:1"),
            "no method but \"POST\"",
        ],
    );
}

#[tokio::test]
async fn a_folder_without_a_crate_says_how_to_make_one() {
    let place = Place::of("");
    fs::create_dir(place.path("empty")).unwrap();
    for command in ["test", "inspect", "bench"] {
        let output = run(&place, &[command, "empty"]).await;
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output:?}");
        assert_said(
            &output.stderr,
            &[
                "empty/Cargo.toml",
                "`alert-gateway plugin new NAME` makes one",
            ],
        );
    }
}

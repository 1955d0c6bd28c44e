//! `plugin inspect` and `plugin list`: what a plugin is.

use super::*;

#[tokio::test]
async fn inspect_shows_what_a_plugin_is_and_how_far_it_reaches() {
    let output = run(&Place::of(""), &["inspect", "twilio-errors"]).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    let bundled = alert_gateway_plugins::find("twilio-errors").unwrap();
    let sha256 = plugin_sdk::signature::sha256(bundled.wasm).hex();
    assert_said(
        &output.stdout,
        &[
            &format!(
                "twilio-errors {}\nReads Twilio's Debugger webhook",
                env!("CARGO_PKG_VERSION")
            ),
            "contract    1\n",
            "the plugin proves who sends; a source needs no token",
            "URL suffix  #rc=3&rp=all\n",
            " KiB\n",
            &sha256,
            "exports     memory, ",
            "auth_token  (secret)\n      text, list of text (1 to 4) or table from names to [text or list of text",
            "  reads the request (input_length, ",
            "  answers (output_set)\n",
            "See a clock, a file, the network",
            "  2. Paste this URL",
            "<public_url>/in/<source>#rc=3&rp=all\n",
            "      plugin      = \"twilio-errors\"\n".trim_start(),
            "auth_token = { env = \"TWILIO_ERRORS_AUTH_TOKEN\" }",
        ],
    );
}

#[tokio::test]
async fn inspect_as_json_is_the_description_with_what_the_file_is() {
    let place = hand_made(plugin::parrot_of_strangers(), &[]);
    let output = run(&place, &["inspect", "hand.wasm", "--json"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let known: Value = serde_json::from_str(&output.stdout).unwrap();
    let wasm = plugin::parrot_of_strangers();
    let expected = json!({
        "contract": 1, "name": "hand-made", "version": "1.0.0", "summary": "For a test.",
        "settings": { "type": "object" }, "secrets": [], "authenticates": false, "url_suffix": "", "setup": "",
        "size": wasm.len(),
        "sha256": plugin_sdk::signature::sha256(&wasm).hex(),
        "imports": [
            "extism:host/env.input_length", "extism:host/env.input_load_u8", "extism:host/env.input_load_u64",
            "extism:host/env.alloc", "extism:host/env.store_u8", "extism:host/env.output_set",
            "extism:host/env.log_error", "extism:host/env.error_set"
        ],
        "exports": ["memory", "describe", "read"],
        "problems": []
    });
    assert_eq!(known, expected);
}

#[tokio::test]
async fn a_file_is_inspected_with_the_lines_that_name_it() {
    let place = hand_made(plugin::parrot_of_strangers(), &[]);
    let output = run(&place, &["inspect", "hand.wasm"]).await;
    let sha256 = plugin_sdk::signature::sha256(&plugin::parrot_of_strangers()).hex();
    assert_said(
        &output.stdout,
        &[
            "a source needs a token",
            "  [sources.hand-made]\n",
            &format!("  plugin      = {{ path = \"hand.wasm\", sha256 = \"{sha256}\" }}\n"),
            "  token       = { env = \"HAND_MADE_TOKEN\" }\n",
        ],
    );
    let page = run(&place, &["inspect", "hand.wasm", "--markdown"])
        .await
        .stdout;
    assert_said(
        &page,
        &[
            "plugin      = { path = \"hand.wasm\" }\n",
            "Add `sha256 = \"…\"`",
            "need a `token`",
        ],
    );
    assert!(!page.contains(&sha256), "{page}");
}

/// The configuration in a plugin's page.
fn snippet(page: &str) -> &str {
    page.split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap()
}

#[tokio::test]
async fn bundled_plugins_docs_are_what_the_plugins_say_of_themselves() {
    for bundled in alert_gateway_plugins::all() {
        let found = run(&Place::of(""), &["inspect", bundled.name, "--markdown"]).await;
        assert_eq!((found.code, &*found.stderr), (Some(0), ""), "{found:?}");
        let path = root().join("plugins").join(bundled.name).join("README.md");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &found.stdout).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == found.stdout,
            "{} is not what the plugin says of itself. `BLESS=1 cargo test --workspace bundled_plugins_docs` writes it \
             anew; it would be:\n{}",
            path.display(),
            found.stdout
        );
    }
}

#[tokio::test]
async fn the_configuration_in_a_bundled_plugins_page_is_right() {
    for bundled in alert_gateway_plugins::all() {
        let page = root().join("plugins").join(bundled.name).join("README.md");
        let page = fs::read_to_string(page).unwrap();
        let place = Place::of(&format!(
            "[gateway]\npublic_url = \"https://alerts.example.com\"\n\n[destinations.itoc360]\nkind = \"itoc360\"\n\
             token = \"unused\"\n\n{}",
            // A variable that is set on every machine.
            snippet(&page).lines().fold(String::new(), |text, line| {
                match line.split_once("env = \"") {
                    Some((before, _)) => text + before + "env = \"PATH\" }\n",
                    None => text + line + "\n",
                }
            })
        ));
        let output = place.run_without_secrets(&["check"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn page_of_the_catalogue_lists_every_plugin() {
    let listed = run(&Place::of(""), &["list", "--markdown"]).await;
    assert_eq!((listed.code, &*listed.stderr), (Some(0), ""), "{listed:?}");
    let path = root().join("docs/catalogue.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("| `plugin = ").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let expected = format!("{before}{}\n{after}", listed.stdout);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/catalogue.md is not what the plugins say of themselves. `BLESS=1 cargo test --workspace page_of_the_catalogue` \
         writes it anew; its table would be:\n{}",
        listed.stdout
    );
}

#[tokio::test]
async fn the_catalogue_is_listed_for_people_and_for_programs() {
    let place = Place::of("");
    let output = run(&place, &["list"]).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    let listed = run(&place, &["list", "--json"]).await;
    let rows: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let plugins = alert_gateway_plugins::all();
    assert_eq!(
        (rows.len(), output.stdout.lines().count()),
        (plugins.len(), plugins.len())
    );
    for (plugin, (row, line)) in plugins.iter().zip(rows.iter().zip(output.stdout.lines())) {
        assert_eq!(
            (&row["name"], &row["size"]),
            (&plugin.name.into(), &plugin.size().into())
        );
        let token = if row["authenticates"] == true {
            "proves its sender"
        } else {
            "token or setting"
        };
        assert_said(
            line,
            &[
                plugin.name,
                row["version"].as_str().unwrap(),
                row["summary"].as_str().unwrap(),
                token,
            ],
        );
    }
}

//! A plugin's folder: a crate, or anything that its `plugin.toml` makes a plugin of.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;

/// The file that says how a folder becomes a plugin.
pub const MANIFEST: &str = "plugin.toml";

/// The content of a `plugin.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// The command that makes the wasm, for `sh -c` in the folder.
    build: Option<String>,
    /// The wasm, as seen from the folder.
    wasm: Option<PathBuf>,
    /// The script for the plugin `javascript`, as seen from the folder.
    script: Option<PathBuf>,
}

/// How a folder becomes a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Cargo compiles the crate.
    Crate,
    /// A command makes the wasm, or it is there already.
    Command {
        /// The command for `sh -c`.
        build: Option<String>,
        /// The path of the wasm.
        wasm: PathBuf,
    },
    /// The plugin `javascript` runs this script.
    Script(PathBuf),
}

/// Returns whether a folder is meant as a plugin's.
pub fn is_plugin(dir: &Path) -> bool {
    [MANIFEST, "Cargo.toml"]
        .iter()
        .any(|file| dir.join(file).is_file())
}

/// Reads how this folder becomes a plugin: by its `plugin.toml`, otherwise as a crate.
///
/// # Errors
/// The mistake in `plugin.toml`.
pub fn recipe(dir: &Path) -> Result<Recipe, Failure> {
    let path = dir.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Recipe::Crate),
        Err(error) => {
            return Err(Failure::Usage(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    };
    read(dir, &text).map_err(|mistake| Failure::Usage(format!("{}: {mistake}", path.display())))
}

fn read(dir: &Path, text: &str) -> Result<Recipe, String> {
    const HELP: &str = "write wasm = \"<file>.wasm\" and, where a command makes it, build = \"<command>\"; or script = \
                        \"<file>.js\"";
    let Manifest {
        build,
        wasm,
        script,
    } = toml::from_str(text)
        .map_err(|error| format!("{}; {HELP}", error.to_string().trim_end()))?;
    match (build, wasm, script) {
        (build, Some(wasm), None) => Ok(Recipe::Command {
            build,
            wasm: dir.join(wasm),
        }),
        (None, None, Some(script)) => Ok(Recipe::Script(dir.join(script))),
        (Some(_), None, None) => Err(format!(
            "it has a build, and no wasm that the command makes; {HELP}"
        )),
        (_, _, Some(_)) => Err(format!(
            "a script needs no build and no wasm: the gateway runs it; {HELP}"
        )),
        (None, None, None) => Err(format!("it names neither a wasm nor a script; {HELP}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Recipe, String> {
        read(Path::new("bell"), text)
    }

    #[test]
    fn folder_is_what_its_manifest_says() {
        let wasm = PathBuf::from("bell/out/bell.wasm");
        assert_eq!(
            of("build = \"make\"\nwasm = \"out/bell.wasm\""),
            Ok(Recipe::Command {
                build: Some("make".to_owned()),
                wasm: wasm.clone()
            })
        );
        assert_eq!(
            of("wasm = \"out/bell.wasm\""),
            Ok(Recipe::Command { build: None, wasm })
        );
        assert_eq!(
            of("script = \"bell.js\""),
            Ok(Recipe::Script("bell/bell.js".into()))
        );
    }

    #[test]
    fn mistake_in_a_manifest_is_told_with_the_right_form() {
        for (text, part) in [
            ("", "neither a wasm nor a script"),
            ("build = \"make\"", "no wasm that the command makes"),
            ("wasm = \"a\"\nscript = \"b\"", "a script needs no build"),
            ("wsam = \"a\"", "unknown field `wsam`"),
            ("wasm = 1", "invalid type: integer"),
            ("wasm", "TOML parse error"),
        ] {
            let told = of(text).unwrap_err();
            assert!(
                told.contains(part) && told.contains("write wasm = "),
                "{text}: {told}"
            );
        }
    }
}

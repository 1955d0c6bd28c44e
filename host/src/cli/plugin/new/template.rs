//! The files of a new plugin.
//!
//! They stand in folders beside this file as a plugin would have them, under the name of
//! `my-plugin`. Tests make each of them and have it built. The same door-bell is written in every
//! language, and its cases are the same.

use std::path::{Path, PathBuf};

use alert_gateway_plugins::sdk;

use super::Lang;
use super::name::Name;
use crate::cli::plugin::contract::{self, Format};

/// A file of a template: its path in the new folder, and its text.
type File = (&'static str, &'static str);

/// A file that has the same path in its template.
macro_rules! file {
    ($folder:literal, $path:literal) => {
        ($path, include_str!(concat!($folder, "/", $path)))
    };
}

const SOURCE: File = file!("template", "src/lib.rs");
const SCHEMA: &str = include_str!("template/src/settings.schema.json");
const SETUP: &str = include_str!("template/src/setup.md");
const CONFIG: File = file!("template", "gateway.toml");

/// The cases of the door-bell, in each language but that of scripts.
const CASES: [File; 5] = [
    file!("template", "cases/another-shape.http"),
    file!("template", "cases/another-shape.json"),
    file!("template", "cases/sample.http"),
    file!("template", "cases/sample.json"),
    file!("template", "cases/settings.json"),
];

const RUST: [File; 8] = [
    SOURCE,
    // Under another name here, where it would be obeyed.
    (".gitignore", include_str!("template/gitignore")),
    file!("template", ".cargo/config.toml"),
    file!("template", "Cargo.toml"),
    file!("template", "README.md"),
    ("src/settings.schema.json", SCHEMA),
    ("src/setup.md", SETUP),
    file!("template", "tests/cases.rs"),
];

const SCRIPT: [File; 8] = [
    ("my-plugin.js", include_str!("javascript/plugin.js")),
    file!("javascript", "README.md"),
    file!("javascript", "gateway.d.ts"),
    file!("javascript", "gateway.toml"),
    file!("javascript", "plugin.toml"),
    file!("javascript", "cases/sample.http"),
    file!("javascript", "cases/sample.json"),
    file!("javascript", "cases/settings.json"),
];

const GO: [File; 8] = [
    (".gitignore", include_str!("go/gitignore")),
    ("go.mod", include_str!("go/gomod")),
    file!("go", "README.md"),
    file!("go", "host.go"),
    file!("go", "main.go"),
    file!("go", "plugin.toml"),
    ("settings.schema.json", SCHEMA),
    ("setup.md", SETUP),
];

const C: [File; 6] = [
    (".gitignore", include_str!("c/gitignore")),
    file!("c", "README.md"),
    file!("c", "json.h"),
    file!("c", "plugin.c"),
    file!("c", "plugin.toml"),
    file!("c", "sha256.h"),
];

const ZIG: [File; 5] = [
    (".gitignore", include_str!("zig/gitignore")),
    file!("zig", "README.md"),
    file!("zig", "description.json"),
    file!("zig", "plugin.toml"),
    file!("zig", "plugin.zig"),
];

/// A file of the example in AssemblyScript that serves every plugin.
macro_rules! example {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!(
                "../../../../../examples/assemblyscript-plugin/",
                $path
            )),
        )
    };
}

const ASSEMBLYSCRIPT: [File; 13] = [
    (".gitignore", include_str!("assemblyscript/gitignore")),
    example!(".npmrc"),
    file!("assemblyscript", "README.md"),
    file!("assemblyscript", "asconfig.json"),
    file!("assemblyscript", "assembly/description.ts"),
    file!("assemblyscript", "assembly/index.ts"),
    file!("assemblyscript", "assembly/plugin.ts"),
    file!("assemblyscript", "assembly/sha256.ts"),
    example!("assembly/host.ts"),
    example!("assembly/json.ts"),
    file!("assemblyscript", "package.json"),
    file!("assemblyscript", "package-lock.json"),
    file!("assemblyscript", "plugin.toml"),
];

/// Writes all files of a new plugin into a folder.
///
/// # Errors
/// What could not be written, and why.
pub fn write(folder: &Path, name: &Name, lang: Lang) -> Result<(), (PathBuf, std::io::Error)> {
    let others = SOURCE.1.replace("MyPlugin", "");
    let named = |text: &str| {
        text.replace("my-plugin", name.package())
            .replace("my_plugin", &name.ident())
            .replace("MyPlugin", &name.type_name(&others))
    };
    let own: &[File] = match lang {
        Lang::Rust => &RUST,
        Lang::Js => &SCRIPT,
        Lang::Go => &GO,
        Lang::C => &C,
        Lang::Zig => &ZIG,
        Lang::Assemblyscript => &ASSEMBLYSCRIPT,
    };
    let common: &[File] = if lang == Lang::Js { &[] } else { &CASES };
    let files = own
        .iter()
        .chain(common)
        .map(|(path, text)| (folder.join(named(path)), named(text)));
    let mut files: Vec<_> = files.collect();
    let mut add = |path: &str, text: String| files.push((folder.join(path), text));
    match lang {
        Lang::Rust => {
            for file in sdk::files() {
                add(&format!("sdk/{}", file.path), file.text.to_owned());
            }
            // The versions that were tested, of more than a plugin needs: cargo drops the rest.
            add("Cargo.lock", sdk::LOCK.to_owned());
        }
        Lang::Go => add("contract.go", contract::text(Format::Go)),
        Lang::C => add("contract.h", contract::text(Format::C)),
        Lang::Js | Lang::Zig | Lang::Assemblyscript => {}
    }
    match lang {
        Lang::Js => {}
        Lang::Assemblyscript => {
            let config = CONFIG
                .1
                .replace("\"my-plugin.wasm\"", "\"build/my-plugin.wasm\"");
            add(CONFIG.0, named(&config));
        }
        _ => add(CONFIG.0, named(CONFIG.1)),
    }
    for (path, text) in files {
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| (path, error))?;
    }
    Ok(())
}

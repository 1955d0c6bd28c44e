//! The files of a new plugin.
//!
//! They stand in `template/` as a plugin would have them, under the name of `my-plugin`; a test
//! makes one and has it compiled.

use std::path::{Path, PathBuf};

use alert_gateway_plugins::sdk;

use super::Lang;
use super::name::Name;

/// A file of the template.
macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("template/", $path)))
    };
}

const SOURCE: (&str, &str) = file!("src/lib.rs");

const FILES: [(&str, &str); 14] = [
    SOURCE,
    // Under another name here, where it would be obeyed.
    (".gitignore", include_str!("template/gitignore")),
    file!(".cargo/config.toml"),
    file!("Cargo.toml"),
    file!("README.md"),
    file!("cases/another-shape.http"),
    file!("cases/another-shape.json"),
    file!("cases/sample.http"),
    file!("cases/sample.json"),
    file!("cases/settings.json"),
    file!("gateway.toml"),
    file!("src/settings.schema.json"),
    file!("src/setup.md"),
    file!("tests/cases.rs"),
];

/// A file of the template of a script.
macro_rules! script {
    ($name:literal, $path:literal) => {
        ($name, include_str!(concat!("javascript/", $path)))
    };
}

const SCRIPT: [(&str, &str); 7] = [
    script!("my-plugin.js", "plugin.js"),
    script!("README.md", "README.md"),
    script!("gateway.d.ts", "gateway.d.ts"),
    script!("gateway.toml", "gateway.toml"),
    script!("cases/sample.http", "cases/sample.http"),
    script!("cases/sample.json", "cases/sample.json"),
    script!("cases/settings.json", "cases/settings.json"),
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
    if lang == Lang::Js {
        let files = SCRIPT.iter().map(|(path, text)| {
            let path = path.replace("my-plugin", name.package());
            (folder.join(path), named(text))
        });
        return write_all(folder, files);
    }
    let own = FILES
        .iter()
        .map(|(path, text)| (folder.join(path), named(text)));
    let sdk = sdk::files()
        .iter()
        .map(|file| (folder.join("sdk").join(file.path), file.text.to_owned()));
    // The versions that were tested, of more than a plugin needs: cargo drops the rest.
    let lock = [(folder.join("Cargo.lock"), sdk::LOCK.to_owned())];
    write_all(folder, own.chain(sdk).chain(lock))
}

fn write_all(
    folder: &Path,
    files: impl Iterator<Item = (PathBuf, String)>,
) -> Result<(), (PathBuf, std::io::Error)> {
    for (path, text) in files {
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| (path, error))?;
    }
    Ok(())
}

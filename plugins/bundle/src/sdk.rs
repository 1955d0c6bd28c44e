//! The SDK's own source. It is on no registry, so `plugin new` writes it into the new plugin. The
//! plugin then compiles anywhere, and fits this version of the gateway.

/// A file of the SDK.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// The path in the SDK's folder, with `/` between the parts.
    pub path: &'static str,
    /// The content.
    pub text: &'static str,
}

/// The tested versions of all dependencies: a `Cargo.lock`. Cargo drops those that a plugin does
/// not need.
pub static LOCK: &str = include_str!("../../../Cargo.lock");

/// Every file of the SDK, ordered by path.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Returns every file of the SDK, ordered by path. Its manifest needs no workspace.
pub fn files() -> &'static [File] {
    FILES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> Option<&'static str> {
        files()
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text)
    }

    #[test]
    fn sdk_is_embedded_whole_and_needs_no_workspace() {
        let manifest: toml::Table = text("Cargo.toml").unwrap().parse().unwrap();
        assert_eq!(
            manifest["package"]["version"].as_str(),
            Some(env!("CARGO_PKG_VERSION"))
        );
        assert!(manifest["dependencies"]["serde"]["version"].is_str());
        assert!(!text("Cargo.toml").unwrap().contains("workspace"));
        assert!(text("src/lib.rs").is_some_and(|source| source.contains("pub trait Plugin")));
        assert!(text("LICENSE").is_some());
        assert!(
            files().iter().all(|file| !file.path.starts_with("tests/")),
            "the SDK's tests stay where they are"
        );
    }
}

//! The SDK's own source. It is on no registry, so the gateway writes it into a new plugin: the plugin then compiles
//! wherever it stands, and fits the gateway that wrote it.

/// A file of the SDK.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Where it stands in the SDK's folder, with `/` between the parts.
    pub path: &'static str,
    /// All of it.
    pub text: &'static str,
}

/// Versions of all that plugins are made of, as they were tested: a `Cargo.lock`. Cargo drops what a plugin does not
/// need.
pub const LOCK: &str = include_str!("../../../Cargo.lock");

/// Every file of the SDK, by path. Its manifest stands alone.
pub fn files() -> &'static [File] {
    include!(concat!(env!("OUT_DIR"), "/sdk.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> Option<&'static str> {
        files().iter().find(|file| file.path == path).map(|file| file.text)
    }

    #[test]
    fn the_sdk_is_carried_whole_and_needs_no_workspace() {
        let manifest: toml::Table = text("Cargo.toml").unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert!(manifest["dependencies"]["serde"]["version"].is_str());
        assert!(!text("Cargo.toml").unwrap().contains("workspace"));
        assert!(text("src/lib.rs").is_some_and(|source| source.contains("pub trait Plugin")));
        assert!(text("LICENSE").is_some());
        assert!(files().iter().all(|file| !file.path.starts_with("tests/")), "the SDK's tests stay where they are");
    }
}

//! Manifests of OCI artifacts: the part that names a plugin's file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::config::ContentHash;

/// The media types of a layer that is WebAssembly: that of the CNCF's artifacts, and older ones.
const WASM: [&str; 3] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// The manifest of an artifact, or an index of several.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The kind of the artifact, where it names one.
    #[serde(rename = "artifactType", default)]
    pub artifact_type: String,
    /// Its parts; none in an index.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifests that an index names.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// A part of an artifact.
#[derive(Debug, Clone, Deserialize)]
pub struct Descriptor {
    /// The kind of its content.
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    /// The kind of the artifact that it stands for in an index.
    #[serde(rename = "artifactType", default)]
    pub artifact_type: String,
    /// The hash of its content.
    #[serde(deserialize_with = "digest")]
    pub digest: ContentHash,
    /// The bytes of its content.
    #[serde(default)]
    pub size: u64,
    /// Words about it.
    #[serde(default, deserialize_with = "or_none")]
    pub annotations: BTreeMap<String, String>,
}

/// The reason why a manifest names no plugin, to follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWasm {
    /// The bytes are no manifest.
    #[error("is none: {0}")]
    Unreadable(String),
    /// An index of several artifacts.
    #[error("is an index of several artifacts: name one of them by its digest")]
    Index,
    /// No layer is WebAssembly, or several are.
    #[error("has {0} layers that can be the plugin, and not one")]
    Layers(usize),
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoWasm> {
        serde_json::from_slice(bytes).map_err(|error| NoWasm::Unreadable(error.to_string()))
    }

    /// Returns the layer that is the plugin: the one of WebAssembly, or the only one.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn wasm(&self) -> Result<Descriptor, NoWasm> {
        if self.layers.is_empty() && !self.manifests.is_empty() {
            return Err(NoWasm::Index);
        }
        let is_wasm = |layer: &&Descriptor| WASM.contains(&layer.media_type.as_str());
        let of_wasm: Vec<_> = self.layers.iter().filter(is_wasm).collect();
        match (&of_wasm[..], &self.layers[..]) {
            ([layer], _) => Ok((*layer).clone()),
            ([], [layer]) => Ok(layer.clone()),
            ([], layers) => Err(NoWasm::Layers(layers.len())),
            (several, _) => Err(NoWasm::Layers(several.len())),
        }
    }
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ContentHash, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hash = text.strip_prefix("sha256:").and_then(ContentHash::parse);
    hash.ok_or_else(|| de::Error::custom("a digest that is not sha256: and 64 hex digits"))
}

/// Reads `null` as nothing.
fn or_none<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wasm(manifest: &Value) -> Result<ContentHash, NoWasm> {
        let manifest = Manifest::parse(manifest.to_string().as_bytes())?;
        manifest.wasm().map(|layer| layer.digest)
    }

    fn layer(kind: &str, content: &str) -> Value {
        let digest = ContentHash::of(content.as_bytes());
        json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": 1, "annotations": null })
    }

    #[test]
    fn layer_of_wasm_is_the_plugin_whatever_else_is_there() {
        let hash = |content: &str| ContentHash::of(content.as_bytes());
        let wit = layer("text/plain", "wit");
        for kind in WASM {
            let found = wasm(&json!({ "layers": [wit, layer(kind, "a")] }));
            assert_eq!(found, Ok(hash("a")), "{kind}");
        }
        let only = json!({ "layers": [layer("application/octet-stream", "b")] });
        assert_eq!(wasm(&only), Ok(hash("b")));
    }

    #[test]
    fn manifest_without_one_plugin_is_refused() {
        let one = layer("application/wasm", "a");
        for (manifest, expected) in [
            (json!({ "layers": [one, one] }), NoWasm::Layers(2)),
            (
                json!({ "layers": [layer("x", "a"), layer("y", "b")] }),
                NoWasm::Layers(2),
            ),
            (json!({ "layers": [] }), NoWasm::Layers(0)),
            (json!({}), NoWasm::Layers(0)),
            (json!({ "manifests": [one] }), NoWasm::Index),
        ] {
            assert_eq!(wasm(&manifest), Err(expected), "{manifest}");
        }
        let wrong = json!({ "layers": [{ "digest": "sha512:00" }] });
        assert!(matches!(wasm(&wrong), Err(NoWasm::Unreadable(_))));
    }
}

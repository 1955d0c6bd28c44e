//! Links QuickJS into the plugin, where it is compiled to wasm.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=engine/engine.o");
    let family = env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if family.split(',').any(|family| family == "wasm") {
        let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        let engine = Path::new(&here).join("engine/engine.o");
        println!("cargo::rustc-link-arg={}", engine.display());
        // A script calls itself, and nests its JSON: src/engine.rs tells it how deep it may.
        println!("cargo::rustc-link-arg=-zstack-size=262144");
    }
}

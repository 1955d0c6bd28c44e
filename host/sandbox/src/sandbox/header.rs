//! The first bytes of what is given as a plugin, and the memory that it starts with. A compiler's
//! words for a wrong file are about bytes; these are about what the file most likely is.

use wasmparser::{Parser, Payload};

/// The size of a page of memory, in bytes.
const PAGE: u64 = 64 * 1024;

/// Every core module begins so: the magic number, and version 1 of the binary format.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Names the kind of these bytes where they are no core module; `None` where they begin as one.
pub(super) fn mistaken(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    match bytes {
        _ if bytes.starts_with(MODULE) => None,
        [] => Some("it is empty"),
        _ if bytes.starts_with(b"\0asm") && bytes.get(6..8) == Some(&[1, 0]) => {
            Some("it is a WebAssembly component, such as wasm32-wasip2 makes")
        }
        _ if text.starts_with(b"(") || text.starts_with(b";;") => {
            Some("it is WebAssembly's text format")
        }
        _ if MODULE.starts_with(bytes) => Some("it ends within its first bytes"),
        _ => Some("it does not begin as WebAssembly does"),
    }
}

/// Returns the bytes of memory that a module starts with; 0 where it has none, or where it is broken
/// before that is said.
pub(super) fn initial_memory(wasm: &[u8]) -> u64 {
    Parser::new(0)
        .parse_all(wasm)
        .map_while(Result::ok)
        .find_map(|section| match section {
            Payload::MemorySection(memories) => Some(
                memories
                    .into_iter()
                    .map_while(Result::ok)
                    .map(|memory| memory.initial.saturating_mul(PAGE))
                    .max()
                    .unwrap_or_default(),
            ),
            Payload::CodeSectionStart { .. } => Some(0),
            _ => None,
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_module_is_called_what_it_is() {
        for (bytes, said) in [
            (&b""[..], Some("empty")),
            (b"\0asm", Some("ends within")),
            (b"\0asm\x0d\0\x01\0", Some("component")),
            (b"\n  (module)", Some("text format")),
            (b"#!/bin/sh", Some("does not begin")),
            (b"\0asm\x02\0\0\0", Some("does not begin")),
            (MODULE, None),
        ] {
            match (mistaken(bytes), said) {
                (Some(found), Some(said)) => assert!(found.contains(said), "{bytes:?}: {found}"),
                (found, said) => assert_eq!(found, said, "{bytes:?}"),
            }
        }
    }

    #[test]
    fn initial_memory_is_read_without_compiling() {
        let of = |fields: &str| {
            initial_memory(&wat::parse_str(format!("(module (func) {fields})")).unwrap())
        };
        assert_eq!(of(""), 0);
        assert_eq!(of("(memory 3 9)"), 3 * PAGE);
        assert_eq!(initial_memory(b"\0asm\x01\0\0\0\x05\xff"), 0);
        assert_eq!(initial_memory(b""), 0);
    }
}

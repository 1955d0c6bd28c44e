//! Compiling in a process of its own.
//!
//! What the compiler held goes back to the system with that process. The threads of this one keep
//! it: some 40 MB for each plugin, from the first start to the last request.

use super::sandbox::SandboxOptions;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Returns the program that compiles the plugin on its standard input for a sandbox with these
/// options, into its cache, by [`Sandbox::compile_into_cache`](super::Sandbox::compile_into_cache).
pub type Compiler = fn(&SandboxOptions) -> io::Result<Command>;

/// Has a plugin compiled, and waits until it is in the cache.
///
/// # Errors
/// The program cannot be started, or did not compile it.
pub(super) fn compile(compiler: Compiler, options: &SandboxOptions, wasm: &[u8]) -> io::Result<()> {
    // It needs nothing of the environment, which has secrets.
    let mut child = compiler(options)?
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Where it ends before it has read all, its status says more than this error.
    let written = child.stdin.take().map(|mut input| input.write_all(wasm));
    let status = child.wait()?;
    match status.success() {
        true => written.transpose().map(drop),
        false => Err(io::Error::other(format!(
            "the compiler ended with {status}"
        ))),
    }
}

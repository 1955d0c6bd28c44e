//! `compile`: a plugin compiled for a gateway that starts, in a process whose memory ends with it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Command;

use alert_gateway_sandbox::{Sandbox, SandboxOptions};
use clap::Args;

use super::Outcome;

/// The arguments of `compile`: the options of the sandbox that waits.
#[derive(Debug, Args)]
pub struct Compile {
    /// The folder of compiled plugins
    #[arg(long)]
    cache_dir: PathBuf,
    /// The instances of the sandbox
    #[arg(long)]
    instances: u32,
    /// The most memory of any plugin, in bytes
    #[arg(long)]
    max_memory: usize,
}

/// Returns the command that compiles for a sandbox with these options: this program's own.
///
/// # Errors
/// This program cannot be found, or there is no cache.
pub fn command(options: &SandboxOptions) -> io::Result<Command> {
    let Some(cache_dir) = &options.cache_dir else {
        return Err(io::Error::other("there is no cache"));
    };
    let mut command = Command::new(std::env::current_exe()?);
    let mut cache: OsString = "--cache-dir=".into();
    cache.push(cache_dir);
    command.arg("compile").arg(cache);
    command.arg(format!("--instances={}", options.instances));
    command.arg(format!("--max-memory={}", options.max_memory));
    Ok(command)
}

/// Compiles the plugin on the standard input.
pub fn compile(what: Compile) -> Outcome {
    let mut wasm = Vec::new();
    io::stdin().lock().read_to_end(&mut wasm)?;
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir: Some(what.cache_dir),
        instances: what.instances,
        max_memory: what.max_memory,
    })?;
    Ok(sandbox.compile_into_cache(&wasm)?)
}

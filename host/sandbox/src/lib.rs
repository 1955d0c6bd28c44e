//! The sandbox: where plugins read requests, and from which nothing they do gets out.
//!
//! # What it promises
//!
//! A plugin is somebody else's code over a stranger's bytes. It may crash, loop, ask for memory
//! without end, flood the log, or answer nonsense. Then this one call fails, with an error that
//! says what happened, and nothing else happens. Every other call, of the same plugin too, goes on
//! as if it had not been. In particular:
//!
//! - **Nothing survives a call.** Each has a fresh instance and a fresh host memory, so no request
//!   can be seen from another, and a plugin that is broken is whole again the next time.
//! - **Everything is limited**: time, memory, tables, stack, the answer, the host's memory (bytes
//!   and blocks), variables, log lines, the number of calls at once and each plugin's share of it.
//! - **No other call waits for a loop.** A long call yields to the scheduler every few
//!   milliseconds, and the long ones take turns on fewer processors than there are.
//! - **There is nothing to reach**: no files, network or environment. The clock and the random bytes
//!   of [`wasi`] are functions of the request. What a plugin imports beside Extism's functions and
//!   WASI's is refused when it is loaded, by name.
//!
//! # How a call goes
//!
//! [`Sandbox::load`] compiles a plugin (or takes it from the cache), links it, lets it start once for
//! all calls ([`preparation`]) and asks it to describe itself. Then, for each [`Plugin::read`]: a place is taken, a [`call`] gets the request
//! into its [`memory`], and wasmtime's pool hands out a clean instance, which is given the [`snapshot`] of the start. The export runs in the
//! caller's task with the [`clock`] and the [`limits`] watching; it asks for its input and returns
//! its output through the functions of [`abi`]. [`answer`] then makes sure that the output keeps
//! the contract. The whole takes some tens of microseconds; [`engine`] breaks the figure down and
//! gives the reasons for the engine's settings.

#[forbid(unsafe_code)]
mod abi;
#[forbid(unsafe_code)]
mod advice;
#[forbid(unsafe_code)]
mod answer;
// The one file of the host with unsafe code: it hands wasmtime compiled code that this host wrote.
mod cache;
#[forbid(unsafe_code)]
mod call;
#[forbid(unsafe_code)]
mod clock;
#[forbid(unsafe_code)]
mod compiler;
#[forbid(unsafe_code)]
mod engine;
#[forbid(unsafe_code)]
mod error;
#[forbid(unsafe_code)]
mod limits;
#[forbid(unsafe_code)]
mod log;
#[forbid(unsafe_code)]
mod memory;
#[forbid(unsafe_code)]
mod phase;
#[forbid(unsafe_code)]
mod preparation;
#[forbid(unsafe_code)]
mod sandbox;
#[forbid(unsafe_code)]
mod snapshot;
#[forbid(unsafe_code)]
mod wasi;

#[cfg(test)]
mod tests;

pub use answer::AnswerError;
pub use compiler::Compiler;
pub use error::{CallError, LoadError, SMALLER_MEMORY, SandboxError};
pub use limits::CallLimits;
pub use sandbox::{
    Beginning, Description, Import, Measured, Plugin, Sandbox, SandboxOptions, Used,
};

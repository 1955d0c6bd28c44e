//! The alert gateway: webhooks in, alerts out, and nothing lost between.
//!
//! # The path of an alert
//!
//! A sender posts to `/in/<source>`. [`intake`] finds the [source](sources), reads the body, and
//! has the source's plugin read the request in a [sandbox](alert_gateway_sandbox). The [store]
//! takes the request and its alerts; the sender is acknowledged after the sync. [`delivery`] takes
//! due alerts from the store, sends each to its [destination](destinations), and settles the
//! outcome. The two directions meet at the store only: neither imports the other. The [`monitor`]
//! reports trouble on the way, as internal alerts that take the same way out.
//!
//! # The layers
//!
//! Imports go down, never up and never sideways; `tests/tidy.rs` checks it. ARCHITECTURE.md has the
//! invariants, and the places for new code.
//!
//! | layer | modules | task |
//! |---|---|---|
//! | 5 | [`cli`] | commands |
//! | 4 | [`gateway`] | assembles, runs, reloads, shuts down |
//! | 3 | [`intake`], [`delivery`], [`monitor`], [`admin`] | one direction of the traffic each; none imports another |
//! | 2 | [`sources`], [`destinations`], [`policy`] | configuration joined with what it configures |
//! | 1 | [`store`], [`http`], [`spans`] | one outside thing each: disk, network in, spans out; for wasm, the crate [`alert_gateway_sandbox`] |
//! | 0 | [`config`], [`alert`], [`metrics`], [`health`], [`hops`], [`random`], [`recent`], [`clock`], [`log_throttle`], [`log_filter`], [`mask`], [`credential`] | words, no deeds |
//!
//! Below them all is [`plugin_sdk::contract`], the language shared with plugins. To read the code,
//! follow a request: start at [`intake`], go on with the essay of [`store`], then [`delivery`].

#[forbid(unsafe_code)]
pub mod admin;
#[forbid(unsafe_code)]
pub mod alert;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod clock;
#[forbid(unsafe_code)]
pub mod config;
#[forbid(unsafe_code)]
pub mod credential;
#[forbid(unsafe_code)]
pub mod delivery;
#[forbid(unsafe_code)]
pub mod destinations;
#[forbid(unsafe_code)]
pub mod gateway;
#[forbid(unsafe_code)]
pub mod health;
#[forbid(unsafe_code)]
pub mod hops;
#[forbid(unsafe_code)]
pub mod http;
#[forbid(unsafe_code)]
pub mod intake;
#[forbid(unsafe_code)]
pub mod log_filter;
#[forbid(unsafe_code)]
pub mod log_throttle;
#[forbid(unsafe_code)]
pub mod mask;
#[forbid(unsafe_code)]
pub mod metrics;
#[forbid(unsafe_code)]
pub mod monitor;
#[forbid(unsafe_code)]
pub mod policy;
#[forbid(unsafe_code)]
pub mod random;
#[forbid(unsafe_code)]
pub mod recent;
#[forbid(unsafe_code)]
pub mod sources;
#[forbid(unsafe_code)]
pub mod spans;
#[forbid(unsafe_code)]
pub mod store;

/// A request's memory is asked for on one thread and given back on another (a sender's, the
/// writer's, a delivery's), which costs the system's allocator some tenth of all processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

//! The alert gateway: webhooks in, alerts out, and nothing lost between.
//!
//! # The path of an alert
//!
//! A sender posts to `/in/<source>`. [`intake`] finds the [source](sources), reads the body, and has the source's
//! [plugin] read the request in a sandbox of its own. What the plugin makes of it goes to the [store], and only when the
//! disk has it is the sender answered. [`delivery`] takes from the store what is due, sends it to its [destination](destinations),
//! and settles the outcome. The two directions know nothing of each other: they meet at the store. What goes wrong on the way
//! is reported by the [`monitor`], as internal alerts that take the same way out.
//!
//! # The floors
//!
//! Imports go down, never up and never sideways; `tests/tidy.rs` holds this.
//!
//! | floor | modules | what they are |
//! |---|---|---|
//! | 5 | [`cli`] | speaks to a person |
//! | 4 | [`gateway`] | knows everyone: assembles, runs, reloads, stops |
//! | 3 | [`intake`], [`delivery`], [`monitor`], [`admin`] | hallways; none knows another |
//! | 2 | [`sources`], [`destinations`] | configuration joined with what it configures |
//! | 1 | [`plugin`], [`store`], [`http`] | one outside thing each: wasm, disk, network in |
//! | 0 | [`config`], [`alert`], [`metrics`], [`health`], [`clock`], [`log_throttle`] | words, no deeds |
//!
//! Below them all is [`plugin_sdk::contract`], the language shared with plugins. To read the code, start at [`intake`] and
//! follow a request; then [`store`], whose essay says what is promised and how; then [`delivery`].

pub mod admin;
pub mod alert;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod destinations;
pub mod gateway;
pub mod health;
pub mod http;
pub mod intake;
pub mod log_throttle;
pub mod metrics;
pub mod monitor;
pub mod plugin;
pub mod sources;
pub mod store;

/// A request's memory is asked for on one thread and given back on another (a sender's, the writer's, a delivery's), which
/// costs the system's allocator some tenth of all processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

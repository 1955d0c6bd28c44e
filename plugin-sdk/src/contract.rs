//! The language that the gateway and a plugin share: version 1 of the contract.
//!
//! A plugin is an Extism plugin with two exports. `describe` takes nothing and answers a
//! [`Description`]; `read` takes a [`Request`] and returns an [`Answer`]. A third, `check`, is
//! optional: it takes a source's settings and returns a [`Checked`]. All travel as JSON, so a
//! plugin can be written in any language that has an Extism PDK. Everything here is plain data;
//! [`crate::export!`] is what turns a Rust type into those exports.
//!
//! A plugin is a function: it has no clock, no files, no network and no randomness, and nothing
//! survives a call, because the host starts a fresh instance for every request.
//!
//! Fields added after the first release are optional on both sides: a host ignores one that it does
//! not know, and a plugin without one gets the behaviour of before.

mod answer;
mod description;
mod fetch;
mod proof;
mod request;

pub use answer::{
    Alert, Alerts, Answer, Note, NoteKind, Priority, ProofIdentity, Rejection, RejectionKind,
    Status, Unreadable,
};
pub use description::{Checked, Description, Limits, Mistake, Schema};
pub use fetch::{Fetch, Purpose};
pub use proof::{Algorithm, Demand, Encoding, Scheme, Signed, TimeIn, Way};
pub(crate) use request::base64;
pub use request::{Body, Content, Proved, Request};

/// The version of the contract that this crate speaks. The host refuses a plugin that names
/// another.
pub const CONTRACT_VERSION: u32 = 1;

/// An answer has no more alerts than this.
pub const MAX_ALERTS: usize = 1_000;

/// An [`Alert::event_id`] has one byte to as many.
pub const MAX_EVENT_ID_BYTES: usize = 256;

/// An [`Alert::key`] has one byte to as many.
pub const MAX_KEY_BYTES: usize = 1024;

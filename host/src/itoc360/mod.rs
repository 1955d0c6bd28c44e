//! ITOC360: what an alert looks like on its wire, how it is sent there, and what each answer means.
//!
//! An alert goes out in three steps, each of them a file: [`format`](mod@format) turns it into a body, [`client`] posts
//! that body, and the answer is judged into one of the four words of [`outcome`]. Nothing in here waits, repeats or
//! remembers: that is the sender's trade, and [`backoff`] its arithmetic. A repeat is harmless by construction, because the body carries the alert's
//! fingerprint, and ITOC360 updates the open alert of a fingerprint it knows instead of opening another.
//!
//! [`stand_in`] is the other side: a small ITOC360 on loopback for the `demo` command, whole-system tests and load
//! runs.

pub mod backoff;
pub mod client;
pub mod format;
mod judge;
mod mask;
pub mod outcome;
mod receipt;
pub mod stand_in;

pub use client::{Itoc360, NotUsable, Sent};
pub use format::Format;
pub use outcome::{Outcome, Receipt};

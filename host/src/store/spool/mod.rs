//! The spool: requests that are kept on a gateway's own disk while the database is away.
//!
//! A failover of the database takes longer than senders wait. With `spool = true` a request that
//! the database does not take, or does not answer for within two seconds, is synced to a
//! [file](mod@file) in the data directory and acknowledged. Once the database takes requests again
//! it is handed over. Nothing is delivered from here, so what makes "opens once" true stays in one place: the
//! database, which finds a repeat as always, whichever gateway kept it meanwhile.
//!
//! What it promises:
//!
//! 1. A request is answered once it is synced, in the database or here.
//! 2. It leaves the spool only after the database has it. Where the gateway dies between the two,
//!    or a commit whose answer did not come has kept it after all, the database knows its id.
//! 3. The requests of one gateway go into the database in the order of their arrival: as long as
//!    the spool holds something, all go [through it](gate).
//! 4. It is bounded. Beyond the bounds, and where it is of no use itself, senders are refused as
//!    without it.
//!
//! The price is the reason why it is off by default: what it holds is on one machine, and is lost
//! with that, or late until it is back.

mod amount;
mod error;
mod file;
mod gate;
mod handing;
mod handle;
mod keeping;
mod opening;
mod request;
mod shown;
mod thread;

pub use amount::Amount;
pub use error::SpoolError;
#[cfg(test)]
pub use handle::REQUESTS;
pub use handle::Spool;
pub use opening::{is_there, look as spooled};
pub use request::Spooled;

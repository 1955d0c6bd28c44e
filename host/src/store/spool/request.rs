//! A request in a spool.

use crate::store::{NewRequest, Reading};

/// A request as the store would have taken it.
#[derive(Debug)]
pub struct Spooled {
    /// The request.
    pub request: NewRequest,
    /// The result of reading it.
    pub reading: Reading,
}

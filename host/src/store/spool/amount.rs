//! The amount that is in a spool.

use bytesize::ByteSize;

/// A number of requests, and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// So many requests,
    pub requests: u64,
    /// of so many bytes together.
    pub bytes: u64,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = if self.requests == 1 { "" } else { "s" };
        write!(
            f,
            "{} request{noun} ({})",
            self.requests,
            ByteSize(self.bytes)
        )
    }
}

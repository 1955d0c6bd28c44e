//! Random bytes for secrets: sessions, tokens and salts.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// Returns random bytes of the system's generator, which nobody can foresee.
///
/// # Errors
/// The system has none.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(io::Error::other("the system gave no random bytes")),
    }
}

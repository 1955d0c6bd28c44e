//! Random bytes that are not random: a stream by the request and the plugin's own bytes, so that a
//! replay answers as the first reading did. Languages ask for them to seed their hash tables. They
//! are no secret, and no key may be made of them. A runtime that asks for them as it is initialized
//! gets a stream by the plugin's bytes alone, so that all calls can begin with one initialization.

use super::MODULE;
use super::guest::with;
use crate::call::Call;
use crate::phase::{Asked, Phase};
use sha2::{Digest, Sha256};
use wasmtime::{Caller, Linker};

/// The generator SplitMix64, of Java's `SplittableRandom`. It is fixed here rather than taken from
/// a crate, whose next version may give another stream and so change what a replay answers.
pub(super) struct Random(u64);

impl Random {
    /// The stream for this input of the plugin with this SHA-256.
    fn new(hash: &[u8; 32], input: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(hash).chain_update(input);
        let seed = digest.finalize();
        Self(
            seed.iter()
                .take(8)
                .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "random_get", get)?;
    Ok(())
}

fn get(mut caller: Caller<'_, Call>, at: u32, length: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        let bytes = guest.bytes_mut(at, length)?;
        call.asks(Asked::Random);
        let is_early = call.phase() == Phase::Initialize;
        let Call { memory, wasi, .. } = call;
        let random = wasi.random.get_or_insert_with(|| match is_early {
            true => Random::new(&wasi.wasm, b""),
            false => Random::new(&wasi.hash, memory.input()),
        });
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_is_splitmix64() {
        // The first numbers for the seed 1234567, by the reference implementation.
        let mut random = Random(1_234_567);
        assert_eq!(
            [random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn stream_differs_by_request_and_by_plugin() {
        let first = |hash, input: &[u8]| Random::new(&[hash; 32], input).next();
        assert_eq!(first(1, b"a"), first(1, b"a"));
        assert_ne!(first(1, b"a"), first(1, b"b"));
        assert_ne!(first(1, b"a"), first(2, b"a"));
    }
}

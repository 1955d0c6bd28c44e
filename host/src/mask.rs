//! Masking: finds secrets in text of strangers by every spelling that an echo may give them, and
//! hides them.
//!
//! A token that was sent comes back as it is, in JSON (`\"`, `\/`, `\u0041`), in a URL (`%41`), in
//! HTML (`&amp;`, `&#65;`, `&#x41;`), in one of these within another, or in base64, where it stands
//! at one of three offsets. The spellings of a secret are not listed, because they can be mixed.
//! Instead the text is decoded, each byte with the place that it came from, and the secret is
//! searched in the decoded text; then the places are hidden. This is repeated for what was encoded
//! several times. All secrets are searched at once (Aho-Corasick), so the time does not grow with
//! their number: a sender can have thousands of texts masked in one request.

mod escape;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

pub use self::escape::{Escaped, begins_escape, escape};

/// The text in the place of a secret.
pub const MASKED: &str = "***";

/// An encoding within an encoding within an encoding is searched, and no further.
const DEEPEST: usize = 3;

/// A piece of base64 that is shorter than this stands in any text.
const SHORTEST_BASE64: usize = 8;

/// The most bytes of secrets that are learnt from one request. The memory of a search grows with
/// them.
pub const MOST_BYTES: usize = 64 * 1024;

/// Knows secrets by every spelling. Its `Debug` shows none of them.
pub struct Mask {
    /// The secrets and their spellings in base64. None is empty.
    needles: BTreeSet<Vec<u8>>,
    /// Finds all of them; none where there are none.
    automaton: Option<NFA>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[mask]")
    }
}

impl Mask {
    /// Makes a mask for these secrets. An empty one hides nothing.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut mask = Self {
            needles: BTreeSet::new(),
            automaton: None,
        };
        mask.add(secrets);
        mask
    }

    /// Hides these secrets as well.
    pub fn add<'s>(&mut self, secrets: impl IntoIterator<Item = &'s str>) {
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            self.needles.insert(secret.as_bytes().to_vec());
            self.needles.extend(in_base64(secret.as_bytes()));
        }
        if !self.needles.is_empty() {
            let automaton = NFA::new(&self.needles);
            // Its states are numbered by 31 bits.
            self.automaton = Some(automaton.unwrap_or_else(|_| unreachable!("two GiB of secrets")));
        }
    }

    /// Returns the text without the secrets.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.replace(text.as_bytes(), MASKED.as_bytes()) {
            // An escape is ASCII, and so is the place of a secret where it is not the secret
            // itself.
            Some((hidden, _)) => Cow::Owned(String::from_utf8_lossy(&hidden).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns the bytes with `instead` in the place of each secret, and the number of places;
    /// `None` if there is none.
    pub fn replace(&self, bytes: &[u8], instead: &[u8]) -> Option<(Vec<u8>, usize)> {
        self.replace_each(bytes, |_| instead)
    }

    /// The same, where what stands in the place of a secret depends on how it is spelled there.
    pub fn replace_each<'i>(
        &self,
        bytes: &[u8],
        instead: impl Fn(&[u8]) -> &'i [u8],
    ) -> Option<(Vec<u8>, usize)> {
        let places = self.places(bytes);
        if places.is_empty() {
            return None;
        }
        let mut replaced = Vec::with_capacity(bytes.len());
        let mut end = 0;
        for place in &places {
            replaced.extend_from_slice(&bytes[end..place.start]);
            replaced.extend_from_slice(instead(&bytes[place.clone()]));
            end = place.end;
        }
        replaced.extend_from_slice(&bytes[end..]);
        Some((replaced, places.len()))
    }

    /// Returns the first `max_chars` characters of `bytes` as one line, without the secrets. A
    /// secret at the cut is masked whole, because the cut comes last.
    pub fn excerpt(&self, bytes: &[u8], max_chars: usize) -> String {
        let text = String::from_utf8_lossy(bytes);
        let plain = |char: char| if char.is_control() { ' ' } else { char };
        self.hide(text.trim())
            .chars()
            .take(max_chars)
            .map(plain)
            .collect()
    }

    /// Returns the places of all secrets, in order, none within another.
    fn places(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut places = self.found(bytes);
        // Most echoes are short and plain: without the beginning of an escape there is nothing to
        // decode.
        if self.automaton.is_some() && bytes.iter().any(|byte| begins_escape(*byte)) {
            let mut decoded = Decoded::of(bytes);
            for _ in 0..DEEPEST {
                let Some(next) = decoded.decode() else { break };
                decoded = next;
                let found = self.found(&decoded.bytes);
                places.extend(found.into_iter().map(|found| decoded.place(found)));
            }
        }
        places.sort_by_key(|place| place.start);
        places.dedup_by(|next, last| {
            let overlap = next.start < last.end;
            if overlap {
                last.end = last.end.max(next.end);
            }
            overlap
        });
        places
    }

    /// Returns the places of the secrets as these bytes spell them, in order, none within another.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let Some(automaton) = &self.automaton else {
            return found;
        };
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return found;
        };
        for (at, byte) in bytes.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            if !automaton.is_match(state) {
                continue;
            }
            // Of those that end here the longest stands first.
            let longest = automaton.pattern_len(automaton.match_pattern(state, 0));
            let mut start = at + 1 - longest;
            while let Some(last) = found.pop_if(|last| start < last.end) {
                start = start.min(last.start);
            }
            found.push(start..at + 1);
        }
        found
    }
}

/// Returns the part of a secret's base64 that does not depend on its neighbours, for each of the
/// three offsets at which it may begin, in both alphabets.
fn in_base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut spellings = Vec::new();
    for before in 0..3 {
        let padded = [&[0; 2][..before], secret].concat();
        // A character of base64 holds six bits: those that also hold bits of a neighbour are left
        // out.
        let start = (before * 8).div_ceil(6);
        let end = padded.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            let piece = text.as_bytes()[start..end.max(start)].to_vec();
            if piece.len() >= SHORTEST_BASE64 && !spellings.contains(&piece) {
                spellings.push(piece);
            }
        }
    }
    spellings
}

/// Bytes, each with the place in the original that it came from.
struct Decoded {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Decoded {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            places: (0..bytes.len()).map(|at| at..at + 1).collect(),
        }
    }

    /// Returns the place in the original of a range of the decoded bytes, which is not empty.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        self.places[range.start].start..self.places[range.end - 1].end
    }

    /// Decodes every escape once; `None` if there is none.
    fn decode(&self) -> Option<Self> {
        let mut next = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            places: Vec::new(),
        };
        let mut at = 0;
        let mut changed = false;
        while at < self.bytes.len() {
            let mut length = 0;
            let read = escape(|| {
                length += 1;
                self.bytes.get(at + length - 1).copied()
            });
            changed |= read.is_some();
            let read = read.unwrap_or_else(|| {
                length = 1;
                Escaped::Byte(self.bytes[at])
            });
            let place = self.place(at..at + length);
            match read {
                Escaped::Byte(byte) => next.push(&[byte], &place),
                Escaped::Char(char) => next.push(char.encode_utf8(&mut [0; 4]).as_bytes(), &place),
            }
            at += length;
        }
        changed.then_some(next)
    }

    fn push(&mut self, bytes: &[u8], place: &Range<usize>) {
        self.bytes.extend_from_slice(bytes);
        self.places
            .extend(std::iter::repeat_n(place.clone(), bytes.len()));
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "a/b\"c+d<e&f=g%h-1234567890";

    fn each(encode: impl Fn(u8) -> String) -> String {
        TOKEN.bytes().map(encode).collect()
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    #[test]
    fn every_spelling_of_a_secret_is_masked() {
        let mask = Mask::new([TOKEN]);
        let json = serde_json::Value::from(TOKEN).to_string();
        let html = TOKEN
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        for echo in [
            TOKEN.to_owned(),
            json.trim_matches('"').to_owned(),
            json.trim_matches('"').replace('/', "\\/"),
            each(|byte| format!("\\u{byte:04x}")),
            each(|byte| format!("\\u{byte:04X}")),
            each(|byte| format!("\\x{byte:02x}")),
            percent(TOKEN),
            percent(TOKEN).to_uppercase(),
            TOKEN
                .replace('%', "%25")
                .replace('/', "%2F")
                .replace('"', "%22")
                .replace('&', "%26"),
            percent(&percent(TOKEN)),
            html.clone(),
            percent(&html),
            html.replace('&', "\\u0026"),
            each(|byte| format!("&#{byte};")),
            each(|byte| format!("&#x{byte:X};")),
            each(|byte| format!("&#{byte:07};")),
            each(|byte| {
                if byte % 2 == 0 {
                    format!("%{byte:02X}")
                } else {
                    format!("&#{byte};")
                }
            }),
        ] {
            assert_eq!(
                mask.hide(&format!("bad token {echo}!")),
                "bad token ***!",
                "{echo}"
            );
        }
        assert_eq!(
            mask.hide("nothing here, 100 %, a&b, \\ and \\u12"),
            "nothing here, 100 %, a&b, \\ and \\u12"
        );
    }

    #[test]
    fn base64_is_masked_at_every_offset() {
        let mask = Mask::new([TOKEN]);
        for before in ["", "u", "us", "user:", "user:x"] {
            for after in ["", "\n", "!!", "and so on"] {
                let text = format!("{before}{TOKEN}{after}");
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let hidden = mask.hide(&encoded).into_owned();
                    assert!(hidden.contains(MASKED), "{before:?} {after:?}");
                    // The characters beside the mask hold a few bits of the secret's ends at most.
                    assert!(hidden.len() <= encoded.len() - TOKEN.len(), "{hidden}");
                    assert!(mask.hide(&percent(&encoded)).contains(MASKED));
                }
            }
        }
    }

    #[test]
    fn a_secret_across_the_cut_shows_no_part_of_itself() {
        assert_eq!(
            Mask::new(["s3cret"]).excerpt(b"token s3cret", 8),
            "token **"
        );
    }

    #[test]
    fn an_excerpt_is_one_line_of_text_whatever_came() {
        assert_eq!(
            Mask::new(["t"]).excerpt(b" a\r\nb\x1b[31m\xff ", 99),
            "a  b [31m\u{fffd}"
        );
        assert_eq!(Mask::new([""]).excerpt(b"a", 99), "a");
    }

    #[test]
    fn of_two_secrets_the_longer_is_hidden_whole() {
        let mask = Mask::new(["token", "token-of-mine"]);
        assert_eq!(mask.hide("token-of-mine token tokens"), "*** *** ***s");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_secret_stays(
            before in ".{0,20}",
            after in ".{0,20}",
            secret in "[!-~]{6,20}",
            mix in prop::collection::vec(0..5_u8, 20),
        ) {
            let spelt: String = secret.bytes().zip(mix.iter().cycle()).map(|(byte, how)| match how {
                1 => format!("%{byte:02x}"),
                2 => format!("&#{byte};"),
                3 => format!("\\u{byte:04x}"),
                _ => char::from(byte).to_string(),
            }).collect();
            let text = format!("{before}{spelt}{after}");
            let mask = Mask::new([&*secret]);
            let hidden = mask.hide(&text).into_owned();
            prop_assert!(!hidden.contains(&secret), "{hidden}");
            // A neighbour can make another escape of the secret's beginning or end, such as `%`
            // before two digits.
            let is_plain = |text: &str| !text.contains(['%', '&', '\\', ';']);
            if is_plain(&before) && is_plain(&secret) {
                prop_assert!(hidden.contains(MASKED), "{hidden}");
            }
        }
    }
}

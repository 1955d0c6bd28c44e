//! Cursors: where the next page of a list begins, in a text that nobody has to understand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;

/// The place where a page of a list begins: in the store, and among the requests that are kept in
/// memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The place before which it goes on in the store; none at its beginning.
    pub place: Option<i64>,
    /// The number before which it goes on in memory; none at its beginning.
    pub number: Option<u64>,
}

/// The place behind the last one.
pub const END: i64 = i64::MIN;

impl Cursor {
    /// Writes the cursor of a list that is called so.
    pub fn write(self, list: u8) -> String {
        let mut bytes = vec![list];
        bytes.extend(self.place.unwrap_or(i64::MAX).to_be_bytes());
        bytes.extend(self.number.unwrap_or(u64::MAX).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of a list that is called so.
    ///
    /// # Errors
    /// Where it is no cursor, or one of another list.
    pub fn read(list: u8, text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::wrong("cursor is none of this list: leave it out, or take `next` of a page")
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let bytes: [u8; 17] = bytes.try_into().map_err(|_| wrong())?;
        let (own, rest) = bytes.split_first().ok_or_else(wrong)?;
        if *own != list {
            return Err(wrong());
        }
        let (place, number) = rest.split_at(8);
        let place = i64::from_be_bytes(place.try_into().map_err(|_| wrong())?);
        let number = u64::from_be_bytes(number.try_into().map_err(|_| wrong())?);
        Ok(Self {
            place: Some(place).filter(|place| *place != i64::MAX),
            number: Some(number).filter(|number| *number != u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursor_reads_as_it_was_written(place: Option<i64>, number: Option<u64>) {
            let place = place.filter(|place| *place != i64::MAX);
            let number = number.filter(|number| *number != u64::MAX);
            let cursor = Cursor { place, number };
            prop_assert_eq!(Cursor::read(b'e', &cursor.write(b'e')), Ok(cursor));
            prop_assert!(Cursor::read(b'a', &cursor.write(b'e')).is_err());
        }

        #[test]
        fn any_text_is_a_cursor_or_a_problem(text in ".*") {
            if let Ok(cursor) = Cursor::read(b'e', &text) {
                prop_assert_eq!(cursor.write(b'e'), text);
            }
        }
    }
}

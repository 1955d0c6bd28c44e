//! The names of Twilio's error codes: 1,953 of them, as published up to May 2023
//! (`data/error-codes.tsv`).
//!
//! Newer codes exist, so an unknown one is nothing special.

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// A code of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its name, such as `HTTP retrieval failure`.
    pub name: String,
    /// The product it belongs to, such as `Programmable Voice`; `None` where the table names none.
    pub product: Option<&'static str>,
}

/// The entry of a code.
pub fn look_up(code: &str) -> Option<Code> {
    let code: u32 = code.parse().ok()?;
    let run = RUN_CODES
        .partition_point(|&first| first <= code)
        .checked_sub(1)?;
    let row = usize::from(RUN_ROWS[run]) + usize::try_from(code - RUN_CODES[run]).ok()?;
    if row >= RUN_ROWS.get(run + 1).map_or(ROWS, |&next| next.into()) {
        return None;
    }
    let product = PRODUCTS[usize::from(RUN_PRODUCTS[run])];
    Some(Code {
        name: name(row),
        product: (!product.is_empty()).then_some(product),
    })
}

fn name(row: usize) -> String {
    let mut name = String::new();
    let mut bytes = NAMES.get(row).iter().map(|&byte| usize::from(byte));
    while let Some(first) = bytes.next() {
        let word = match first.checked_sub(ONE_BYTE) {
            None => first,
            Some(high) => ONE_BYTE + high * 256 + bytes.next().unwrap_or_default(),
        };
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(str::from_utf8(WORDS.get(word)).unwrap_or_default());
    }
    name
}

/// Pieces one after the other, each behind its length.
struct Sequence {
    bytes: &'static [u8],
    /// The start of every [`STRIDE`]th piece.
    starts: &'static [u16],
}

impl Sequence {
    fn get(&self, index: usize) -> &'static [u8] {
        let mut rest = &self.bytes[usize::from(self.starts[index / STRIDE])..];
        for _ in 0..index % STRIDE {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        &rest[1..=usize::from(rest[0])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_found() {
        let table = include_str!("../data/error-codes.tsv");
        for row in table.lines().skip(1) {
            let [code, _, product, name] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let found = look_up(code).unwrap();
            assert_eq!(
                (&*found.name, found.product.unwrap_or_default()),
                (name, product),
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_known_code_is_not_found() {
        for code in [
            "",
            "0",
            "11201999",
            "99999999999",
            "-11200",
            "11200x",
            " 11200",
        ] {
            assert_eq!(look_up(code), None, "{code:?}");
        }
    }
}

//! What Twilio's error codes are called: 1,953 of them, as published up to May 2023 (`data/error-codes.tsv`).
//!
//! Newer codes exist, so an unknown one is nothing special.

use std::ops::Range;

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// A code of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What it is called, such as `HTTP retrieval failure`.
    pub name: String,
    /// The product it belongs to, such as `Programmable Voice`; `None` where the table names none.
    pub product: Option<&'static str>,
}

/// The entry of a code.
pub fn look_up(code: &str) -> Option<Code> {
    let index = CODES.binary_search(&code.parse().ok()?).ok()?;
    let words = NAME_WORDS.get(stretch(&NAME_ENDS, index))?;
    let words: Vec<_> = words.iter().map(|&word| &WORDS[stretch(&WORD_ENDS, usize::from(word))]).collect();
    let product = PRODUCTS[usize::from(CODE_PRODUCTS[index])];
    Some(Code { name: words.join(" "), product: (!product.is_empty()).then_some(product) })
}

/// Where an entry stands, in a table of which only the ends are kept.
fn stretch(ends: &[u16], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    usize::from(start)..usize::from(ends[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_found() {
        let table = include_str!("../data/error-codes.tsv");
        for row in table.lines().skip(1) {
            let [code, _, product, name] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let found = look_up(code).unwrap();
            assert_eq!((&*found.name, found.product.unwrap_or_default()), (name, product), "{code}");
        }
    }

    #[test]
    fn what_is_no_known_code_is_not_found() {
        for code in ["", "0", "11201999", "99999999999", "-11200", "11200x", " 11200"] {
            assert_eq!(look_up(code), None, "{code:?}");
        }
    }
}

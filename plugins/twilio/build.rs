//! Turns the table of error codes into Rust.

use std::fmt::Write as _;
use std::{env, fs, io, path::Path};

const TABLE: &str = "data/error-codes.tsv";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={TABLE}");
    let table = fs::read_to_string(TABLE)?;
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&folder).join("table.rs"), generate(&table)?)
}

/// Columns side by side, and each name as the numbers of its words: they share 2,000 words, so this saves 38 KB of
/// memory, which the host restores after every call.
fn generate(table: &str) -> io::Result<String> {
    let (mut codes, mut name_products, mut name_words, mut name_ends) = (vec![], vec![], vec![], vec![]);
    let (mut products, mut words) = (Lexicon::default(), Lexicon::default());
    for (index, row) in table.lines().enumerate().skip(1) {
        let wrong = |what: &str| io::Error::other(format!("{TABLE}:{}: {what}", index + 1));
        let [code, _, product, name] = row.split('\t').collect::<Vec<_>>()[..] else {
            return Err(wrong("not `code, level, product, name`"));
        };
        let code: u32 = code.parse().map_err(|_| wrong("the code is no number"))?;
        if codes.last().is_some_and(|&last| last >= code) {
            return Err(wrong("the codes must rise"));
        }
        codes.push(code);
        name_products.push(products.number(product));
        name_words.extend(name.split(' ').map(|word| words.number(word)));
        name_ends.push(name_words.len());
    }
    let mut text = String::new();
    let mut word_ends = vec![];
    for word in &words.0 {
        text.push_str(word);
        word_ends.push(text.len());
    }
    let mut rust = String::new();
    let _ = writeln!(rust, "static CODES: [u32; {}] = {codes:?};", codes.len());
    let _ = writeln!(rust, "static CODE_PRODUCTS: [u8; {}] = {name_products:?};", name_products.len());
    let _ = writeln!(rust, "static NAME_ENDS: [u16; {}] = {name_ends:?};", name_ends.len());
    let _ = writeln!(rust, "static NAME_WORDS: [u16; {}] = {name_words:?};", name_words.len());
    let _ = writeln!(rust, "static WORD_ENDS: [u16; {}] = {word_ends:?};", word_ends.len());
    let _ = writeln!(rust, "static WORDS: &str = {text:?};");
    let _ = writeln!(rust, "static PRODUCTS: [&str; {}] = {:?};", products.0.len(), products.0);
    Ok(rust)
}

/// Texts, numbered as they are met.
#[derive(Default)]
struct Lexicon<'a>(Vec<&'a str>);

impl<'a> Lexicon<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        self.0.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        })
    }
}

//! Turns the table of error codes into Rust: small, because the host restores a plugin's memory
//! after every call.
//!
//! Names share 2,000 words, so a name is the numbers of its words: one byte for each of the most
//! frequent, two for the others. Codes come in runs without gaps, and a run of codes often has one
//! product.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs, io, path::Path};

const TABLE: &str = "data/error-codes.tsv";

/// Words below this number take one byte; the others two, of which the first is this or more.
const ONE_BYTE: usize = 0xc0;

/// The step of the index: it has the start of every `STRIDE`th entry of a sequence, and the others
/// are counted from there.
const STRIDE: usize = 16;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={TABLE}");
    let table = fs::read_to_string(TABLE)?;
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(
        Path::new(&folder).join("table.rs"),
        generate(&rows(&table)?)?,
    )
}

/// A row of the table: code, product, name.
type Row<'t> = (u32, &'t str, &'t str);

fn rows(table: &str) -> io::Result<Vec<Row<'_>>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (index, row) in table.lines().enumerate().skip(1) {
        let wrong = |what: &str| io::Error::other(format!("{TABLE}:{}: {what}", index + 1));
        let [code, _, product, name] = row.split('\t').collect::<Vec<_>>()[..] else {
            return Err(wrong("not `code, level, product, name`"));
        };
        let code: u32 = code.parse().map_err(|_| wrong("the code is no number"))?;
        if rows.last().is_some_and(|&(last, ..)| last >= code) {
            return Err(wrong("the codes must rise"));
        }
        rows.push((code, product, name));
    }
    Ok(rows)
}

fn generate(rows: &[Row<'_>]) -> io::Result<String> {
    let mut products: Vec<&str> = Vec::new();
    // Each run as its first code, its first row and its product.
    let mut runs: Vec<(u32, u16, u8)> = Vec::new();
    let mut before: Option<(u32, u8)> = None;
    for (index, &(code, product, _)) in rows.iter().enumerate() {
        let number = products
            .iter()
            .position(|known| *known == product)
            .unwrap_or_else(|| {
                products.push(product);
                products.len() - 1
            });
        let product = u8::try_from(number).map_err(io::Error::other)?;
        if before.is_none_or(|before| before != (code - 1, product)) {
            runs.push((
                code,
                u16::try_from(index).map_err(io::Error::other)?,
                product,
            ));
        }
        before = Some((code, product));
    }

    let words = by_frequency(rows);
    let mut names = Sequence::default();
    for (.., name) in rows {
        let numbers = name.split(' ').map(|word| {
            words
                .iter()
                .position(|known| *known == word)
                .unwrap_or_default()
        });
        let mut bytes = Vec::new();
        for number in numbers {
            match number.checked_sub(ONE_BYTE) {
                None => bytes.push(number as u8),
                Some(rest) => bytes.extend([
                    u8::try_from(ONE_BYTE + rest / 256).map_err(io::Error::other)?,
                    rest as u8,
                ]),
            }
        }
        names.push(&bytes)?;
    }
    let mut texts = Sequence::default();
    for word in &words {
        texts.push(word.as_bytes())?;
    }

    let mut rust = String::new();
    let _ = writeln!(
        rust,
        "const ONE_BYTE: usize = {ONE_BYTE};\nconst STRIDE: usize = {STRIDE};"
    );
    let _ = writeln!(rust, "const ROWS: usize = {};", rows.len());
    let column = |of: &dyn Fn(&(u32, u16, u8)) -> u32| runs.iter().map(of).collect::<Vec<_>>();
    let _ = writeln!(
        rust,
        "static RUN_CODES: [u32; {}] = {:?};",
        runs.len(),
        column(&|run| run.0)
    );
    let _ = writeln!(
        rust,
        "static RUN_ROWS: [u16; {}] = {:?};",
        runs.len(),
        column(&|run| u32::from(run.1))
    );
    let _ = writeln!(
        rust,
        "static RUN_PRODUCTS: [u8; {}] = {:?};",
        runs.len(),
        column(&|run| u32::from(run.2))
    );
    let _ = writeln!(
        rust,
        "static PRODUCTS: [&str; {}] = {products:?};",
        products.len()
    );
    let _ = writeln!(rust, "static NAMES: Sequence = {};", names.rust());
    let _ = writeln!(rust, "static WORDS: Sequence = {};", texts.rust());
    Ok(rust)
}

/// The words of all names, the most frequent first.
fn by_frequency<'t>(rows: &[Row<'t>]) -> Vec<&'t str> {
    let mut count = BTreeMap::<&str, usize>::new();
    for word in rows.iter().flat_map(|(.., name)| name.split(' ')) {
        *count.entry(word).or_default() += 1;
    }
    let mut words: Vec<_> = count.into_iter().collect();
    words.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    words.into_iter().map(|(word, _)| word).collect()
}

/// Pieces one after the other, each behind its length.
#[derive(Default)]
struct Sequence {
    bytes: Vec<u8>,
    starts: Vec<u16>,
    pieces: usize,
}

impl Sequence {
    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.pieces.is_multiple_of(STRIDE) {
            self.starts
                .push(u16::try_from(self.bytes.len()).map_err(io::Error::other)?);
        }
        self.pieces += 1;
        self.bytes
            .push(u8::try_from(piece.len()).map_err(io::Error::other)?);
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn rust(&self) -> String {
        format!(
            "Sequence {{ bytes: b\"{}\", starts: &{:?} }}",
            self.bytes.escape_ascii(),
            self.starts
        )
    }
}

//! The prose of the project, measured: how doc comments open, how many relative words a sentence
//! has, and how long the names of tests are. The limits only ever go down.
//!
//! `cargo test -p alert-gateway --test system prose -- --nocapture` prints the figures and the
//! worst files; `PROSE=host/src/store` before it lists each place in that folder or file.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;

use crate::code;
use crate::harness::root;
use crate::tidy::files;

/// Of 1,000 doc comments, the most that may open with one of [`OPENINGS`]. The aim is 30; well-kept
/// crates have 4 to 40.
const OPENINGS_MAX: usize = 10;
/// Of 1,000 sentences, the most that may have two or more of [`RELATIVES`]. The aim is 40;
/// well-kept crates have 11 to 39.
const NESTED_MAX: usize = 40;
/// The longest name of a test.
const TEST_NAME: usize = 60;
/// The most tests that may have a longer name. The aim is none.
const LONG_NAMES_MAX: usize = 0;

/// Words with which a doc comment does not name its subject.
const OPENINGS: [&str; 15] = [
    "how", "it", "such", "that", "they", "those", "what", "when", "where", "whether", "which",
    "who", "whom", "whose", "why",
];

/// Words that begin a relative clause. Two of them in a sentence are one too many to be read once.
const RELATIVES: [&str; 6] = ["that", "what", "which", "who", "whom", "whose"];

/// The counts of one file, or of many.
#[derive(Debug, Default, Clone)]
struct Figures {
    items: usize,
    sentences: usize,
    openings: Vec<String>,
    nested: Vec<String>,
    long_names: Vec<String>,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.sentences += other.sentences;
        self.openings.extend(other.openings);
        self.nested.extend(other.nested);
        self.long_names.extend(other.long_names);
    }

    /// Counts the sentences of a text that stands at a place.
    fn read(&mut self, text: &str, place: &str) {
        for sentence in sentences(text) {
            self.sentences += 1;
            if words(&sentence)
                .iter()
                .filter(|word| RELATIVES.contains(&&***word))
                .count()
                >= 2
            {
                self.nested.push(format!("{place}: {sentence}"));
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = &String> {
        self.openings
            .iter()
            .chain(&self.nested)
            .chain(&self.long_names)
    }
}

impl Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "openings {:5.1} % of {:4}, nested {:5.1} % of {:4}, long test names {:3}",
            per_mille(&self.openings, self.items) as f64 / 10.0,
            self.items,
            per_mille(&self.nested, self.sentences) as f64 / 10.0,
            self.sentences,
            self.long_names.len()
        )
    }
}

/// Returns the share in parts of 1,000, rounded up.
fn per_mille(part: &[String], of: usize) -> usize {
    (part.len() * 1000).div_ceil(of.max(1))
}

/// Returns a text's words in lower case. Code in backticks is one word, `_`.
fn words(text: &str) -> Vec<String> {
    let parts = text
        .split('`')
        .enumerate()
        .map(|(number, part)| if number % 2 == 0 { part } else { "_" });
    let prose = parts.collect::<String>();
    let words = prose
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Returns the sentences of a Markdown text, without its code, headings and tables.
fn sentences(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut fenced = false;
    for line in text.lines().map(str::trim_end) {
        let bare = line.trim_start();
        if bare.starts_with("```") {
            fenced = !fenced;
        }
        let other = bare.starts_with(['#', '|', '<'])
            || bare.starts_with("```")
            || line.starts_with("    ");
        let is_prose = !fenced && !other && !bare.is_empty();
        let point = bare.strip_prefix("- ").or_else(|| {
            let (number, text) = bare.split_once(". ")?;
            number.parse::<u8>().is_ok().then_some(text)
        });
        if !is_prose || point.is_some() {
            paragraphs.push(String::new());
        }
        if is_prose {
            let paragraph = paragraphs.last_mut().unwrap();
            *paragraph += " ";
            *paragraph += point.unwrap_or(bare);
        }
    }
    let mut sentences = Vec::new();
    for paragraph in paragraphs {
        let mut sentence = String::new();
        for word in paragraph.split_whitespace() {
            let within_code = sentence.matches('`').count() % 2 == 1;
            let bare = sentence.trim_end_matches(['*', '_', '"', ')']);
            let may_end = !within_code && bare.ends_with(['.', '!', '?', ':', ';']);
            if may_end && word.starts_with(|c: char| c.is_uppercase() || c == '[' || c == '`') {
                sentences.push(std::mem::take(&mut sentence));
            }
            if !sentence.is_empty() {
                sentence += " ";
            }
            sentence += word;
        }
        if !words(&sentence).is_empty() {
            sentences.push(sentence);
        }
    }
    sentences
}

/// Measures a Rust file.
fn of_code(text: &str, path: &str) -> Figures {
    let mut figures = Figures::default();
    let code = code::parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    for doc in &code.docs {
        figures.items += 1;
        let place = format!("{path}:{}", doc.line);
        if words(&doc.text)
            .first()
            .is_some_and(|first| OPENINGS.contains(&&**first))
        {
            figures.openings.push(format!(
                "{place}: {}",
                doc.text.lines().next().unwrap_or_default()
            ));
        }
        figures.read(&doc.text, &place);
    }
    let long = code.tests.iter().filter(|name| name.len() > TEST_NAME);
    figures
        .long_names
        .extend(long.map(|name| format!("{path}: {name} ({})", name.len())));
    figures
}

/// Measures every Rust file and every page of the project, by path.
fn measured() -> BTreeMap<String, Figures> {
    let mut measured = BTreeMap::new();
    for path in files("", ".rs").into_iter().chain(files("", ".md")) {
        let within = path
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if within.contains("node_modules/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let figures = if within.ends_with(".rs") {
            of_code(&text, &within)
        } else {
            let mut figures = Figures::default();
            figures.read(&text, &within);
            figures
        };
        measured.insert(within, figures);
    }
    measured
}

fn print(measured: &BTreeMap<String, Figures>, all: &Figures) {
    let mut areas = BTreeMap::<_, Figures>::new();
    for (path, figures) in measured {
        let area = if path.ends_with(".md") {
            "pages"
        } else {
            path.split('/').next().unwrap()
        };
        areas.entry(area).or_default().add(figures.clone());
    }
    for (area, figures) in areas {
        println!("{area:12} {figures}");
    }
    println!("{:12} {all}\n\nthe worst files:", "all");
    let mut worst: Vec<_> = measured
        .iter()
        .map(|(path, figures)| (figures.places().count(), path, figures))
        .collect();
    worst.sort_by_key(|(count, ..)| usize::MAX - count);
    for (_, path, figures) in worst.iter().take(15) {
        println!("{path:50} {figures}");
    }
    if let Ok(wanted) = std::env::var("PROSE") {
        let chosen = measured
            .iter()
            .filter(|(path, _)| path.starts_with(&wanted));
        for (kind, places) in [
            (
                "opens without its subject",
                chosen
                    .clone()
                    .flat_map(|(_, f)| &f.openings)
                    .collect::<Vec<_>>(),
            ),
            (
                "two relative words",
                chosen.clone().flat_map(|(_, f)| &f.nested).collect(),
            ),
            (
                "a long name",
                chosen.flat_map(|(_, f)| &f.long_names).collect(),
            ),
        ] {
            println!("\n{kind}:");
            places.iter().for_each(|place| println!("  {place}"));
        }
    }
}

#[test]
fn prose_stays_within_its_limits() {
    let measured = measured();
    let mut all = Figures::default();
    measured
        .values()
        .cloned()
        .for_each(|figures| all.add(figures));
    print(&measured, &all);
    let found = [
        (
            per_mille(&all.openings, all.items),
            OPENINGS_MAX,
            "doc comments of 1,000 that do not open with their subject",
        ),
        (
            per_mille(&all.nested, all.sentences),
            NESTED_MAX,
            "sentences of 1,000 with two or more relative words",
        ),
        (
            all.long_names.len(),
            LONG_NAMES_MAX,
            "tests with a name of more than 60 characters",
        ),
    ];
    let over: Vec<_> = found
        .iter()
        .filter(|(figure, limit, _)| figure > limit)
        .collect();
    assert!(
        over.is_empty(),
        "CONTRIBUTING.md says how prose is written. (figure, limit): {over:?}"
    );
}

#[test]
fn openings_and_relative_words_are_counted() {
    let figures = of_code(
        "//! The subject. One that is said, and which is nested.\n\n/// Whether it is.\nfn a() {}\n\n/// `It` is code.\nfn b() {}\n\
         #[test]\nfn a_name_that_is_so_long_that_nobody_reads_it_to_its_end_at_once() {}\n",
        "a.rs",
    );
    assert_eq!((figures.items, figures.sentences), (3, 4));
    assert_eq!(figures.openings, ["a.rs:3: Whether it is."]);
    assert_eq!(
        figures.nested,
        ["a.rs:1: One that is said, and which is nested."]
    );
    assert_eq!(figures.long_names.len(), 1);
}

#[test]
fn sentences_leave_out_code_headings_and_tables() {
    let text = "# A heading\n\n**Bold.** One, with `code. That` in it. Two goes\non: here.\n- A point.\n\n| a | table |\n\n```sh\nthat. Which.\n```\n1. Last.\n";
    let expected = [
        "**Bold.**",
        "One, with `code. That` in it.",
        "Two goes on: here.",
        "A point.",
        "Last.",
    ];
    assert_eq!(sentences(text), expected);
}

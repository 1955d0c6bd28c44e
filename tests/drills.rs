//! The list of drills in `docs/drills.md` is generated: the table, which is written by hand, links the files of a drill's
//! tests, and the list below it names every test of these files.

use std::collections::BTreeSet;
use std::fs;

use crate::code;
use crate::harness::root;

const PAGE: &str = "docs/drills.md";
const BEGIN: &str = "<!-- generated: BLESS=1 cargo test -p alert-gateway --test system drills -->\n";
const END: &str = "<!-- end of what is generated -->\n";

/// Returns the files that the rows of a page's table link in their last cell, each as a path from the project's root.
fn linked(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit('|').next());
    let links = cells.flat_map(|cell| cell.split("](").skip(1)).filter_map(|link| link.split(')').next());
    links.map(|link| link.strip_prefix("../").unwrap_or(link)).collect()
}

/// Names every test of the files that a page's table links.
fn list(page: &str) -> String {
    let mut list = String::new();
    for path in linked(page) {
        list += &format!("\n### [{path}](../{path})\n\n");
        let tests = code::read(&root().join(path)).tests;
        assert!(!tests.is_empty(), "{path} is linked as a drill's, and has no tests");
        tests.iter().for_each(|test| list += &format!("- `{test}`\n"));
    }
    list + "\n"
}

#[test]
fn drills_page_lists_the_tests_as_they_are() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = list(before);
    if std::env::var_os("BLESS").is_some() {
        fs::write(root().join(PAGE), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (found_lines, expected_lines) = (lines(found), lines(&expected));
    assert!(
        found == expected,
        "{PAGE} does not list the tests as they are; `BLESS=1 cargo test -p alert-gateway --test system drills` writes it \
         anew.\nmissing: {:#?}\ngone: {:#?}",
        expected_lines.difference(&found_lines).collect::<Vec<_>>(),
        found_lines.difference(&expected_lines).collect::<Vec<_>>()
    );
}

#[test]
fn every_drill_in_the_table_links_its_tests() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let table = page.split(BEGIN).next().unwrap();
    let rows: Vec<_> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **")).skip(1).collect();
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        assert_eq!(row.matches('|').count(), 4, "{row}");
        assert!(!linked(row).is_empty(), "{row}");
    }
}

#[test]
fn only_links_in_the_last_cell_name_files_of_tests() {
    let page = "[no](../no.rs)\n| [a](../no.rs) | b | [x](../tests/x.rs), [y](../host/src/y.rs) |\n| c | d | [x](../tests/x.rs) |\n";
    assert_eq!(linked(page), BTreeSet::from(["tests/x.rs", "host/src/y.rs"]));
}

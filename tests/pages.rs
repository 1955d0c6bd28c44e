//! The pages of the project are consistent: links lead somewhere, and names of modules, keys and
//! metrics are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::harness::root;
use crate::tidy::files;

/// Returns a page's lines without those of code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns the targets of a page's links.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let parts = prose(page).flat_map(|line| line.split("](").skip(1));
    parts.filter_map(|part| part.split(')').next())
}

/// Returns the anchors of a page's headings, as forges make them.
fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let texts = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    texts
        .map(|text| {
            text.chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .collect::<String>()
        })
        .map(|text| text.replace(' ', "-"))
        .collect()
}

/// Returns why a link of a page leads nowhere.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link
        .split_once('#')
        .map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(path)
    };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", page.display()));
    }
    let anchor = anchor.filter(|_| {
        target
            .extension()
            .is_some_and(|extension| extension == "md")
    })?;
    let text = fs::read_to_string(&target).unwrap();
    let missing = !anchors(&text).iter().any(|known| known == anchor);
    missing.then(|| format!("{}: {link}: no such heading", page.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = files("", ".md")
        .into_iter()
        .filter(|page| !page.iter().any(|part| part == "node_modules"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        count += links(&text).count();
        wrong.extend(links(&text).filter_map(|link| broken(&page, link)));
    }
    assert!(count > 50, "{count} links");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let page = root().join("README.md");
    assert_eq!(broken(&page, "docs/operations.md#backup-and-restore"), None);
    assert_eq!(broken(&page, "https://example.com/no"), None);
    assert!(
        broken(&page, "docs/no.md")
            .unwrap()
            .ends_with("no such file")
    );
    assert!(
        broken(&page, "docs/operations.md#no")
            .unwrap()
            .ends_with("no such heading")
    );
    assert_eq!(
        anchors("# TLS and `proxies`!\n```\n# no\n```\n"),
        ["tls-and-proxies"]
    );
    assert_eq!(
        links("a [b](c.md#d) ` \n```\n[x](y)\n```\n").collect::<Vec<_>>(),
        ["c.md#d"]
    );
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the modules of each layer, from the rows of a table whose first cell is a number.
fn layers(rows: impl Iterator<Item = impl AsRef<str>>) -> BTreeMap<u8, BTreeSet<String>> {
    let mut layers = BTreeMap::new();
    for row in rows {
        let mut cells = row
            .as_ref()
            .trim_start_matches("//! ")
            .split('|')
            .skip(1)
            .map(str::trim);
        if let (Some(Ok(layer)), Some(modules)) = (cells.next().map(str::parse), cells.next()) {
            let names = modules
                .split(',')
                .map(|name| name.trim().trim_matches(['[', ']', '`']).to_owned());
            layers.insert(layer, names.collect());
        }
    }
    layers
}

#[test]
fn architecture_shows_the_layers_of_the_code() {
    let page = text("ARCHITECTURE.md");
    let code = text("host/src/lib.rs");
    let expected = layers(code.lines());
    assert_eq!(expected.len(), 6);
    assert_eq!(layers(page.lines()), expected);
}

#[test]
fn readme_is_short() {
    let lines = text("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines; details belong in docs/");
}

#[test]
fn configuration_page_names_every_key() {
    let page = text("docs/configuration.md");
    let example = text("examples/gateway.toml");
    let mut missing = Vec::new();
    let mut settings = false;
    for line in example.lines() {
        // A plugin's settings are on its own page.
        settings = if line.starts_with('[') {
            line.contains(".settings")
        } else {
            settings
        };
        let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") else {
            continue;
        };
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_key && !settings && !page.contains(&format!("`{key}`")) {
            missing.push(key);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn metrics_named_in_pages_exist() {
    let code = text("host/src/metrics.rs");
    let mut wrong = Vec::new();
    let pages = files("docs", ".md")
        .into_iter()
        .chain([root().join("README.md"), root().join("SECURITY.md")]);
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split("`gateway_").skip(1) {
            let name = name
                .split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .next()
                .unwrap();
            // The encoder appends the unit, and `_total` to counters.
            let bare = ["_total", "_seconds", "_bytes"]
                .iter()
                .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            if ![name, bare]
                .iter()
                .any(|name| code.contains(&format!("\"{name}\"")))
            {
                wrong.push(format!("{}: gateway_{name}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn changelog_is_grouped_and_says_nothing_twice() {
    let log = text("CHANGELOG.md");
    let groups = [
        "Operators",
        "Senders and on-call people",
        "Plugin authors",
        "Contributors",
        "Renamed",
    ];
    let other: Vec<_> = log
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|g| !groups.contains(g))
        .collect();
    assert!(other.is_empty(), "{other:?} is none of {groups:?}");
    // A merge by union can bring a line back.
    let mut seen = BTreeSet::new();
    let entries = log.lines().filter(|line| line.starts_with("- "));
    let twice: Vec<_> = entries
        .filter(|line| !seen.insert(line.split(':').next().unwrap()))
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

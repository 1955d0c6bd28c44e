//! The pages of the project hang together: every link to a file or a heading leads somewhere.

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
        .map(|text| text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>())
        .map(|text| text.replace(' ', "-"))
        .collect()
}

/// Returns why a link of a page leads nowhere.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", page.display()));
    }
    let anchor = anchor.filter(|_| target.extension().is_some_and(|extension| extension == "md"))?;
    let text = fs::read_to_string(&target).unwrap();
    let missing = !anchors(&text).iter().any(|known| known == anchor);
    missing.then(|| format!("{}: {link}: no such heading", page.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = files("", ".md").into_iter().filter(|page| !page.iter().any(|part| part == "node_modules"));
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
    assert!(broken(&page, "docs/no.md").unwrap().ends_with("no such file"));
    assert!(broken(&page, "docs/operations.md#no").unwrap().ends_with("no such heading"));
    assert_eq!(anchors("# TLS and `proxies`!\n```\n# no\n```\n"), ["tls-and-proxies"]);
    assert_eq!(links("a [b](c.md#d) ` \n```\n[x](y)\n```\n").collect::<Vec<_>>(), ["c.md#d"]);
}

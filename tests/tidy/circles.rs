//! Files of a crate that import each other, directly or by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::files;
use super::imports::{self, CratePath, Imports};
use crate::harness::root;

/// The files of one crate by their modules.
pub struct Files(BTreeMap<CratePath, Imports>);

/// From a file to those that it imports, with the line of the first import.
pub type Graph = BTreeMap<String, BTreeMap<String, usize>>;

impl Files {
    /// Reads the files below a folder of sources.
    pub fn of(folder: &str) -> Self {
        let source = root().join(folder);
        let read = |path: &Path| {
            let module = module(path.strip_prefix(&source).unwrap());
            let names: Vec<_> = module.iter().map(String::as_str).collect();
            let code = fs::read_to_string(path).unwrap();
            let imports = imports::read(&code, &names)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (module, imports)
        };
        Self(files(folder, ".rs").iter().map(|path| read(path)).collect())
    }

    /// All imports, by module.
    pub fn iter(&self) -> impl Iterator<Item = (&CratePath, &Imports)> {
        self.0.iter()
    }

    /// Returns the imports between files, outside of tests. A file may use what the files hold that
    /// it stands within.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, imports) in self
            .0
            .iter()
            .filter(|(module, _)| !module.iter().any(|part| part == "tests"))
        {
            let imported = graph.entry(name(module)).or_default();
            for import in imports
                .found
                .iter()
                .filter(|import| !import.in_test && !import.passed_on)
            {
                if let Some(file) = self
                    .file_of(import.path.clone())
                    .filter(|file| !module.starts_with(file))
                {
                    imported.entry(name(file)).or_insert(import.line);
                }
            }
        }
        graph
    }

    /// Returns the file that a path leads to. Where a file passes the name on, it is the file that
    /// has it.
    fn file_of(&self, mut path: CratePath) -> Option<&CratePath> {
        for _ in 0..8 {
            let depth = (0..=path.len())
                .rev()
                .find(|depth| self.0.contains_key(&path[..*depth]))?;
            let (module, imports) = self.0.get_key_value(&path[..depth])?;
            let Some(passed_on) = path.get(depth).and_then(|name| imports.names.get(name)) else {
                return Some(module);
            };
            path = [&passed_on[..], &path[depth + 1..]].concat();
        }
        None
    }
}

/// The module of a file: `store/mod.rs` and `store.rs` are `store`.
fn module(file: &Path) -> CratePath {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    parts
        .filter(|part| !["lib", "main", "mod"].contains(&&**part))
        .collect()
}

fn name(module: &[String]) -> String {
    module.join("::")
}

/// Groups of files in which each leads to each.
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<_, _> = graph
        .keys()
        .map(|file| (file, reach(graph, file)))
        .collect();
    let mut circles = BTreeSet::new();
    for (file, reached_from_it) in &reached {
        let back = |other: &&&String| {
            reached
                .get(*other)
                .is_some_and(|reached| reached.contains(*file))
        };
        let circle: Vec<_> = reached_from_it
            .iter()
            .filter(back)
            .map(|file| (*file).clone())
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// The files that lie ahead of one.
fn reach<'a>(graph: &'a Graph, file: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![file];
    while let Some(file) = ahead.pop() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                ahead.push(next);
            }
        }
    }
    reached
}

/// The imports by which files of a circle lead to each other, for a person.
pub fn shown(graph: &Graph, circle: &[String]) -> String {
    let mut text = String::new();
    for file in circle {
        for (other, line) in graph[file]
            .iter()
            .filter(|(other, _)| circle.contains(other))
        {
            text += &format!("    {file} (line {line}) -> {other}\n");
        }
    }
    text
}

#[test]
fn files_that_lead_back_to_themselves_are_a_circle() {
    let to = |files: &[&str]| files.iter().map(|file| (file.to_string(), 1)).collect();
    let graph = |edges: &[(&str, &[&str])]| -> Graph {
        edges
            .iter()
            .map(|(file, imported)| (file.to_string(), to(imported)))
            .collect()
    };
    assert!(circles(&graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
    let circle = graph(&[
        ("a", &["b"]),
        ("b", &["c"]),
        ("c", &["a", "d"]),
        ("d", &[]),
        ("e", &["a"]),
    ]);
    assert_eq!(circles(&circle), [["a", "b", "c"]]);
    assert_eq!(shown(&circle, &circles(&circle)[0]).lines().count(), 3);
}

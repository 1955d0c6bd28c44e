//! The imports of a file, read from its syntax: by groups over several lines, by `super::super`, by
//! another name, by a path within an expression or a macro. Comments and strings import nothing.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, Path, UseTree, Visibility};

/// A path from the crate's root, as in `["store", "Store"]`.
pub type CratePath = Vec<String>;

/// The imports of one file.
#[derive(Debug, Default)]
pub struct Imports {
    /// In order.
    pub found: Vec<Import>,
    /// The names that the file itself has at its top, from imports and from the modules that it
    /// declares.
    pub names: BTreeMap<String, CratePath>,
}

/// One path into the crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub path: CratePath,
    pub line: usize,
    /// In code of tests.
    pub in_test: bool,
    /// Passed on only: `pub use` says where a name is found, and needs nothing of it.
    pub passed_on: bool,
}

/// Reads the file of this module.
pub fn read(code: &str, module: &[&str]) -> syn::Result<Imports> {
    let file = syn::parse_file(code)?;
    let module = module.iter().map(ToString::to_string).collect();
    let mut reader = Reader {
        scopes: vec![Scope::of(module, &file.items, &[])],
        found: Vec::new(),
        in_test: false,
    };
    file.items.iter().for_each(|item| reader.visit_item(item));
    Ok(Imports {
        found: reader.found,
        names: reader.scopes.remove(0).names,
    })
}

/// The last word of every path in a file, with its line: what is called or named, wherever it comes
/// from.
pub fn last_words(code: &str) -> syn::Result<Vec<(String, usize)>> {
    struct Words(Vec<(String, usize)>);
    impl<'a> Visit<'a> for Words {
        fn visit_path(&mut self, path: &'a Path) {
            let last = path
                .segments
                .last()
                .map(|last| (last.ident.to_string(), last.ident.span().start().line));
            self.0.extend(last);
            visit::visit_path(self, path);
        }

        fn visit_macro(&mut self, call: &'a syn::Macro) {
            let mut ahead: Vec<_> = call.tokens.clone().into_iter().collect();
            while let Some(token) = ahead.pop() {
                match token {
                    TokenTree::Ident(word) => {
                        self.0.push((word.to_string(), word.span().start().line))
                    }
                    TokenTree::Group(group) => ahead.extend(group.stream()),
                    _ => {}
                }
            }
        }
    }
    let mut words = Words(Vec::new());
    words.visit_file(&syn::parse_file(code)?);
    Ok(words.0)
}

struct Reader {
    /// The file's, and those of the modules within it that are being read.
    scopes: Vec<Scope>,
    found: Vec<Import>,
    in_test: bool,
}

#[derive(Default)]
struct Scope {
    module: CratePath,
    names: BTreeMap<String, CratePath>,
}

impl Scope {
    /// Collects the names at the top of a module, of which `outer` are around it.
    fn of(module: CratePath, items: &[Item], outer: &[Self]) -> Self {
        let mut scope = Self {
            module,
            names: BTreeMap::new(),
        };
        for item in items {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let path = scope.below(&name);
                scope.names.insert(name, path);
            }
        }
        // Twice, as a name may be made of one that is imported below it.
        for _ in 0..2 {
            for item in items {
                let Item::Use(import) = item else { continue };
                for (path, name) in leaves(&import.tree) {
                    let Some(path) = scope.resolve(&path) else {
                        continue;
                    };
                    if name == "*" {
                        let from = outer.iter().find(|outer| outer.module == path);
                        scope
                            .names
                            .extend(from.map(|outer| outer.names.clone()).unwrap_or_default());
                    } else {
                        scope.names.insert(name, path);
                    }
                }
            }
        }
        scope
    }

    fn below(&self, name: &str) -> CratePath {
        self.module
            .iter()
            .cloned()
            .chain([name.to_owned()])
            .collect()
    }

    /// Returns where a path leads within the crate, unless it leads out of it.
    fn resolve(&self, path: &[String]) -> Option<CratePath> {
        let (first, rest) = path.split_first()?;
        let base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => {
                let ups = path
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                let depth = self.module.len().checked_sub(ups)?;
                return Some([&self.module[..depth], &path[ups..]].concat());
            }
            name => self.names.get(name)?.clone(),
        };
        Some([&base[..], rest].concat())
    }
}

/// The paths of an import, each with the name that it gives.
fn leaves(tree: &UseTree) -> Vec<(CratePath, String)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            below
                .map(|(mut path, name)| {
                    // `a::{self}` is `a`.
                    let name = if path == ["self"] && name == "self" {
                        first.clone()
                    } else {
                        name
                    };
                    path.retain(|segment| segment != "self");
                    path.insert(0, first.clone());
                    (path, name)
                })
                .collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(name) => vec![(vec![name.ident.to_string()], name.rename.to_string())],
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl Reader {
    fn import(&mut self, path: &[String], line: usize, passed_on: bool) {
        let found = self.scopes.last().and_then(|scope| scope.resolve(path));
        if let Some(path) = found.filter(|path| !path.is_empty()) {
            self.found.push(Import {
                path,
                line,
                in_test: self.in_test,
                passed_on,
            });
        }
    }

    /// Reads the paths in what a macro is given.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.import_if_path(&path, line);
                        path.clear();
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.import_if_path(&path, line);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.import_if_path(&path, line);
    }

    fn import_if_path(&mut self, path: &[String], line: usize) {
        if path.len() > 1 {
            self.import(path, line, false);
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        let before = self.in_test;
        self.in_test |= is_test(attributes);
        visit::visit_item(self, item);
        self.in_test = before;
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        let (Some((_, items)), Some(around)) = (&module.content, self.scopes.last()) else {
            return;
        };
        let scope = Scope::of(around.below(&module.ident.to_string()), items, &self.scopes);
        self.scopes.push(scope);
        items.iter().for_each(|item| self.visit_item(item));
        self.scopes.pop();
    }

    fn visit_item_use(&mut self, import: &'a syn::ItemUse) {
        let passed_on = !matches!(import.vis, Visibility::Inherited);
        for (path, _) in leaves(&import.tree) {
            self.import(&path, import.use_token.span.start().line, passed_on);
        }
    }

    fn visit_path(&mut self, path: &'a Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if let Some(first) = path
            .segments
            .first()
            .filter(|_| path.leading_colon.is_none())
        {
            self.import_if_path(&segments, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    /// `pub(in crate::store)` says who may see an item, and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}

    /// Documentation is an attribute as well, with links that nothing hangs on.
    fn visit_attribute(&mut self, _: &'a Attribute) {}
}

/// The paths that a file of the module `a::b` imports, each written with `::`.
fn imported(code: &str) -> Vec<String> {
    read(code, &["a", "b"])
        .unwrap()
        .found
        .iter()
        .map(|import| import.path.join("::"))
        .collect()
}

#[test]
fn a_group_over_several_lines_is_read() {
    let code = "use crate::{\n    alert::Alert,\n    config::{\n        self, Config,\n        limits::Limits as Bounds,\n    },\n};";
    assert_eq!(
        imported(code),
        [
            "alert::Alert",
            "config",
            "config::Config",
            "config::limits::Limits"
        ]
    );
    let attributed = "#[rustfmt::skip]\nuse crate :: {\nhttp\n, store\n};";
    assert_eq!(imported(attributed), ["http", "store"]);
}

#[test]
fn super_leads_up_as_often_as_it_is_written() {
    assert_eq!(imported("use super::c::D;"), ["a::c::D"]);
    assert_eq!(imported("use super::super::cli;"), ["cli"]);
    assert_eq!(
        imported("mod inner { use super::super::x; use self::y::Z; }"),
        ["a::x", "a::b::inner::y::Z"]
    );
    assert_eq!(
        imported("fn f() { super::super::cli::run() }"),
        ["cli::run"]
    );
}

#[test]
fn another_name_for_a_module_leads_to_the_same() {
    assert_eq!(
        imported("use crate::cli as c; fn f() { c::plain::run() }"),
        ["cli", "cli::plain::run"]
    );
    assert_eq!(
        imported("use c::x; use crate::cli as c;"),
        ["cli::x", "cli"]
    );
    assert_eq!(
        imported("use crate as here; fn f() { here::cli::run() }"),
        ["cli::run"]
    );
    assert_eq!(
        imported("mod child; fn f() { child::g() }"),
        ["a::b::child::g"]
    );
}

#[test]
fn an_import_on_a_line_with_a_url_is_read() {
    assert_eq!(
        imported(r#"const U: (&str, u8) = ("https://a.example", crate::cli::N);"#),
        ["cli::N"]
    );
    assert_eq!(imported("use crate::cli; // https://a.example"), ["cli"]);
}

#[test]
fn a_path_in_a_type_or_a_macro_is_read() {
    assert_eq!(imported("fn f(x: &Vec<crate::cli::X>) {}"), ["cli::X"]);
    assert_eq!(
        imported("fn f() { println!(\"{}\", [crate::cli::N, 1][0]); }"),
        ["cli::N"]
    );
    assert_eq!(imported("fn f() { crate::say!(x: 1) }"), ["say"]);
}

#[test]
fn comments_strings_and_other_crates_are_not_read() {
    let code = "//! use crate::cli;\n/* use crate::cli; */ /// See [`crate::cli`].\nfn f() { let _ = \"crate::cli\"; }";
    assert_eq!(imported(code), [""; 0]);
    assert_eq!(
        imported(
            "use plugin_sdk::contract; fn f() { ::std::mem::drop(1) } pub(in crate::a) struct X;"
        ),
        [""; 0]
    );
    assert_eq!(imported("#[doc = \"crate::cli\"] struct X;"), [""; 0]);
}

#[test]
fn a_call_is_found_by_its_last_word() {
    let words = |code: &str| {
        last_words(code)
            .unwrap()
            .into_iter()
            .map(|(word, _)| word)
            .collect::<Vec<_>>()
    };
    assert!(words("fn f() {\n tokio::time::sleep(1) }").contains(&"sleep".to_owned()));
    assert!(words("fn f() { select! { () = sleep(d) => {} } }").contains(&"sleep".to_owned()));
    assert!(words("fn f() { let _ = \"sleep(\"; /* sleep( */ }").is_empty());
}

#[test]
fn tests_and_names_that_are_passed_on_are_told_apart() {
    let found = read(
        "pub use crate::x::Y;\n#[cfg(test)]\nmod tests { use super::*; use crate::z; }",
        &["a"],
    )
    .unwrap()
    .found;
    let seen: Vec<_> = found
        .iter()
        .map(|import| (&*import.path[0], import.in_test, import.passed_on))
        .collect();
    assert_eq!(
        seen,
        [("x", false, true), ("a", true, false), ("z", true, false)]
    );
    assert_eq!(found[2].line, 3);
}

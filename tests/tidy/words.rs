//! Words that stand in a list and in the `match` that returns them.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Ident, ImplItemConst, ImplItemFn, ItemConst, ItemFn, LitStr};

/// Returns the texts within the constant or the function with this name.
///
/// # Errors
/// Where the text is no Rust.
pub fn within(text: &str, name: &str) -> syn::Result<BTreeSet<String>> {
    let mut words = Words {
        name,
        is_within: false,
        found: BTreeSet::new(),
    };
    words.visit_file(&syn::parse_file(text)?);
    Ok(words.found)
}

struct Words<'n> {
    name: &'n str,
    is_within: bool,
    found: BTreeSet<String>,
}

impl Words<'_> {
    fn enter(&mut self, name: &Ident, walk: impl FnOnce(&mut Self)) {
        let before = self.is_within;
        self.is_within |= name == self.name;
        walk(self);
        self.is_within = before;
    }
}

impl Visit<'_> for Words<'_> {
    fn visit_item_const(&mut self, item: &ItemConst) {
        self.enter(&item.ident, |words| visit::visit_item_const(words, item));
    }

    fn visit_impl_item_const(&mut self, item: &ImplItemConst) {
        self.enter(&item.ident, |words| {
            visit::visit_impl_item_const(words, item)
        });
    }

    fn visit_item_fn(&mut self, item: &ItemFn) {
        self.enter(&item.sig.ident, |words| visit::visit_item_fn(words, item));
    }

    fn visit_impl_item_fn(&mut self, item: &ImplItemFn) {
        self.enter(&item.sig.ident, |words| {
            visit::visit_impl_item_fn(words, item)
        });
    }

    fn visit_lit_str(&mut self, text: &LitStr) {
        if self.is_within {
            self.found.insert(text.value());
        }
    }

    // A doc comment is a text as well.
    fn visit_attribute(&mut self, _: &syn::Attribute) {}
}

#[test]
fn texts_of_one_name_are_found() {
    let text = "const A: [&str; 2] = [\"a\", \"b\"];
        /// doc
        fn b() -> &'static str { match 1 { 1 => \"c\", _ => \"d\" } }
        impl X { const A: &str = \"e\"; fn c() { f(\"g\") } }";
    let found = |name: &str| within(text, name).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(found("A"), ["a", "b", "e"]);
    assert_eq!(found("b"), ["c", "d"]);
    assert_eq!(found("c"), ["g"]);
}

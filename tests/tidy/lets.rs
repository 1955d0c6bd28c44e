//! The `let`s of a file: one `let`, one name.

use syn::visit::{self, Visit};
use syn::{Expr, Local, Pat};

/// Returns the lines, from 1, of each `let` that binds several names to as many values of a tuple.
///
/// # Errors
/// Where the text is no Rust.
pub fn of_tuples(text: &str) -> syn::Result<Vec<usize>> {
    let mut found = Tuples::default();
    found.visit_file(&syn::parse_file(text)?);
    Ok(found.0)
}

#[derive(Default)]
struct Tuples(Vec<usize>);

impl Visit<'_> for Tuples {
    fn visit_local(&mut self, local: &Local) {
        if let (Pat::Tuple(names), Some(init)) = (&local.pat, &local.init)
            && let Expr::Tuple(values) = &*init.expr
            && init.diverge.is_none()
            && names.elems.len() == values.elems.len()
            && names.elems.iter().all(|name| matches!(name, Pat::Ident(_)))
        {
            self.0.push(local.let_token.span.start().line);
        }
        visit::visit_local(self, local);
    }
}

#[test]
fn only_tuples_that_are_taken_apart_at_once_are_found() {
    let text = "fn f() {
        let (a, b) = (1, 2);
        let (mut c, d) = (
            { let (e, f) = (3, 4); e + f },
            5,
        );
        let (g, h) = pair();
        let ((i, j), k) = ((1, 2), 3);
        let (Some(l), m) = (o(), 2) else { return };
        (a, b) = (b, a);
    }";
    assert_eq!(of_tuples(text).unwrap(), [2, 3, 4]);
    assert!(of_tuples("fn {").is_err());
}

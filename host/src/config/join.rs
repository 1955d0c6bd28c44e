//! Several files as one document: sections are joined, and what stands in two files is a problem.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::Span;

/// The key that only the main file may have.
const INCLUDE: &str = "include";

/// Moves every place in a document by `offset`, from its own file to the joined text.
pub(super) fn shifted(table: DeTable<'_>, offset: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            let key = Spanned::new(span.start + offset..span.end + offset, key.into_inner());
            (key, shifted_value(value, offset))
        })
        .collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, offset: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted(table, offset)),
        DeValue::Array(items) => {
            let mut moved = DeArray::new();
            for item in items {
                moved.push(shifted_value(item, offset));
            }
            DeValue::Array(moved)
        }
        plain => plain,
    };
    Spanned::new(span.start + offset..span.end + offset, value)
}

/// Something that an included file may not have.
pub(super) enum Clash {
    /// It includes others, at this place.
    Includes(Span),
    /// This name stands in an earlier file as well.
    Twice {
        name: String,
        /// The place in the earlier file.
        first: usize,
        /// The place in this one.
        again: Span,
    },
}

/// Adds the document of an included file, and returns what clashes. A table may have its keys in
/// several files, and a list its items; nothing else may stand in two.
pub(super) fn add<'a>(whole: &mut DeTable<'a>, part: DeTable<'a>) -> Vec<Clash> {
    let mut clashes = Vec::new();
    for (key, value) in part {
        let name = key.get_ref().as_ref();
        if name == INCLUDE {
            clashes.push(Clash::Includes(key.span()));
            continue;
        }
        let Some((first, _)) = whole.get_key_value(name) else {
            whole.insert(key, value);
            continue;
        };
        let first = first.span().start;
        let there = whole.get_mut(name).map(Spanned::get_mut);
        match (there, value.into_inner()) {
            (Some(DeValue::Table(there)), DeValue::Table(more)) => {
                add_keys(there, more, key.get_ref(), &mut clashes);
            }
            (Some(DeValue::Array(there)), DeValue::Array(more)) => {
                more.into_iter().for_each(|item| there.push(item));
            }
            _ => clashes.push(Clash::Twice {
                name: key.get_ref().to_string(),
                first,
                again: key.span(),
            }),
        }
    }
    clashes
}

fn add_keys<'a>(
    there: &mut DeTable<'a>,
    more: DeTable<'a>,
    section: &str,
    clashes: &mut Vec<Clash>,
) {
    for (key, value) in more {
        let name = key.get_ref().as_ref();
        let Some((first, _)) = there.get_key_value(name) else {
            there.insert(key, value);
            continue;
        };
        let first = first.span().start;
        match (
            there.get_mut(name).map(Spanned::get_mut),
            value.into_inner(),
        ) {
            // Such as [[admin.users]].
            (Some(DeValue::Array(there)), DeValue::Array(more))
                if is_of_tables(there) && is_of_tables(&more) =>
            {
                more.into_iter().for_each(|item| there.push(item));
            }
            _ => clashes.push(Clash::Twice {
                name: format!("{name} in [{section}]"),
                first,
                again: key.span(),
            }),
        }
    }
}

fn is_of_tables(list: &DeArray<'_>) -> bool {
    list.iter().all(|item| item.get_ref().is_table())
}

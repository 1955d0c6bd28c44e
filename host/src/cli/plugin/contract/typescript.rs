//! The contract in TypeScript: interfaces, and unions of words.

use std::fmt::Write as _;

use super::made_by;
use super::model::{Field, Kind, LIMITS, Model, Shape, Type, wrapped};
use plugin_sdk::contract::CONTRACT_VERSION;

/// The width of a comment's text.
const WIDTH: usize = 92;

pub fn write(model: &Model) -> String {
    let mut out = format!(
        "// {}\n\nexport const CONTRACT_VERSION = {CONTRACT_VERSION};\n",
        made_by("typescript")
    );
    for (name, limit) in LIMITS {
        let _ = writeln!(out, "export const {name} = {limit};");
    }
    out += "\n/** Any value of JSON. */\nexport type Json =\n  null | boolean | number | string | Json[] | { [name: string]: Json };\n";
    for one in &model.types {
        out.push('\n');
        write_type(&mut out, one);
    }
    out
}

fn write_type(out: &mut String, one: &Type) {
    let name = &one.name;
    comment(out, "", &one.doc);
    match &one.shape {
        Shape::Object { fields, one_of } if one_of.is_empty() => {
            let _ = writeln!(out, "export interface {name} {{");
            write_fields(out, fields.iter(), "  ", false);
            *out += "}\n";
        }
        Shape::Object { fields, one_of } => {
            let _ = write!(out, "export type {name} =");
            for kind in one_of {
                *out += "\n  | {\n";
                let chosen = fields.iter().filter(|field| field.name == *kind);
                write_fields(out, chosen, "      ", true);
                let beside = fields
                    .iter()
                    .filter(|field| kind == &one_of[0] && !one_of.contains(&field.name));
                write_fields(out, beside, "      ", false);
                *out += "    }";
            }
            *out += ";\n";
        }
        Shape::Words(variants) | Shape::Choice(variants) => {
            let _ = write!(out, "export type {name} =");
            for variant in variants {
                out.push('\n');
                if variant.doc != one.doc {
                    comment(out, "  ", &variant.doc);
                }
                let word = &variant.word;
                let _ = match &variant.kind {
                    None => write!(out, "  | {word:?}"),
                    Some(kind) => write!(out, "  | {{ {}: {} }}", key(word), typed(kind)),
                };
            }
            *out += ";\n";
        }
    }
}

fn write_fields<'f>(
    out: &mut String,
    fields: impl Iterator<Item = &'f Field>,
    indent: &str,
    required: bool,
) {
    for field in fields {
        comment(out, indent, &field.doc);
        let mark = if field.optional && !required { "?" } else { "" };
        let null = if field.nullable { " | null" } else { "" };
        let kind = typed(&field.kind);
        let _ = writeln!(out, "{indent}{}{mark}: {kind}{null};", key(&field.name));
    }
}

fn typed(kind: &Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Integer { .. } => "number".to_owned(),
        Kind::Flag => "boolean".to_owned(),
        Kind::Json => "Json".to_owned(),
        Kind::List(of) => format!("{}[]", typed(of)),
        Kind::Labels => "{ [name: string]: string }".to_owned(),
        Kind::Pair => "[string, string]".to_owned(),
        Kind::Named(name) => name.clone(),
    }
}

fn key(name: &str) -> String {
    if name.contains('-') {
        format!("{name:?}")
    } else {
        name.to_owned()
    }
}

fn comment(out: &mut String, indent: &str, text: &str) {
    // Nothing in it may end the comment.
    let lines = wrapped(&text.replace("*/", "* /"), WIDTH);
    match &lines[..] {
        [] => {}
        [line] => {
            let _ = writeln!(out, "{indent}/** {line} */");
        }
        lines => {
            let _ = writeln!(out, "{indent}/**");
            for line in lines {
                let _ = writeln!(out, "{}", format!("{indent} * {line}").trim_end());
            }
            let _ = writeln!(out, "{indent} */");
        }
    }
}

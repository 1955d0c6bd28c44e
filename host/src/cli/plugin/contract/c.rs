//! The contract in C: structs and enumerations, and the word of each enumerator.

use std::fmt::Write as _;

use super::made_by;
use super::model::{Field, Kind, LIMITS, Model, Shape, Type, Variant, snake, wrapped};
use plugin_sdk::contract::CONTRACT_VERSION;

/// The width of a comment's text.
const WIDTH: usize = 90;

/// Words of C that are no name for a field, and look like one.
const KEYWORDS: [&str; 16] = [
    "auto", "case", "const", "default", "double", "enum", "extern", "float", "int", "long",
    "register", "short", "signed", "static", "union", "volatile",
];

pub fn write(model: &Model) -> String {
    let mut out = format!(
        "/* {} */\n/* Texts are UTF-8 and end with a zero. A null pointer and an enumerator ABSENT are a field that is left \
         out. */\n#ifndef GATEWAY_CONTRACT_H\n#define GATEWAY_CONTRACT_H\n\n#include <stdbool.h>\n#include <stddef.h>\n\
         #include <stdint.h>\n\n#define GATEWAY_CONTRACT_VERSION {CONTRACT_VERSION}\n",
        made_by("c")
    );
    for (name, limit) in LIMITS {
        let _ = writeln!(out, "#define GATEWAY_{name} {limit}");
    }
    out += "\n/* A name and its value. */\ntypedef struct gateway_pair {\n    const char *name;\n    const char *value;\n} \
            gateway_pair;\n";
    for one in &model.types {
        if let Shape::Words(variants) = &one.shape {
            out.push('\n');
            write_words(&mut out, one, variants);
        }
    }
    out.push('\n');
    let structs = || {
        model
            .types
            .iter()
            .filter(|one| !matches!(one.shape, Shape::Words(_)))
    };
    for one in structs() {
        let name = snake(&one.name);
        let _ = writeln!(out, "typedef struct gateway_{name} gateway_{name};");
    }
    for one in structs() {
        out.push('\n');
        write_struct(&mut out, model, one);
    }
    out += "\n#endif\n";
    out
}

fn write_words(out: &mut String, one: &Type, variants: &[Variant]) {
    let name = snake(&one.name);
    let upper = name.to_ascii_uppercase();
    comment(out, "", &one.doc);
    let _ = writeln!(
        out,
        "typedef enum gateway_{name} {{\n    GATEWAY_{upper}_ABSENT,"
    );
    for Variant { word, doc, .. } in variants {
        if doc != &one.doc {
            comment(out, "    ", doc);
        }
        let _ = writeln!(
            out,
            "    GATEWAY_{upper}_{},",
            snake(word).to_ascii_uppercase()
        );
    }
    let _ = writeln!(out, "}} gateway_{name};\n");
    let _ = writeln!(
        out,
        "/* The word of each in JSON. */\nstatic inline const char *gateway_{name}_word({enum_} it) {{\n    \
         static const char *const words[] = {{",
        enum_ = format_args!("gateway_{name}")
    );
    *out += "        0,\n";
    for Variant { word, .. } in variants {
        let _ = writeln!(out, "        {word:?},");
    }
    *out += "    };\n    return words[it];\n}\n";
}

fn write_struct(out: &mut String, model: &Model, one: &Type) {
    comment(out, "", &one.doc);
    let _ = writeln!(out, "struct gateway_{} {{", snake(&one.name));
    match &one.shape {
        Shape::Object { fields, .. } => {
            for field in fields {
                comment(out, "    ", &field.doc);
                write_field(out, model, field);
            }
        }
        Shape::Choice(variants) | Shape::Words(variants) => {
            let bare: Vec<_> = variants
                .iter()
                .filter(|one| one.kind.is_none())
                .map(|one| format!("\"{}\"", one.word))
                .collect();
            if !bare.is_empty() {
                comment(out, "    ", &format!("One of {}.", bare.join(", ")));
                *out += "    const char *word;\n";
            }
            for Variant { word, doc, kind } in variants {
                let Some(kind) = kind else { continue };
                comment(out, "    ", doc);
                let _ = writeln!(out, "    {}", declared(model, kind, &named(word), true));
            }
        }
    }
    *out += "};\n";
}

fn write_field(out: &mut String, model: &Model, field: &Field) {
    let name = named(&field.name);
    let _ = match &field.kind {
        Kind::List(of) => writeln!(
            out,
            "    {}\n    size_t {name}_count;",
            declared(model, of, &format!("*{name}"), false)
        ),
        Kind::Labels => writeln!(
            out,
            "    const gateway_pair *{name};\n    size_t {name}_count;"
        ),
        kind => {
            let pointed = match kind {
                Kind::Integer { .. } | Kind::Flag => field.nullable,
                _ => true,
            };
            writeln!(out, "    {}", declared(model, kind, &name, pointed))
        }
    };
}

fn named(name: &str) -> String {
    let name = snake(name);
    if KEYWORDS.contains(&name.as_str()) {
        name + "_"
    } else {
        name
    }
}

/// A declaration of `name`, which has a star where it is an array.
fn declared(model: &Model, kind: &Kind, name: &str, pointed: bool) -> String {
    let star = if pointed { "*" } else { "" };
    let constant = if pointed || name.starts_with('*') {
        "const "
    } else {
        ""
    };
    match kind {
        Kind::Text | Kind::Json => {
            let inner = if name.starts_with('*') { "const " } else { "" };
            let name = name.trim_start_matches('*');
            if inner.is_empty() {
                format!("const char *{name};")
            } else {
                format!("const char *const *{name};")
            }
        }
        Kind::Integer { signed, bits } => {
            let sign = if *signed { "" } else { "u" };
            format!("{constant}{sign}int{bits}_t {star}{name};")
        }
        Kind::Flag => format!("{constant}bool {star}{name};"),
        Kind::Pair => format!("const gateway_pair {name};"),
        Kind::Labels | Kind::List(_) => format!("const void *{name};"),
        Kind::Named(named) if model.is_word(kind) => {
            format!("gateway_{} {name};", snake(named))
        }
        Kind::Named(named) => format!("const gateway_{} {star}{name};", snake(named)),
    }
}

fn comment(out: &mut String, indent: &str, text: &str) {
    // Nothing in it may end the comment.
    let lines = wrapped(&text.replace("*/", "* /"), WIDTH);
    let last = lines.len().saturating_sub(1);
    for (number, line) in lines.iter().enumerate() {
        let open = if number == 0 { "/* " } else { " * " };
        let close = if number == last { " */" } else { "" };
        let _ = writeln!(out, "{}", format!("{indent}{open}{line}{close}").trim_end());
    }
}

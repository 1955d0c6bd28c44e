//! The statements of SQLite, as PostgreSQL understands them.
//!
//! The store's statements are common to both, but for a handful of spellings. These are translated
//! here: parameters (`?1`, `$1`), `INSERT OR REPLACE`, the functions `ifnull`, `instr`,
//! and `max` and `min` of several values, `LIKE` without regard to case, `INDEXED BY`, and joins
//! in an order for SQLite.

use tokio_postgres::types::Type;

/// The columns by which `INSERT OR REPLACE` finds the row to replace.
const KEYS: [(&str, &str); 9] = [
    ("attempts", "delivery, n"),
    ("conditions", "key"),
    ("dead", "id"),
    ("identities", "hash"),
    ("keys", "ordering_key"),
    ("members", "alert"),
    ("muted", "alert"),
    ("storms", "source"),
    ("totals", "state"),
];

/// Translates a statement.
pub fn translate(sql: &str) -> String {
    let (sql, tail) = match sql.trim_start().strip_prefix("INSERT OR REPLACE INTO ") {
        Some(rest) => (format!("INSERT INTO {rest}"), replace(rest)),
        None => (sql.to_owned(), String::new()),
    };
    let mut out = String::with_capacity(sql.len() + tail.len() + 16);
    let mut rest = sql.as_str();
    let mut parameters = 0;
    while let Some(first) = rest.chars().next() {
        let (token, after) = split(rest, first);
        rest = after;
        match token {
            "?" => {
                parameters += 1;
                out.push_str(&format!("${parameters}"));
            }
            _ if first == '?' => {
                out.push('$');
                out.push_str(&token[1..]);
            }
            "ifnull" => out.push_str("coalesce"),
            "instr" => out.push_str("strpos"),
            "LIKE" => out.push_str("ILIKE"),
            // Of tables that are joined on something.
            "CROSS" if !rest.trim_start().starts_with("JOIN (") => rest = rest.trim_start(),
            "INTEGER" => out.push_str("bigint"),
            "INDEXED" => {
                let name = rest
                    .trim_start()
                    .strip_prefix("BY")
                    .unwrap_or(rest)
                    .trim_start();
                rest = name.trim_start_matches(is_of_word);
            }
            "max" if has_several(rest) => out.push_str("greatest"),
            "min" if has_several(rest) => out.push_str("least"),
            _ => out.push_str(token),
        }
    }
    out + &tail
}

/// The statements that change rows.
const CHANGES: [&str; 4] = [
    "INSERT OR REPLACE INTO ",
    "INSERT INTO ",
    "DELETE FROM ",
    "UPDATE ",
];

/// Returns the table that a statement changes.
pub fn table(sql: &str) -> &str {
    let sql = sql.trim_start();
    let rest = CHANGES.iter().find_map(|begin| sql.strip_prefix(begin));
    let rest = rest.unwrap_or_default();
    &rest[..rest.len() - rest.trim_start_matches(is_of_word).len()]
}

/// Returns whether a statement can be made one of many values: it adds rows of plain values, or
/// finds the row to change by its id, which is the first value.
pub fn takes_many(sql: &str) -> bool {
    let sql = sql.trim_end();
    if sql.contains("ON CONFLICT") || sql.contains("RETURNING") {
        return false;
    }
    match table(sql) {
        "" => false,
        _ if sql.contains("INTO ") => sql.contains(" VALUES (") && !sql.contains("SELECT"),
        _ => sql.ends_with(" WHERE id = ?1") || sql.ends_with(" WHERE id = ?"),
    }
}

/// Makes a statement that [takes many](takes_many) values, and was translated, one whose parameters
/// are arrays of them. `types` are those of single ones.
pub fn many(sql: &str, types: &[Type]) -> String {
    let from = format!("unnest({}) AS given({})", arrays(types), places(types));
    let named = named(sql);
    if let Some((begin, rest)) = named.split_once(" VALUES (") {
        let end = closing(rest);
        let values = &rest[..end];
        let tail = &rest[end + 1..];
        return format!("{begin} SELECT {values} FROM {from}{tail}");
    }
    let word = if named.starts_with("DELETE") {
        "USING"
    } else {
        "FROM"
    };
    let (begin, tail) = named.rsplit_once(" WHERE ").unwrap_or((&named, "true"));
    format!("{begin} {word} {from} WHERE {tail}")
}

/// Makes a question, which was translated, one whose parameters are arrays of its values, and whose
/// rows begin with the place of their values in these, from 1. `types` are those of single ones.
pub fn each(sql: &str, types: &[Type]) -> String {
    format!(
        "SELECT given.place, one.* FROM unnest({}) WITH ORDINALITY AS given({}, place) CROSS JOIN LATERAL ({}) AS one",
        arrays(types),
        places(types),
        named(sql)
    )
}

/// Returns parameters that are arrays of these types.
fn arrays(types: &[Type]) -> String {
    let arrays = types.iter().zip(1..);
    let arrays: Vec<_> = arrays
        .map(|(of, place)| format!("${place}::{}[]", of.name()))
        .collect();
    arrays.join(", ")
}

/// Returns the columns of rows that are given by as many arrays.
fn places(types: &[Type]) -> String {
    let places: Vec<_> = (1..=types.len()).map(|place| format!("p{place}")).collect();
    places.join(", ")
}

/// Returns a statement whose parameters are columns of the given rows.
fn named(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (token, after) = split(rest, first);
        rest = after;
        match token {
            "$" => out.push_str("given.p"),
            _ => out.push_str(token),
        }
    }
    out
}

/// Returns the place of the parenthesis that closes one before the text.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return place,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Splits the first token off: a word, a text in quotes, a parameter, or any other character.
fn split(text: &str, first: char) -> (&str, &str) {
    let length = match first {
        '\'' => text[1..].find('\'').map_or(text.len(), |end| end + 2),
        '?' => {
            1 + text[1..].len()
                - text[1..]
                    .trim_start_matches(|c: char| c.is_ascii_digit())
                    .len()
        }
        _ if is_of_word(first) => text.len() - text.trim_start_matches(is_of_word).len(),
        _ => first.len_utf8(),
    };
    text.split_at(length)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns whether the parentheses that follow hold several values.
fn has_several(after: &str) -> bool {
    let mut depth = 0;
    for c in after.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return false,
            ')' => depth -= 1,
            ',' if depth == 1 => return true,
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// Returns the end of a statement that replaces a row and goes on with `rest`.
fn replace(rest: &str) -> String {
    let (table, columns) = rest.split_once('(').unwrap_or_default();
    let columns = columns.split_once(')').unwrap_or_default().0;
    let key = KEYS.iter().find(|(name, _)| *name == table.trim());
    let key = key.map_or("", |(_, key)| *key);
    let is_key = |column: &str| key.split(", ").any(|one| one == column);
    let changed = columns.split(',').map(str::trim);
    let changed = changed.filter(|column| !is_key(column));
    let changed: Vec<_> = changed
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    format!(" ON CONFLICT ({key}) DO UPDATE SET {}", changed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_sqlite_become_those_of_postgresql() {
        let cases = [
            (
                "SELECT a FROM b WHERE c = ? AND d = ?",
                "SELECT a FROM b WHERE c = $1 AND d = $2",
            ),
            ("SELECT ?2, ?1, '?'", "SELECT $2, $1, '?'"),
            (
                "SELECT max(id) FROM q INDEXED BY q_due WHERE x",
                "SELECT max(id) FROM q  WHERE x",
            ),
            (
                "SELECT max(ifnull(a, ?1), (SELECT max(b) FROM c)), min(d)",
                "SELECT greatest(coalesce(a, $1), (SELECT max(b) FROM c)), min(d)",
            ),
            ("a CROSS JOIN b ON a.x = b.x", "a JOIN b ON a.x = b.x"),
            ("CAST(a AS INTEGER) LIKE ?", "CAST(a AS bigint) ILIKE $1"),
            (
                "INSERT OR REPLACE INTO attempts (delivery, n, at) VALUES (?, ?, ?)",
                "INSERT INTO attempts (delivery, n, at) VALUES ($1, $2, $3) \
                 ON CONFLICT (delivery, n) DO UPDATE SET at = excluded.at",
            ),
        ];
        for (sqlite, postgresql) in cases {
            assert_eq!(translate(sqlite), postgresql);
        }
    }
    #[test]
    fn question_for_one_row_becomes_one_for_many() {
        let types = [Type::INT8, Type::TEXT];
        assert_eq!(
            each("SELECT a FROM b WHERE c = $1 AND d = $2", &types),
            "SELECT given.place, one.* FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS given(p1, p2, place) \
             CROSS JOIN LATERAL (SELECT a FROM b WHERE c = given.p1 AND d = given.p2) AS one"
        );
    }

    #[test]
    fn statement_for_one_row_becomes_one_for_many() {
        let cases = [
            (
                "INSERT INTO queue (id, attempts, priority) VALUES (?, 0, ?)",
                "queue",
                "INSERT INTO queue (id, attempts, priority) SELECT given.p1, 0, given.p2 \
                 FROM unnest($1::int8[], $2::int8[]) AS given(p1, p2)",
            ),
            (
                "INSERT OR REPLACE INTO totals (state, n) VALUES (?, ?)",
                "totals",
                "INSERT INTO totals (state, n) SELECT given.p1, given.p2 \
                 FROM unnest($1::int8[], $2::int8[]) AS given(p1, p2) \
                 ON CONFLICT (state) DO UPDATE SET n = excluded.n",
            ),
            (
                "DELETE FROM queue WHERE id = ?",
                "queue",
                "DELETE FROM queue USING unnest($1::int8[]) AS given(p1) WHERE id = given.p1",
            ),
            (
                "UPDATE queue SET due_at = ?2, attempts = ?3 WHERE id = ?1",
                "queue",
                "UPDATE queue SET due_at = given.p2, attempts = given.p3 \
                 FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS given(p1, p2, p3) WHERE id = given.p1",
            ),
        ];
        for (sqlite, of, postgresql) in cases {
            assert!(takes_many(sqlite), "{sqlite}");
            assert_eq!(table(sqlite), of);
            let values = sqlite.matches('?').count();
            let types = vec![Type::INT8; values];
            assert_eq!(many(&translate(sqlite), &types), postgresql);
        }
    }

    #[test]
    fn statement_that_finds_its_row_otherwise_is_for_one() {
        for sql in [
            "UPDATE queue SET due_at = ?3 WHERE id = (SELECT id FROM queue WHERE ordering_key = ?1)",
            "UPDATE writer SET next_seq = ?",
            "INSERT INTO a (b) SELECT c FROM d WHERE id = ?",
            "INSERT INTO a (b) VALUES (?) ON CONFLICT (b) DO UPDATE SET c = ?1",
            "SELECT 1 FROM a WHERE id = ?",
        ] {
            assert!(!takes_many(sql), "{sql}");
        }
        assert_eq!(table("SELECT 1"), "");
    }
}

//! The statements of SQLite, as PostgreSQL understands them.
//!
//! The store's statements are common to both, but for a handful of spellings. These are translated
//! here: parameters (`?1`, `$1`), `INSERT OR REPLACE`, the functions `ifnull`, `instr`,
//! and `max` and `min` of several values, `LIKE` without regard to case, `INDEXED BY`, and joins
//! in an order for SQLite.

/// The columns by which `INSERT OR REPLACE` finds the row to replace.
const KEYS: [(&str, &str); 10] = [
    ("attempts", "delivery, n"),
    ("conditions", "key"),
    ("dead", "id"),
    ("identities", "hash"),
    ("keys", "ordering_key"),
    ("members", "alert"),
    ("muted", "alert"),
    ("storms", "source"),
    ("timers", "ordering_key"),
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
}

//! Statements of a transaction that wait to be sent together.
//!
//! Each use of one has values of its own. Where all of them change rows of their own, they are sent
//! as one statement over arrays, which costs both sides a fraction. What is done to one table keeps
//! its order.

use std::collections::HashSet;

use rusqlite::types::Value;

use super::dialect;

/// The number of bytes that wait at the most: what is sent at once is in memory twice.
const BYTES: usize = 4 * 1024 * 1024;

/// The uses of one statement.
#[derive(Debug)]
pub struct Batch {
    /// In SQLite's dialect.
    pub sql: String,
    /// The values of each use.
    pub rows: Vec<Vec<Value>>,
    /// The first value of each, by which it finds its row.
    firsts: HashSet<u64>,
}

/// Statements that wait, in their order.
#[derive(Debug, Default)]
pub struct Gathered {
    batches: Vec<Batch>,
    bytes: usize,
}

impl Gathered {
    /// Adds a use of a statement. `first` tells its first value from that of another use; equal ones
    /// change the same row. Returns whether what waits should be sent.
    pub fn add(&mut self, sql: &str, first: Option<u64>, values: Vec<Value>) -> bool {
        self.bytes += values.iter().map(bytes).sum::<usize>();
        let table = dialect::table(sql);
        let last = self
            .batches
            .iter_mut()
            .rfind(|batch| dialect::table(&batch.sql) == table);
        match (last, first) {
            (Some(batch), Some(first))
                if batch.sql == sql
                    && dialect::takes_many(sql)
                    && !batch.firsts.contains(&first) =>
            {
                batch.firsts.insert(first);
                batch.rows.push(values);
            }
            _ => self.batches.push(Batch {
                sql: sql.to_owned(),
                rows: vec![values],
                firsts: first.into_iter().collect(),
            }),
        }
        self.bytes > BYTES
    }

    /// Takes all that wait.
    pub fn take(&mut self) -> Vec<Batch> {
        std::mem::take(self).batches
    }
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => size_of::<Value>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT: &str = "INSERT INTO a (id) VALUES (?)";
    const DELETE: &str = "DELETE FROM a WHERE id = ?";
    const OTHER: &str = "INSERT INTO b (id) VALUES (?)";

    #[test]
    fn order_of_each_table_is_kept() {
        let mut gathered = Gathered::default();
        for (sql, id) in [
            (INSERT, 1),
            (OTHER, 1),
            (INSERT, 2),
            (DELETE, 1),
            (OTHER, 2),
            (INSERT, 3),
            (INSERT, 3),
        ] {
            assert!(!gathered.add(sql, Some(id), vec![Value::Integer(0)]));
        }
        let batches = gathered.take();
        let shown: Vec<_> = batches
            .iter()
            .map(|batch| (batch.sql.as_str(), batch.rows.len()))
            .collect();
        assert_eq!(
            shown,
            [
                (INSERT, 2),
                (OTHER, 2),
                (DELETE, 1),
                (INSERT, 1),
                (INSERT, 1)
            ]
        );
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn much_is_sent_before_more_is_gathered() {
        let mut gathered = Gathered::default();
        assert!(!gathered.add(INSERT, Some(1), vec![Value::Blob(vec![0; BYTES])]));
        assert!(gathered.add(INSERT, Some(2), vec![Value::Blob(vec![0; 1])]));
    }
}

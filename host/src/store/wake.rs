//! Making all waiting deliveries of a recovered destination due at once, but for the time that the
//! destination itself asked for.

use rusqlite::params;

use super::StoreError;
use super::command::Command;
use super::step::Step;

/// The number of deliveries one commit makes due. More would hold up the commits behind it.
const BATCH: usize = 1000;

/// Makes due what waits for `destination`, from delivery `from` on.
#[derive(Debug)]
pub struct Wake {
    pub destination: String,
    pub from: i64,
    pub now_ms: i64,
}

/// The result of one step.
#[derive(Debug, Clone, Copy)]
pub struct Woken {
    /// The number of deliveries that have become due.
    pub deliveries: usize,
    /// The place where the next step begins; `None` says that nothing more waits.
    pub next: Option<i64>,
}

impl Command for Wake {
    type Output = Woken;

    fn run(&self, step: &mut Step<'_>) -> Result<Woken, StoreError> {
        let destination = step.destination(&self.destination)?;
        let waiting: Vec<i64> = step
            .transaction
            .prepare_cached(
                "SELECT id FROM queue WHERE id >= ?1 AND destination = ?2 AND due_at > ?3 AND due_at > not_before
                 ORDER BY id LIMIT ?4",
            )?
            .query_map(params![self.from, destination, self.now_ms, BATCH as i64], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        // Before all that came in meanwhile: what has waited longest goes first.
        let mut update = step.transaction.prepare_cached(
            "UPDATE queue SET due_at = CASE WHEN not_before > ?2 THEN not_before ELSE 0 END WHERE id = ?1",
        )?;
        for id in &waiting {
            update.execute_soon([*id, self.now_ms])?;
        }
        drop(update);
        step.made_due.others |= !waiting.is_empty();
        let next = waiting
            .last()
            .filter(|_| waiting.len() == BATCH)
            .and_then(|last| last.checked_add(1));
        Ok(Woken {
            deliveries: waiting.len(),
            next,
        })
    }
}

//! The wire to PostgreSQL: where it is, a connection, and how statements and values are written.

mod address;
mod codec;
mod dialect;
mod gathered;
mod link;

pub use address::Address;
pub use link::{ANSWER, Answers, Cells, Given, Link, Question};

/// Begins a transaction that writes. One writes at a time, as in a file. The lock is a row, so it
/// goes with its transaction, however that ends. A gateway that stops in the midst of one is put out
/// after three seconds. Plans are kept, and made while a new store is empty: without a word they
/// would read whole tables once these have grown, until the server has counted them. A plan that has
/// to read one counts as very dear then, and the server would compile it, which takes longer than
/// all the rest of a commit. A question over an array would be planned anew each time, which takes
/// longer than its answer.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL idle_in_transaction_session_timeout = '3s';
    SET LOCAL enable_seqscan = off;
    SET LOCAL jit = off;
    SET LOCAL plan_cache_mode = force_generic_plan;
    SELECT 1 FROM writer FOR UPDATE";

/// Begins a transaction that reads, and sees one moment. Its questions differ more, so the server
/// chooses when to plan one anew.
pub const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL enable_seqscan = off;
    SET LOCAL jit = off";

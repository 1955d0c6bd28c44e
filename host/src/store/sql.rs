//! The engines behind one face: a connection to the embedded file or to PostgreSQL, its
//! transactions, statements and rows.
//!
//! Commands and readers are written once, against this. The statements are those of SQLite; what
//! differs in PostgreSQL is translated by [`postgres`](super::postgres). Values and their
//! conversions are rusqlite's for both engines.

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::{Duration, Instant};

use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{CachedStatement, ToSql};

use super::StoreError;
use super::postgres::{Answers, BEGIN, Cells, Link, Question, READ};

/// The number of rows that a database is asked for at once: a way there and back for each would take
/// most of the time, and each may be as large as an alert can be.
const AHEAD: usize = 32;

/// A connection to the store.
#[derive(Debug)]
pub enum Connection {
    /// To the file in the data directory.
    Embedded(rusqlite::Connection),
    /// To a database that several gateways may share.
    Postgres(Link),
}

/// A transaction, which is rolled back where it is not committed.
#[derive(Debug)]
pub struct Transaction<'a> {
    connection: &'a Connection,
    open: bool,
}

/// A statement that is ready to run.
pub enum Statement<'a> {
    /// Of SQLite.
    Embedded(CachedStatement<'a>),
    /// Of PostgreSQL, prepared once it runs.
    Postgres(&'a Link, String),
}

/// A row that was read.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// Of SQLite.
    Embedded(&'a rusqlite::Row<'a>),
    /// Of PostgreSQL.
    Postgres(&'a [Value]),
}

/// Rows that are read one after the other.
pub enum Rows<'a> {
    /// Of SQLite.
    Embedded(rusqlite::Rows<'a>),
    /// Of PostgreSQL, all of them, and the place of the next one.
    Postgres(Vec<Vec<Value>>, usize),
}

/// The parameters of a statement.
pub trait Params {
    /// Calls `run` with them.
    fn with<R>(&self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R;
}

/// Parameters of which an iterator has any number.
pub struct Many<I>(I);

/// Makes parameters of an iterator.
pub fn params_from_iter<T: ToSql, I: Iterator<Item = T> + Clone>(values: I) -> Many<I> {
    Many(values)
}

impl<T: ToSql, I: Iterator<Item = T> + Clone> Params for Many<I> {
    fn with<R>(&self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        let values: Vec<T> = self.0.clone().collect();
        let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        run(&values)
    }
}

impl Params for &[&dyn ToSql] {
    fn with<R>(&self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        run(self)
    }
}

impl Params for [&dyn ToSql; 0] {
    fn with<R>(&self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        run(self)
    }
}

macro_rules! arrays {
    ($($n:literal)*) => {$(
        impl<T: ToSql> Params for [T; $n] {
            fn with<R>(&self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
                run(&self.each_ref().map(|value| value as &dyn ToSql))
            }
        }
    )*};
}
arrays!(1 2 3 4 5 6 7 8);

impl Connection {
    /// Makes a statement ready, and keeps it for the next time.
    ///
    /// # Errors
    /// The engine's.
    pub fn prepare_cached(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        match self {
            Self::Embedded(connection) => connection.prepare_cached(sql).map(Statement::Embedded),
            Self::Postgres(link) => Ok(Statement::Postgres(link, sql.to_owned())),
        }
    }

    /// Runs a statement. Returns the number of rows that it changed.
    ///
    /// # Errors
    /// The engine's.
    pub fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Reads one row.
    ///
    /// # Errors
    /// The engine's, or that there is none.
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Begins a transaction that reads, and sees one moment.
    ///
    /// # Errors
    /// The engine's.
    pub fn transaction(&mut self) -> Result<Transaction<'_>, StoreError> {
        match self {
            Self::Embedded(connection) => connection.execute_batch("BEGIN")?,
            Self::Postgres(link) => link.begin(READ)?,
        }
        let connection = self;
        let open = true;
        Ok(Transaction { connection, open })
    }

    /// Begins a transaction that writes: it waits for other processes here, and not in its midst.
    ///
    /// # Errors
    /// The engine's.
    pub fn write(&self) -> Result<Transaction<'_>, StoreError> {
        match self {
            Self::Embedded(connection) => connection.execute_batch("BEGIN IMMEDIATE")?,
            Self::Postgres(link) => link.begin(BEGIN)?,
        }
        let connection = self;
        let open = true;
        Ok(Transaction { connection, open })
    }

    /// The same, and asks a database questions in it on the same way. Returns the rows of each; a
    /// file is asked nothing.
    ///
    /// # Errors
    /// The engine's.
    pub fn write_asking(
        &self,
        questions: &[Question],
    ) -> Result<(Transaction<'_>, Answers), StoreError> {
        let Self::Postgres(link) = self else {
            return Ok((self.write()?, Vec::new()));
        };
        let answers = link.begin_asking(BEGIN, questions)?;
        let connection = self;
        let open = true;
        Ok((Transaction { connection, open }, answers))
    }

    /// Sets the time that every question from now on may take together.
    ///
    /// # Errors
    /// SQLite's.
    pub fn hurry(&mut self, within: Duration) -> Result<(), StoreError> {
        match self {
            Self::Embedded(connection) => {
                let deadline = Instant::now() + within;
                // Some microseconds' worth of steps between two looks at the clock.
                let late = move || Instant::now() > deadline;
                connection.progress_handler(1000, Some(late))?;
            }
            Self::Postgres(link) => link.set_deadline(within),
        }
        Ok(())
    }

    /// Returns the number of rows that were changed since the connection was made.
    pub fn total_changes(&self) -> u64 {
        match self {
            Self::Embedded(connection) => connection.total_changes(),
            Self::Postgres(link) => link.changes(),
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Transaction<'_> {
    /// Commits it.
    ///
    /// # Errors
    /// The engine's. PostgreSQL may have committed it all the same, where the error is
    /// [`StoreError::Unknown`].
    pub fn commit(mut self) -> Result<(), StoreError> {
        match self.connection {
            // One that fails is still open, and is rolled back.
            Connection::Embedded(connection) => connection.execute_batch("COMMIT")?,
            Connection::Postgres(link) => {
                self.open = false;
                link.commit()?;
            }
        }
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        match self.connection {
            // A full disk may have rolled it back already.
            Connection::Embedded(connection) if !connection.is_autocommit() => {
                if let Err(error) = connection.execute_batch("ROLLBACK") {
                    tracing::error!(%error, "a transaction could not be rolled back");
                }
            }
            Connection::Embedded(_) => {}
            Connection::Postgres(link) => link.roll_back(),
        }
    }
}

impl<'a> Statement<'a> {
    /// Runs it. Returns the number of rows that it changed.
    ///
    /// # Errors
    /// The engine's.
    pub fn execute(&mut self, params: impl Params) -> rusqlite::Result<usize> {
        match self {
            Self::Embedded(statement) => params.with(|params| statement.execute(params)),
            Self::Postgres(link, sql) => {
                let changed = link.execute(sql, &values(params)?).map_err(packed)?;
                Ok(usize::try_from(changed).unwrap_or(usize::MAX))
            }
        }
    }

    /// Runs it within a transaction, and does not wait for it: where it fails, whatever comes next
    /// fails. It saves the way to the database and back, and uses of one statement go there
    /// together. Returns the number of rows that it changed, where that is known at once.
    ///
    /// # Errors
    /// The engine's.
    pub fn execute_soon(&mut self, params: impl Params) -> rusqlite::Result<Option<usize>> {
        match self {
            Self::Embedded(statement) => params.with(|params| statement.execute(params)).map(Some),
            Self::Postgres(link, sql) => {
                link.execute_soon(sql, values(params)?).map_err(packed)?;
                Ok(None)
            }
        }
    }

    /// Reads one row.
    ///
    /// # Errors
    /// The engine's, or that there is none.
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match self {
            Self::Embedded(statement) => {
                params.with(|params| statement.query_row(params, |row| read(Row::Embedded(row))))
            }
            Self::Postgres(link, sql) => {
                let rows = link.query(sql, &values(params)?).map_err(packed)?;
                let row = rows.first().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                read(Row::Postgres(row))
            }
        }
    }

    /// Reads one row for each of these parameters, as it is asked for. A database is asked for
    /// [`AHEAD`] of them at once. An error is of its own row, or of all that were asked for with
    /// it.
    pub fn query_each<'s, T, P: Params, F: FnMut(Row<'_>) -> rusqlite::Result<T> + 's>(
        &'s mut self,
        each: impl IntoIterator<Item = P, IntoIter: 's>,
        read: F,
    ) -> impl Iterator<Item = rusqlite::Result<T>>
    where
        'a: 's,
    {
        Each {
            statement: self,
            left: each.into_iter(),
            ahead: VecDeque::new(),
            read,
        }
    }

    /// Returns whether there is a row.
    ///
    /// # Errors
    /// The engine's.
    pub fn exists(&mut self, params: impl Params) -> rusqlite::Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// Reads rows.
    ///
    /// # Errors
    /// The engine's; what is wrong with a row is in its place.
    pub fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<std::vec::IntoIter<rusqlite::Result<T>>> {
        let mut rows = self.query(params)?;
        let mut all = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => all.push(read(row)),
                Ok(None) => break,
                Err(error) => {
                    all.push(Err(error));
                    break;
                }
            }
        }
        Ok(all.into_iter())
    }

    /// Reads rows one after the other.
    ///
    /// # Errors
    /// The engine's.
    pub fn query(&mut self, params: impl Params) -> rusqlite::Result<Rows<'_>> {
        match self {
            Self::Embedded(statement) => params
                .with(|params| statement.query(params))
                .map(Rows::Embedded),
            Self::Postgres(link, sql) => {
                let rows = link.query(sql, &values(params)?).map_err(packed)?;
                Ok(Rows::Postgres(rows, 0))
            }
        }
    }
}

/// The rows for each of several parameters.
struct Each<'s, 'a, I, F> {
    statement: &'s mut Statement<'a>,
    left: I,
    /// The rows of those that a database was asked for.
    ahead: VecDeque<Result<Vec<Cells>, StoreError>>,
    read: F,
}

impl<T, P: Params, I: Iterator<Item = P>, F: FnMut(Row<'_>) -> rusqlite::Result<T>> Iterator
    for Each<'_, '_, I, F>
{
    type Item = rusqlite::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let Statement::Postgres(link, sql) = &*self.statement else {
            let params = self.left.next()?;
            return Some(self.statement.query_row(params, &mut self.read));
        };
        if self.ahead.is_empty() {
            let next = self.left.by_ref().take(AHEAD).map(values);
            match next.collect::<Result<Vec<_>, _>>() {
                Ok(next) => self.ahead.extend(link.query_each(sql, next)),
                Err(error) => return Some(Err(error)),
            }
        }
        let rows = self.ahead.pop_front()?.map_err(packed);
        Some(rows.and_then(|rows| {
            let row = rows.first().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            (self.read)(Row::Postgres(row))
        }))
    }
}

impl Rows<'_> {
    /// Returns the next row.
    ///
    /// # Errors
    /// The engine's.
    pub fn next(&mut self) -> rusqlite::Result<Option<Row<'_>>> {
        match self {
            Self::Embedded(rows) => Ok(rows.next()?.map(Row::Embedded)),
            Self::Postgres(rows, next) => {
                *next += 1;
                Ok(rows.get(*next - 1).map(|row| Row::Postgres(row)))
            }
        }
    }
}

/// The place of a column.
pub trait Index {
    /// Returns it.
    fn place(self) -> usize;
}

impl Index for usize {
    fn place(self) -> usize {
        self
    }
}

impl<'a> Row<'a> {
    /// Returns the value of a column.
    ///
    /// # Errors
    /// It is of another type.
    pub fn get<I: Index, T: FromSql>(self, index: I) -> rusqlite::Result<T> {
        let index = index.place();
        match self {
            Self::Embedded(row) => row.get(index),
            Self::Postgres(_) => {
                let value = self.get_ref(index)?;
                T::column_result(value).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(
                        index,
                        value.data_type(),
                        Box::new(error),
                    )
                })
            }
        }
    }

    /// Returns the value of a column, where it stands.
    ///
    /// # Errors
    /// There is no such column.
    pub fn get_ref(self, index: usize) -> rusqlite::Result<ValueRef<'a>> {
        match self {
            Self::Embedded(row) => row.get_ref(index),
            Self::Postgres(row) => row
                .get(index)
                .map(ValueRef::from)
                .ok_or(rusqlite::Error::InvalidColumnIndex(index)),
        }
    }
}

/// Returns the values of parameters.
fn values(params: impl Params) -> rusqlite::Result<Vec<Value>> {
    params.with(|params| {
        let values = params.iter().map(|param| match param.to_sql()? {
            rusqlite::types::ToSqlOutput::Owned(value) => Ok(value),
            rusqlite::types::ToSqlOutput::Borrowed(value) => Ok(Value::try_from(value)?),
            _ => Err(rusqlite::Error::InvalidQuery),
        });
        values.collect()
    })
}

/// Packs an error of PostgreSQL, until it becomes a [`StoreError`] again.
fn packed(error: StoreError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(Box::new(error))
}

//! A connection to PostgreSQL, for one thread at a time.
//!
//! Whoever uses it blocks, as with a file, and drives the connection while it waits: no other thread
//! is woken to send anything. Each wait is bounded. Where an answer does not come in
//! time the socket is dropped: a commit is never cancelled, as PostgreSQL would then call it done
//! before the standby has it. A connection that was lost is made anew by the next use, but not
//! within a transaction.

use std::cell::{Cell as Flag, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

use super::address::{Address, CONNECT};
use super::codec::{Cell, Column, Param};
use super::dialect::{self, translate};
use super::gathered::{Batch, Gathered};
use crate::store::StoreError;
use crate::store::wait::wait;

/// The longest wait for an answer.
pub const ANSWER: Duration = Duration::from_secs(8);
/// The most statements that a connection keeps ready.
const STATEMENTS: usize = 256;

/// Makes the connections, and watches their sockets. Nothing that blocks runs on it.
static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("store-postgres")
        .enable_all()
        .build()
});

/// A connection, or the means to make one.
pub struct Link {
    address: Arc<Address>,
    live: RefCell<Option<Live>>,
    in_transaction: Flag<bool>,
    changes: Flag<u64>,
    /// The number of times that an answer was waited for.
    waits: Flag<u64>,
    hasher: RandomState,
    within: Flag<Duration>,
    /// The end of all questions together, where there is one.
    deadline: Flag<Option<Instant>>,
}

/// A message that was sent. Its answer is waited for later.
enum Sent<'a, T> {
    Asked(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
    /// The answer came at once.
    Answered(T),
}

impl<'a, T> Sent<'a, T> {
    /// Sends the message of a future, by its first poll.
    fn send(future: impl Future<Output = T> + Send + 'a) -> Self {
        let mut future: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(future);
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => Self::Answered(answer),
            Poll::Pending => Self::Asked(future),
        }
    }

    async fn answer(self) -> T {
        match self {
            Self::Asked(future) => future.await,
            Self::Answered(answer) => answer,
        }
    }
}

/// Waits for all answers, up to the first that is an error.
async fn answers<T, E>(sent: Vec<Sent<'_, Result<T, E>>>) -> Result<Vec<T>, E> {
    let mut answers = Vec::with_capacity(sent.len());
    for one in sent {
        answers.push(one.answer().await?);
    }
    Ok(answers)
}

/// The number of rows that a statement has changed.
type Changed = Result<u64, tokio_postgres::Error>;

/// A row that was read.
pub type Cells = Vec<Value>;

/// The rows of each of several questions.
pub type Answers = Vec<Vec<Cells>>;

/// A question that is asked as a transaction begins.
#[derive(Debug)]
pub struct Question {
    /// In SQLite's dialect, but for an array.
    pub sql: &'static str,
    /// Its only parameter.
    pub given: Given,
}

/// The parameter of a question.
#[derive(Debug)]
pub enum Given {
    /// None.
    Nothing,
    /// One value.
    One(Value),
    /// An array of values.
    Many(Vec<Value>),
}

struct Live {
    client: Arc<Client>,
    statements: HashMap<String, tokio_postgres::Statement>,
    /// The statements that are not sent yet.
    gathered: Gathered,
    /// The statements that run and were not waited for.
    soon: Vec<Sent<'static, Changed>>,
    driver: Driver,
    /// Set by a warning of the server.
    warned: Arc<AtomicBool>,
}

/// The work of a connection: it sends what the client asks, and hands over the answers. `None` once
/// the connection has ended; with it the client is closed.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Drives a connection to its end, and listens to its warnings.
    fn of<S, T>(mut connection: tokio_postgres::Connection<S, T>, warned: Arc<AtomicBool>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let work = async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                // A commit is not on the standby, or there was nothing to commit.
                if let AsyncMessage::Notice(notice) = message
                    && [SqlState::WARNING, SqlState::NO_ACTIVE_SQL_TRANSACTION]
                        .contains(notice.code())
                {
                    warned.store(true, Ordering::Relaxed);
                }
            }
        };
        // A task that blocks here never yields, so its budget would run out and never be renewed.
        Self(Some(Box::pin(tokio::task::unconstrained(work))))
    }

    /// Sends and receives what can be without a wait.
    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(work) = &mut self.0
            && work.as_mut().poll(context).is_ready()
        {
            self.0 = None;
        }
    }

    /// The same, for one who waits for nothing.
    fn drive_now(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    /// Waits for an answer, at most for so long.
    fn wait<F: Future>(&mut self, answer: F, within: Duration) -> Option<F::Output> {
        let mut answer = pin!(answer);
        let driven = poll_fn(|context| {
            // What it asks is sent by the same turn.
            let before = answer.as_mut().poll(context);
            if before.is_ready() {
                return before;
            }
            self.drive(context);
            answer.as_mut().poll(context)
        });
        wait(driven, within)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Returns a link that connects with its first use.
    pub fn new(address: Arc<Address>) -> Self {
        Self {
            address,
            live: RefCell::new(None),
            in_transaction: Flag::new(false),
            changes: Flag::new(0),
            waits: Flag::new(0),
            hasher: RandomState::new(),
            within: Flag::new(ANSWER),
            deadline: Flag::new(None),
        }
    }

    /// Returns another link to the same database.
    pub fn beside(&self) -> Self {
        Self::new(Arc::clone(&self.address))
    }

    /// Sets the longest wait for each answer.
    pub fn set_within(&self, within: Duration) {
        self.within.set(within);
    }

    /// Sets the end of all questions from now on.
    pub fn set_deadline(&self, within: Duration) {
        self.deadline.set(Some(Instant::now() + within));
    }

    /// Returns the number of rows that were changed.
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// Returns the number of times that an answer was waited for: of ways to the database and back.
    #[cfg(test)]
    pub fn waits(&self) -> u64 {
        self.waits.get()
    }

    /// Drops the connection, and with it whatever it does.
    pub fn cut(&self) {
        self.live.borrow_mut().take();
    }

    /// Begins a transaction by these statements.
    ///
    /// # Errors
    /// The database's.
    pub fn begin(&self, sql: &str) -> Result<(), StoreError> {
        self.begin_asking(sql, &[]).map(drop)
    }

    /// Begins a transaction by these statements, and asks questions in it on the same way to the
    /// database. Returns the rows of each.
    ///
    /// # Errors
    /// The database's.
    pub fn begin_asking(&self, sql: &str, questions: &[Question]) -> Result<Answers, StoreError> {
        self.in_transaction.set(false);
        let statements = questions
            .iter()
            .map(|question| self.statement(question.sql));
        let statements: Vec<_> = statements.collect::<Result<_, _>>()?;
        let asked = self.with(|live, within| {
            let Live { client, driver, .. } = live;
            let begin = Sent::send(client.simple_query(sql));
            let asked = statements
                .iter()
                .zip(questions)
                .map(|(statement, question)| {
                    let client = &*client;
                    Sent::send(async move {
                        match &question.given {
                            Given::Nothing => client.query(statement, &[]).await,
                            Given::One(value) => client.query(statement, &[&Param(value)]).await,
                            Given::Many(values) => {
                                client.query(statement, &[&Column(values)]).await
                            }
                        }
                    })
                });
            let asked: Vec<_> = asked.collect();
            let all = async {
                begin.answer().await?;
                answers(asked).await
            };
            Ok(self.wait(driver, all, within))
        })?;
        let answers = match self.answered(asked) {
            Ok(answers) => answers,
            Err(error) => {
                // It may have begun.
                self.roll_back();
                return Err(error);
            }
        };
        self.in_transaction.set(true);
        answers.into_iter().map(cells).collect()
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unknown`] where it may have been committed.
    pub fn commit(&self) -> Result<(), StoreError> {
        if let Err(error) = self.send_gathered() {
            self.roll_back();
            return Err(error);
        }
        let warned = self.warned();
        if let Some(warned) = &warned {
            warned.store(false, Ordering::Relaxed);
        }
        // Behind what was not waited for. Where any of that failed, PostgreSQL rolls back.
        let asked = self.with(|live, within| {
            let Live {
                client,
                soon,
                driver,
                ..
            } = live;
            let commit = Sent::send(client.simple_query("COMMIT"));
            let soon = std::mem::take(soon);
            let both = async {
                for one in soon {
                    one.answer().await.map_err(|error| (error, true))?;
                }
                let committed = commit.answer().await;
                committed.map_err(|error| (error, false))
            };
            Ok(self.wait(driver, both, within))
        });
        // Until here: a new connection would have nothing to commit.
        self.in_transaction.set(false);
        match asked? {
            Some(Ok(_)) => {}
            // The database has said why it did not commit.
            Some(Err((error, earlier))) => {
                let answered = error.as_db_error().is_some();
                let why = self.failed(&error);
                let known = answered && (earlier || !is_away(&error));
                return Err(if known {
                    why
                } else {
                    StoreError::Unknown(why.to_string())
                });
            }
            None => {
                self.cut();
                return Err(StoreError::Unknown(late(self.within.get())));
            }
        }
        // "The transaction has already committed locally, but might not have been replicated."
        if warned.is_some_and(|warned| warned.load(Ordering::Relaxed)) {
            self.cut();
            return Err(StoreError::Unknown(
                "the server warned of the commit: the standby may not have it".to_owned(),
            ));
        }
        Ok(())
    }

    /// Rolls the transaction back.
    pub fn roll_back(&self) {
        self.in_transaction.set(false);
        let mut live = self.live.borrow_mut();
        let Some(of) = live.as_mut() else { return };
        of.gathered = Gathered::default();
        of.soon.clear();
        let asked = of.client.simple_query("ROLLBACK");
        let answer = self.wait(&mut of.driver, asked, self.within.get());
        if !matches!(answer, Some(Ok(_))) {
            live.take();
        }
    }

    /// Runs statements without parameters. Returns the rows of all of them, as text.
    ///
    /// # Errors
    /// The database's.
    pub fn batch(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        self.send_gathered()?;
        let asked = self.with(|live, within| {
            let asked = live.client.simple_query(sql);
            Ok(self.wait(&mut live.driver, asked, within))
        })?;
        let messages = self.answered(asked)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|index| row.get(index).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Runs a statement of SQLite's dialect. Returns the rows.
    ///
    /// # Errors
    /// The database's.
    pub fn query(&self, sql: &str, values: &[Value]) -> Result<Vec<Cells>, StoreError> {
        self.send_gathered()?;
        let statement = self.statement(sql)?;
        let params: Vec<_> = values.iter().map(Param).collect();
        let params: Vec<_> = params.iter().map(|one| one as _).collect();
        let rows = self.asked(&statement, &params)?;
        if sql.contains("RETURNING") {
            self.changes.set(self.changes.get() + rows.len() as u64);
        }
        cells(rows)
    }

    /// Asks a question of SQLite's dialect with each of these values, all of them at once. Returns
    /// the rows of each, or the reason why there are none.
    pub fn query_each(
        &self,
        sql: &str,
        each: Vec<Vec<Value>>,
    ) -> Vec<Result<Vec<Cells>, StoreError>> {
        let count = each.len();
        let rows = match self.ask_each(sql, each) {
            Ok(rows) => rows,
            Err(error) => return vec![Err(error); count],
        };
        let mut answers = vec![Ok(Vec::new()); count];
        for row in rows {
            let place = row
                .try_get(0)
                .ok()
                .and_then(|place: i64| usize::try_from(place - 1).ok());
            let Some(answer) = place.and_then(|place| answers.get_mut(place)) else {
                continue;
            };
            match (cells_from(1, &row), &mut *answer) {
                (Ok(cells), Ok(rows)) => rows.push(cells),
                (Err(error), Ok(_)) => *answer = Err(error),
                (_, Err(_)) => {}
            }
        }
        answers
    }

    /// Asks a question of SQLite's dialect with each of these values. Each row begins with the place
    /// of its values, from 1.
    fn ask_each(
        &self,
        sql: &str,
        each: Vec<Vec<Value>>,
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        self.send_gathered()?;
        let one = self.statement(sql)?;
        let all = self.prepared(&format!("each: {sql}"), || {
            dialect::each(&translate(sql), one.params())
        })?;
        let columns = columns(each);
        let columns: Vec<_> = columns.iter().map(|column| Column(column)).collect();
        let params: Vec<_> = columns.iter().map(|column| column as _).collect();
        self.asked(&all, &params)
    }

    /// Runs a prepared statement. Returns the rows.
    fn asked(
        &self,
        statement: &tokio_postgres::Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let asked = self.with(|live, within| {
            let asked = live.client.query(statement, params);
            Ok(self.wait(&mut live.driver, asked, within))
        })?;
        self.answered(asked)
    }

    /// Runs a statement of SQLite's dialect. Returns the number of rows that it changed.
    ///
    /// # Errors
    /// The database's.
    pub fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.send_gathered()?;
        let statement = self.statement(sql)?;
        let asked = self.with(|live, within| {
            let asked = live
                .client
                .execute_raw(&statement, values.iter().map(Param));
            Ok(self.wait(&mut live.driver, asked, within))
        })?;
        let changed = self.answered(asked)?;
        self.changes.set(self.changes.get() + changed);
        Ok(changed)
    }

    /// Takes a statement within a transaction, and does not wait for it. Before anything else is
    /// asked it is sent: once for the values of all its uses, where these change rows of their own.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn execute_soon(&self, sql: &str, values: Vec<Value>) -> Result<(), StoreError> {
        if !self.in_transaction.get() {
            return self.execute(sql, &values).map(drop);
        }
        self.changes.set(self.changes.get() + 1);
        let row = values.first().map(|value| match value {
            Value::Integer(number) => self.hasher.hash_one(number),
            Value::Text(text) => self.hasher.hash_one(text),
            Value::Blob(bytes) => self.hasher.hash_one(bytes),
            other => self.hasher.hash_one(format!("{other:?}")),
        });
        let is_much = self.with(|live, _| Ok(live.gathered.add(sql, row, values)))?;
        if is_much {
            self.send_gathered()?;
            let asked = self.with(|live, within| {
                let soon = std::mem::take(&mut live.soon);
                Ok(self.wait(&mut live.driver, answers(soon), within))
            })?;
            self.answered(asked)?;
        }
        Ok(())
    }

    /// Sends the statements that wait for it.
    fn send_gathered(&self) -> Result<(), StoreError> {
        if !self.in_transaction.get() {
            return Ok(());
        }
        let batches = self.with(|live, _| Ok(live.gathered.take()))?;
        for Batch { sql, rows, .. } in batches {
            let statement = self.statement(&sql)?;
            let statement = match rows.len() {
                1 => statement,
                _ => self.prepared(&format!("many: {sql}"), || {
                    dialect::many(&translate(&sql), statement.params())
                })?,
            };
            self.with(|live, _| {
                let client = Arc::clone(&live.client);
                live.soon.push(Sent::send(async move {
                    if let [values] = &rows[..] {
                        return client
                            .execute_raw(&statement, values.iter().map(Param))
                            .await;
                    }
                    let columns = columns(rows);
                    client
                        .execute_raw(&statement, columns.iter().map(|column| Column(column)))
                        .await
                }));
                Ok(())
            })?;
        }
        Ok(())
    }

    fn warned(&self) -> Option<Arc<AtomicBool>> {
        self.live
            .borrow()
            .as_ref()
            .map(|live| Arc::clone(&live.warned))
    }

    /// Returns a statement of SQLite's dialect that is prepared.
    fn statement(&self, sql: &str) -> Result<tokio_postgres::Statement, StoreError> {
        self.prepared(sql, || translate(sql))
    }

    /// Returns the statement of this name. Where it is not prepared yet, `translated` makes it, in
    /// PostgreSQL's dialect.
    fn prepared(
        &self,
        name: &str,
        translated: impl FnOnce() -> String,
    ) -> Result<tokio_postgres::Statement, StoreError> {
        let known = self.with(|live, _| Ok(live.statements.get(name).cloned()))?;
        match known {
            Some(statement) => Ok(statement),
            None => self.prepare(name, &translated()),
        }
    }

    fn prepare(
        &self,
        name: &str,
        translated: &str,
    ) -> Result<tokio_postgres::Statement, StoreError> {
        let asked = self.with(|live, within| {
            let asked = live.client.prepare(translated);
            Ok(self.wait(&mut live.driver, asked, within))
        })?;
        let statement = self.answered(asked)?;
        self.with(|live, _| {
            if live.statements.len() >= STATEMENTS {
                live.statements.clear();
            }
            live.statements.insert(name.to_owned(), statement.clone());
            Ok(())
        })?;
        Ok(statement)
    }

    fn wait<F: Future>(
        &self,
        driver: &mut Driver,
        answer: F,
        within: Duration,
    ) -> Option<F::Output> {
        self.waits.set(self.waits.get() + 1);
        driver.wait(answer, within)
    }

    /// Calls `run` with the connection, which is made where there is none, and the longest wait.
    fn with<T>(
        &self,
        run: impl FnOnce(&mut Live, Duration) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut live = self.live.borrow_mut();
        // It may have ended since the last use. What a transaction sends goes out together, once an
        // answer is waited for.
        if let Some(live) = live.as_mut()
            && !self.in_transaction.get()
        {
            live.driver.drive_now();
        }
        if live.as_ref().is_some_and(|live| live.client.is_closed()) {
            live.take();
        }
        let live = match live.as_mut() {
            Some(live) => live,
            None if self.in_transaction.get() => {
                return Err(StoreError::Away("the connection was lost".to_owned()));
            }
            None => live.insert(connect(&self.address)?),
        };
        let mut within = self.within.get();
        if let Some(deadline) = self.deadline.get() {
            within = within.min(deadline.saturating_duration_since(Instant::now()));
        }
        run(live, within)
    }

    fn answered<T>(
        &self,
        asked: Option<Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match asked {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(self.failed(&error)),
            None => {
                self.cut();
                Err(StoreError::Away(late(self.within.get())))
            }
        }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> StoreError {
        // What went before it and was not waited for may be the cause: that has the word.
        let cause = self.live.borrow_mut().as_mut().and_then(|live| {
            let soon = std::mem::take(&mut live.soon);
            soon.into_iter()
                .find_map(|one| live.driver.wait(one.answer(), CONNECT)?.err())
        });
        let error = cause.as_ref().unwrap_or(error);
        if is_away(error) {
            self.cut();
        }
        store_error(error)
    }
}

/// Returns the values of rows.
fn cells(rows: Vec<tokio_postgres::Row>) -> Result<Vec<Cells>, StoreError> {
    rows.iter().map(|row| cells_from(0, row)).collect()
}

/// Returns the values of a row from a column on.
fn cells_from(first: usize, row: &tokio_postgres::Row) -> Result<Cells, StoreError> {
    let values = (first..row.len()).map(|index| row.try_get(index).map(|Cell(value)| value));
    let values = values.collect::<Result<_, _>>();
    values.map_err(|error| StoreError::Row(why(&error)))
}

/// Returns the values of rows by their places.
fn columns(rows: Vec<Cells>) -> Vec<Cells> {
    let mut columns: Vec<Cells> = Vec::new();
    for row in rows {
        columns.resize_with(row.len(), Vec::new);
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    columns
}

/// Connects to a database that takes writes.
fn connect(address: &Address) -> Result<Live, StoreError> {
    let runtime = RUNTIME
        .as_ref()
        .map_err(|error| StoreError::Away(format!("cannot start the client: {error}")))?;
    let warned = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&warned);
    let config = address.config.clone();
    let tls = address.tls.clone();
    let (connected, waiting) = tokio::sync::oneshot::channel();
    let task = runtime.spawn(async move {
        let made = match tls {
            Some(tls) => config
                .connect(tls)
                .await
                .map(|(client, connection)| (client, Driver::of(connection, heard))),
            None => config
                .connect(NoTls)
                .await
                .map(|(client, connection)| (client, Driver::of(connection, heard))),
        };
        // The caller may have stopped waiting; then the connection is dropped.
        let _ = connected.send(made);
    });
    match wait(tokio::task::unconstrained(waiting), CONNECT) {
        Some(Ok(Ok((client, driver)))) => Ok(Live {
            client: Arc::new(client),
            statements: HashMap::new(),
            gathered: Gathered::default(),
            soon: Vec::new(),
            driver,
            warned,
        }),
        Some(Ok(Err(error))) => Err(store_error(&error)),
        Some(Err(_)) => Err(StoreError::Away("the client stopped".to_owned())),
        None => {
            task.abort();
            Err(StoreError::Away(late(CONNECT)))
        }
    }
}

fn late(within: Duration) -> String {
    format!("no answer within {} seconds", within.as_secs())
}

/// Returns whether the connection is of no more use, or leads to a server that takes no writes.
fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(error) = error.as_db_error() else {
        return true;
    };
    let code = error.code().code();
    // Connections, a server that stops or has stopped, one that reads only, plans that a migration
    // has outdated, and statements of a connection before this one.
    code.starts_with("08")
        || code.starts_with("57P")
        || matches!(code, "25006" | "0A000" | "25P03" | "26000" | "53300")
}

/// Returns what an error means for the store.
fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        return StoreError::Away(why(error));
    };
    let code = said.code().code();
    match &code[..2] {
        _ if is_away(error) => StoreError::Away(of_database(said)),
        _ if code == "53100" => StoreError::Full,
        "40" | "55" => StoreError::Busy,
        "22" | "23" => StoreError::Row(of_database(said)),
        "28" | "3D" | "42" => StoreError::Refused(of_database(said)),
        _ => StoreError::Disk(of_database(said)),
    }
}

fn of_database(error: &DbError) -> String {
    let hint = error
        .hint()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    format!("{}{hint} [{}]", error.message(), error.code().code())
}

/// Returns an error with its causes. The client's errors hold no secret.
fn why(error: &tokio_postgres::Error) -> String {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    why
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::store::Location;
    use crate::store::postgres::BEGIN;
    use crate::store::shared::schema;
    use crate::store::tests::ground::Ground;

    const INSERT: &str = "INSERT INTO tracked (source) VALUES (?)";

    /// A connection to a database with the tables of a store, if there is one.
    fn link(ground: &Ground) -> Link {
        let Location::Postgres(shared) = ground.location() else {
            unreachable!("a database is one");
        };
        let link = Link::new(Arc::clone(&shared.address));
        schema::make(&link).unwrap();
        link
    }

    fn tracked(link: &Link) -> usize {
        link.query("SELECT source FROM tracked", &[]).unwrap().len()
    }

    #[test]
    fn commit_on_a_connection_that_ended_is_never_taken_for_one() {
        let Some(ground) = Ground::database() else {
            return;
        };
        let link = link(&ground);
        // Its statements are ready, so the commit is the first to send anything.
        link.begin(BEGIN).unwrap();
        link.execute_soon(INSERT, vec![1.into()]).unwrap();
        link.commit().unwrap();
        for (number, is_noticed) in [(2_i64, false), (3, true)] {
            link.begin(BEGIN).unwrap();
            link.execute_soon(INSERT, vec![number.into()]).unwrap();
            let ended = link.beside().query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
                &[],
            );
            assert_eq!(ended.unwrap().len(), 1);
            if is_noticed {
                // The thread that watches the socket has some time to learn of it.
                thread::park_timeout(Duration::from_millis(50));
            }
            let error = link.commit().unwrap_err();
            assert!(
                matches!(error, StoreError::Unknown(_) | StoreError::Away(_)),
                "{error}"
            );
            assert_eq!(tracked(&link), 1, "the connection is made anew");
        }
    }

    #[test]
    fn what_is_much_is_sent_within_the_transaction() {
        let Some(ground) = Ground::database() else {
            return;
        };
        let link = link(&ground);
        let insert = "INSERT INTO events (alert, json) VALUES (?, ?)";
        link.begin(BEGIN).unwrap();
        for alert in 0..9_i64 {
            let values = vec![alert.into(), "x".repeat(1024 * 1024).into()];
            link.execute_soon(insert, values).unwrap();
        }
        let waits = link.waits();
        link.commit().unwrap();
        assert!(waits > 1, "it was sent before");
        let count = link.query("SELECT count(*) FROM events", &[]).unwrap();
        assert_eq!(count, [[Value::Integer(9)]]);
    }
}

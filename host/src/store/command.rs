//! A command of the writer: its work within a transaction, and its answer once that is on disk.

use tokio::sync::oneshot;

use super::StoreError;
use super::ahead::{Turn, Wanted};
use super::step::Step;

/// A change of the store. Each one is a file.
pub trait Command: Send + 'static {
    /// The answer to the caller.
    type Output: Send + 'static;

    /// Its position within its group.
    const TURN: Turn = Turn::Other;

    /// Names the rows that can be read ahead.
    fn foresee(&self, _: &mut Wanted) {}

    /// Does it. It may be run again where the transaction that it was part of was rolled back.
    ///
    /// # Errors
    /// What the disk said; the whole transaction is then rolled back.
    fn run(&self, step: &mut Step<'_>) -> Result<Self::Output, StoreError>;
}

/// A command in the writer's queue, whatever its answer.
pub trait Queued: Send {
    /// Returns [`Command::TURN`].
    fn turn(&self) -> Turn;

    /// As [`Command::foresee`].
    fn foresee(&self, wanted: &mut Wanted);

    /// Runs it, and keeps its answer back.
    ///
    /// # Errors
    /// As [`Command::run`].
    fn run(&mut self, step: &mut Step<'_>) -> Result<(), StoreError>;

    /// Answers the caller: the output if its transaction is on disk, else the error.
    fn answer(self: Box<Self>, outcome: &Result<(), StoreError>);
}

struct Ask<C: Command> {
    command: C,
    output: Option<C::Output>,
    reply: oneshot::Sender<Result<C::Output, StoreError>>,
}

/// The answer to a command, once there is one.
pub type Answer<O> = oneshot::Receiver<Result<O, StoreError>>;

/// Makes a command ready for the queue.
pub fn queued<C: Command>(command: C) -> (Box<dyn Queued>, Answer<C::Output>) {
    let (reply, answer) = oneshot::channel();
    (
        Box::new(Ask {
            command,
            output: None,
            reply,
        }),
        answer,
    )
}

impl<C: Command> Queued for Ask<C> {
    fn turn(&self) -> Turn {
        C::TURN
    }

    fn foresee(&self, wanted: &mut Wanted) {
        self.command.foresee(wanted);
    }

    fn run(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        self.output = Some(self.command.run(step)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: &Result<(), StoreError>) {
        let answer = match (outcome, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // The caller may have gone away, as a sender does that hangs up; the work is done all the
        // same.
        let _ = self.reply.send(answer);
    }
}

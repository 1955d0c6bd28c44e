//! The thread of a spool: it alone has the file, and what waits for it shares a sync.

use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::error::SpoolError;
use super::file::{File, Keep, Kept};
use super::shown::Shown;

/// The most requests in one transaction.
const GROUP: usize = 512;

/// The answer to a message.
pub type Reply<T> = oneshot::Sender<Result<T, SpoolError>>;

/// A message to the thread.
pub enum Message {
    /// Keep this request.
    Keep(Keep, Reply<()>),
    /// Read those that have waited longest.
    Next(Reply<Vec<Kept>>),
    /// Remove these.
    Remove(Vec<i64>, Reply<()>),
    /// Set this one aside, for this reason.
    SetAside(i64, String, Reply<()>),
    /// Close the file.
    Close(oneshot::Sender<()>),
}

/// Works until [`Message::Close`], or until nothing is left that could ask for anything.
pub fn run(mut file: File, queue: &Receiver<Message>, shown: &Shown) {
    let mut keeps = Vec::new();
    while let Ok(first) = queue.recv() {
        for message in std::iter::once(first).chain(queue.try_iter()) {
            let other = match message {
                Message::Keep(keep, reply) => {
                    keeps.push((keep, reply));
                    if keeps.len() < GROUP {
                        continue;
                    }
                    None
                }
                other => Some(other),
            };
            // A message finds what was asked for before it.
            keep(&mut file, &mut keeps, shown);
            // A caller that is gone needs no answer.
            match other {
                None | Some(Message::Keep(..)) => {}
                Some(Message::Next(reply)) => {
                    let _ = reply.send(file.next());
                }
                Some(Message::Remove(numbers, reply)) => {
                    let removed = file.remove(&numbers);
                    shown.set(file.amount(), removed.as_ref().err());
                    let _ = reply.send(removed);
                }
                Some(Message::SetAside(n, why, reply)) => {
                    let _ = reply.send(file.set_aside(n, &why));
                }
                Some(Message::Close(reply)) => {
                    file.close();
                    let _ = reply.send(());
                    return;
                }
            }
        }
        keep(&mut file, &mut keeps, shown);
    }
}

/// Keeps requests together, and answers each once it is on disk.
fn keep(file: &mut File, keeps: &mut Vec<(Keep, Reply<()>)>, shown: &Shown) {
    if keeps.is_empty() {
        return;
    }
    let all: Vec<_> = keeps.iter().map(|(keep, _)| keep).collect();
    let answers = match file.keep(&all) {
        Ok(answers) => answers,
        Err(error) => keeps.iter().map(|_| Err(error.clone())).collect(),
    };
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let mut refused = refused.filter(|error| !matches!(error, SpoolError::Unproven(_)));
    shown.set(file.amount(), refused.next_back());
    for ((_, reply), answer) in keeps.drain(..).zip(answers) {
        let _ = reply.send(answer);
    }
}

//! The control socket: a Unix socket in the data directory, at which commands on this machine reach
//! the gateway that runs, whatever `admin` says.
//!
//! A question and its answer are one line of JSON each. The socket can be reached by the user of
//! the data directory and by root only.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::http::UnixSocket;

/// The name of the socket in the data directory.
const NAME: &str = "control.sock";
/// The permissions of the socket.
const MODE: u32 = 0o600;
/// The longest question, in bytes.
const LONGEST: u64 = 4096;
/// The time in which a client must have asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// The number of clients that are heard at a time.
const CLIENTS: usize = 8;

/// A question to a gateway that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// To read its configuration again.
    Reload,
}

/// The answer of a gateway that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// The configuration is in use.
    Reloaded {
        /// What is in use now, in one line.
        summary: String,
        /// What is allowed and yet unwise.
        warnings: Vec<String>,
    },
    /// Everything is as it was.
    Refused {
        /// The problems; none where there is one reason.
        problems: Vec<String>,
        /// The reason, in one line.
        why: String,
    },
}

/// The reason why a gateway gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// None runs.
    #[error("no gateway runs with the data directory {}: start one with `alert-gateway run`", .0.display())]
    NotRunning(PathBuf),
    /// The socket cannot be reached.
    #[error("the gateway's socket {} cannot be reached: {error}; run this as root or as the gateway's user", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke.
    #[error("the gateway stopped before it had answered; its log says more")]
    Stopped,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Takes the answer.
    pub answer: oneshot::Sender<Answer>,
}

/// Returns the path of the socket.
fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// Listens in `data_dir`.
///
/// # Errors
/// What the system said.
pub fn bind(data_dir: &Path) -> io::Result<UnixSocket> {
    UnixSocket::bind(&path(data_dir), MODE)
}

/// Hears clients until `stop` is cancelled, and hands their questions on.
pub async fn serve(socket: UnixSocket, asked: mpsc::Sender<Asked>, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    let room = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            socket.accept().await.map(|stream| (stream, place))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = stop.cancelled() => return,
        };
        let asked = asked.clone();
        match accepted {
            Ok((stream, place)) => drop(clients.spawn(async move {
                // A client that has left wants no answer.
                let _ = converse(stream, asked).await;
                drop(place);
            })),
            Err(error) => {
                tracing::warn!(%error, "a client of the control socket was not heard");
                tokio::time::sleep(PATIENCE).await;
            }
        }
        while clients.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    timeout(
        PATIENCE,
        BufReader::new(read.take(LONGEST)).read_line(&mut line),
    )
    .await??;
    let question = serde_json::from_str(&line)?;
    let (answer, answered) = oneshot::channel();
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    asked
        .send(Asked { question, answer })
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
    let mut text = serde_json::to_vec(&answered.await.map_err(gone)?)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Asks the gateway that runs with this data directory, and waits for its answer.
///
/// # Errors
/// None runs, or it cannot be reached, or it stopped.
pub async fn ask(data_dir: &Path, question: &Question) -> Result<Answer, NoAnswer> {
    let path = path(data_dir);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    NoAnswer::NotRunning(data_dir.to_owned())
                }
                _ => NoAnswer::Unreachable { path, error },
            });
        }
    };
    let conversation = async {
        let mut text = serde_json::to_vec(question)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(serde_json::from_slice(&answer)?)
    };
    conversation.await.map_err(|_| NoAnswer::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn garbage_is_not_answered_and_others_are() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            ask(folder.path(), &Question::Reload).await,
            Err(NoAnswer::NotRunning(_))
        ));
        let (sender, mut asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(bind(folder.path()).unwrap(), sender, stop.clone()));
        let garbage = [
            &b"\n"[..],
            b"{\"ask\":\"money\"}\n",
            &[b'x'; 10_000],
            b"\xff\n",
        ];
        for garbage in garbage {
            let mut stream = UnixStream::connect(path(folder.path())).await.unwrap();
            // The other side may have seen enough before all is written.
            let _ = stream.write_all(garbage).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert_eq!(answer, b"");
        }
        let answering = async {
            let Asked { answer, .. } = asked.recv().await.unwrap();
            let why = "canary".to_owned();
            let problems = Vec::new();
            answer.send(Answer::Refused { problems, why }).unwrap();
        };
        let (answer, ()) = tokio::join!(ask(folder.path(), &Question::Reload), answering);
        assert!(matches!(answer, Ok(Answer::Refused { why, .. }) if why == "canary"));
        // A gateway that stops drops the question.
        let dropping = async { drop(asked.recv().await) };
        let (answer, ()) = tokio::join!(ask(folder.path(), &Question::Reload), dropping);
        assert!(matches!(answer, Err(NoAnswer::Stopped)), "{answer:?}");
        stop.cancel();
        serving.await.unwrap();
    }
}

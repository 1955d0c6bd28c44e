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
use uuid::Uuid;

use crate::admin::{Desk, look};
use crate::hops::{self, Hop, Way};
use crate::http::UnixSocket;
use crate::recent::Answered;
use crate::store::Traced;

/// The name of the socket in the data directory.
const NAME: &str = "control.sock";
/// The permissions of the socket.
const MODE: u32 = 0o600;
/// The longest question, in bytes: a test may bring its request.
const LONGEST: u64 = 4 * 1024 * 1024;
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
    /// To test a way.
    Test {
        /// The way.
        way: Way,
        /// The user who asks.
        who: String,
    },
    /// To tell the filter of the log.
    LogShown,
    /// To change the filter of the log; to the first one where there is none.
    Log {
        /// The filter.
        filter: Option<String>,
        /// The user who asks.
        who: String,
    },
    /// To tell the last requests that it rejected or ignored, newest first.
    Traced,
    /// To tell its answers to requests.
    Answered {
        /// Their ids.
        requests: Vec<String>,
    },
    /// To tell its state at a glance.
    Look {
        /// The newest events to tell, 1 to 200.
        events: usize,
    },
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
    /// A hop of a test, after which others may come.
    Hop(Hop),
    /// All hops of a test have been told.
    Tested,
    /// The last requests that were rejected or ignored, newest first.
    Traced {
        /// The requests.
        requests: Vec<Traced>,
    },
    /// The answers to requests.
    Answered {
        /// One for each request that was asked for; none where it is not remembered.
        answers: Vec<Option<Answered>>,
    },
    /// The filter of the log.
    Log {
        /// The filter.
        filter: String,
    },
    /// The state at a glance.
    Looked {
        /// The lists of the API, by their names.
        state: serde_json::Value,
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
        /// The error of the system.
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

/// The ways in which questions reach the gateway.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Takes questions that have one answer.
    pub asked: mpsc::Sender<Asked>,
    /// Takes tests.
    pub tests: mpsc::Sender<hops::Asked>,
    /// Looks at the gateway.
    pub desk: Arc<Desk>,
}

/// Returns the path of the socket.
fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// Listens in `data_dir`.
///
/// # Errors
/// The error of the system.
pub fn bind(data_dir: &Path) -> io::Result<UnixSocket> {
    UnixSocket::bind(&path(data_dir), MODE)
}

/// Hears clients until `stop` is cancelled, and hands their questions on.
pub async fn serve(socket: UnixSocket, asking: Asking, stop: CancellationToken) {
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
        let asking = asking.clone();
        match accepted {
            Ok((stream, place)) => drop(clients.spawn(async move {
                // A client that has left wants no answer.
                let _ = converse(stream, asking).await;
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

async fn converse(mut stream: UnixStream, asking: Asking) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    timeout(
        PATIENCE,
        BufReader::new(read.take(LONGEST)).read_line(&mut line),
    )
    .await??;
    let question = serde_json::from_str(&line)?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    if let Question::Test { way, who } = question {
        let (hops, mut told) = mpsc::channel(1);
        let origin = "command line".to_owned();
        let asked = hops::Asked {
            way,
            who,
            origin,
            hops,
        };
        asking.tests.send(asked).await.map_err(|_| gone())?;
        while let Some(hop) = told.recv().await {
            say(&mut write, &Answer::Hop(hop)).await?;
        }
        return say(&mut write, &Answer::Tested).await;
    }
    if matches!(question, Question::Traced) {
        let entries = asking.desk.about.recent.list(|_| true);
        let requests = entries.iter().map(|entry| Traced::of(entry)).collect();
        return say(&mut write, &Answer::Traced { requests }).await;
    }
    if let Question::Answered { requests } = question {
        let known = &asking.desk.about.recent.answers;
        let ids = requests.iter().map(|id| id.parse::<Uuid>());
        let answers = ids.map(|id| known.of(id.ok()?.as_u128())).collect();
        return say(&mut write, &Answer::Answered { answers }).await;
    }
    if let Question::Look { events } = question {
        let answer = match look(&asking.desk, events).await {
            Ok(state) => Answer::Looked { state },
            Err(why) => Answer::Refused {
                problems: Vec::new(),
                why,
            },
        };
        return say(&mut write, &answer).await;
    }
    let (answer, answered) = oneshot::channel();
    let asked = Asked { question, answer };
    asking.asked.send(asked).await.map_err(|_| gone())?;
    say(&mut write, &answered.await.map_err(|_| gone())?).await
}

async fn say(to: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    to.write_all(&text).await
}

/// Asks the gateway that runs with this data directory, and waits for its answer.
///
/// # Errors
/// None runs, or it cannot be reached, or it stopped.
pub async fn ask(data_dir: &Path, question: &Question) -> Result<Answer, NoAnswer> {
    let mut conversation = Conversation::begin(data_dir, question).await?;
    conversation.next().await
}

/// A question that has several answers.
#[derive(Debug)]
pub struct Conversation(BufReader<UnixStream>);

impl Conversation {
    /// Asks the gateway that runs with this data directory.
    ///
    /// # Errors
    /// None runs, or it cannot be reached, or it stopped.
    pub async fn begin(data_dir: &Path, question: &Question) -> Result<Self, NoAnswer> {
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
        let asking = async {
            let mut text = serde_json::to_vec(question)?;
            text.push(b'\n');
            stream.write_all(&text).await
        };
        asking.await.map_err(|_| NoAnswer::Stopped)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns the next answer.
    ///
    /// # Errors
    /// The gateway stopped.
    pub async fn next(&mut self) -> Result<Answer, NoAnswer> {
        let mut answer = String::new();
        let read = self.0.read_line(&mut answer).await;
        let answer = read.ok().and_then(|_| serde_json::from_str(&answer).ok());
        answer.ok_or(NoAnswer::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::sync::watch;

    use crate::admin::{About, Catalogue};
    use crate::config::Config;
    use crate::health::Health;
    use crate::log_filter::LogFilter;
    use crate::metrics::Metrics;
    use crate::recent::Recent;
    use crate::store::{self, Closing, Store};

    /// Looks at a gateway of which nothing runs but the store.
    fn desk(folder: &Path) -> (Arc<Desk>, Closing) {
        let text = format!(
            "[gateway]\npublic_url = \"https://gw.example.com\"\ndata_dir = {folder:?}\n[destinations.a]\nkind = \"itoc360\"\ntoken = \"t\"\n\
                            [sources.s]\nplugin = \"webhook\"\ndestination = \"a\"\ntoken = \"0123456789abcdef0123\"\n"
        );
        let config = Config::parse(&text, &folder.join("gateway.toml"), &|_| None).unwrap();
        let metrics = Metrics::new();
        let (store, closing) =
            Store::open(folder, &store::Options::default(), metrics.clone()).unwrap();
        let about = About {
            metrics,
            health: Health::default(),
            store,
            recent: Recent::default(),
            catalogue: watch::channel(Catalogue::of(&config, &[])).1,
            tests: mpsc::channel(1).0,
            log: LogFilter::default(),
        };
        (Arc::new(Desk::new(&config, about)), closing)
    }

    #[tokio::test]
    async fn garbage_is_not_answered_and_others_are() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            ask(folder.path(), &Question::Reload).await,
            Err(NoAnswer::NotRunning(_))
        ));
        let (sender, mut asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let (tests, _) = mpsc::channel(1);
        let (desk, closing) = desk(folder.path());
        let asking = Asking {
            asked: sender,
            tests,
            desk,
        };
        let serving = tokio::spawn(serve(bind(folder.path()).unwrap(), asking, stop.clone()));
        let garbage = [
            &b"\n"[..],
            b"{\"ask\":\"money\"}\n",
            &[b'x'; 10_000],
            b"{\"ask\":\"test\",\"who\":\"\"}\n",
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
        // A look is told by the socket itself, and one that asks for too much is refused.
        let look = ask(folder.path(), &Question::Look { events: 5 }).await;
        let Ok(Answer::Looked { state }) = look else {
            panic!("{look:?}")
        };
        assert_eq!(state["nodes"][0]["pending"], 0);
        assert_eq!(state["destinations"][0]["name"], "a");
        assert_eq!(state["events"], serde_json::json!([]));
        let much = ask(folder.path(), &Question::Look { events: 100_000 }).await;
        assert!(matches!(much, Ok(Answer::Refused { .. })), "{much:?}");
        stop.cancel();
        serving.await.unwrap();
        assert!(closing.close().await);
    }
}

//! A mail server whose replies can be scripted, step by step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::PATIENCE;

/// A mail server.
pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// Its ways.
#[derive(Clone, Default)]
pub struct MailWays {
    /// TLS, where it speaks it.
    pub tls: Option<Arc<ServerConfig>>,
    /// TLS from the first byte, in place of STARTTLS.
    pub implicit: bool,
    /// The mechanisms that it offers, such as `PLAIN LOGIN`.
    pub auth: &'static str,
    /// The user and the password that it knows.
    pub login: Option<(&'static str, &'static str)>,
}

/// A step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    From,
    To,
    /// A recipient who is named `later`.
    Later,
    Data,
    Message,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// With line ends as `\n`, and headers unfolded.
    pub text: String,
    pub encrypted: bool,
    pub login: Option<(String, String)>,
}

struct Shared {
    ways: MailWays,
    /// A reply in place of the usual one; an empty one closes the connection, and `hang` is none.
    script: Mutex<HashMap<Step, &'static str>>,
    mails: watch::Sender<Vec<Mail>>,
    sessions: watch::Sender<usize>,
}

impl MailServer {
    /// Starts one that takes every message.
    pub async fn start(ways: MailWays) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            ways,
            script: Mutex::default(),
            mails: watch::Sender::default(),
            sessions: watch::Sender::default(),
        });
        let serving = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&serving);
                shared.sessions.send_modify(|count| *count += 1);
                sessions.spawn(async move { shared.serve(tcp).await });
            }
        });
        Self {
            address,
            shared,
            serving,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on replies so to a step: with these lines, with nothing where they are `hang`, or
    /// by closing the connection where they are empty.
    pub fn replies(&self, step: Step, reply: &'static str) {
        self.shared.script.lock().insert(step, reply);
    }

    /// From now on takes every message.
    pub fn recovers(&self) {
        self.shared.script.lock().clear();
    }

    /// Waits until it has taken so many messages, and returns all of them.
    pub async fn mails(&self, count: usize) -> Vec<Mail> {
        let mut mails = self.shared.mails.subscribe();
        let enough = mails.wait_for(|mails| mails.len() >= count);
        timeout(PATIENCE, enough)
            .await
            .unwrap_or_else(|_| panic!("{count} mails never came"))
            .unwrap()
            .clone()
    }

    /// Waits until so many clients have come.
    pub async fn sessions(&self, count: usize) {
        let mut sessions = self.shared.sessions.subscribe();
        let enough = sessions.wait_for(|sessions| *sessions >= count);
        let enough = timeout(PATIENCE, enough).await;
        assert!(
            enough.is_ok_and(|seen| seen.is_ok()),
            "{count} clients never came"
        );
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A client that has left ends its session.
struct Left;

impl From<std::io::Error> for Left {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

struct Session<'a> {
    shared: &'a Shared,
    stream: BufStream<Box<dyn Wire>>,
    encrypted: bool,
    login: Option<(String, String)>,
}

impl Shared {
    async fn serve(&self, tcp: tokio::net::TcpStream) {
        let stream: Box<dyn Wire> = match (&self.ways.tls, self.ways.implicit) {
            (Some(tls), true) => match TlsAcceptor::from(Arc::clone(tls)).accept(tcp).await {
                Ok(stream) => Box::new(stream),
                Err(_) => return,
            },
            _ => Box::new(tcp),
        };
        let session = Session {
            shared: self,
            stream: BufStream::new(stream),
            encrypted: self.ways.implicit,
            login: None,
        };
        let _ = session.run().await;
    }
}

impl Session<'_> {
    /// Replies to a step, and returns whether with the usual words.
    async fn reply(&mut self, step: Step, usual: &str) -> Result<bool, Left> {
        let scripted = self.shared.script.lock().get(&step).copied();
        match scripted {
            Some("") => Err(Left),
            Some("hang") => std::future::pending().await,
            Some(reply) => {
                self.say(reply).await?;
                Ok(false)
            }
            None => {
                self.say(usual).await?;
                Ok(true)
            }
        }
    }

    async fn say(&mut self, lines: &str) -> Result<(), Left> {
        for line in lines.lines() {
            self.stream.write_all(line.as_bytes()).await?;
            self.stream.write_all(b"\r\n").await?;
        }
        Ok(self.stream.flush().await?)
    }

    async fn line(&mut self) -> Result<String, Left> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(Left);
        }
        Ok(line.trim_end().to_owned())
    }

    async fn run(mut self) -> Result<(), Left> {
        self.reply(Step::Greeting, "220 mail.test ESMTP").await?;
        let mut from = String::new();
        let mut to = Vec::new();
        loop {
            let line = self.line().await?;
            let word = line.split([' ', ':']).next().unwrap().to_uppercase();
            let ways = &self.shared.ways;
            match &*word {
                "EHLO" => {
                    let mut offers = "250-mail.test\n250-SIZE 1000000\n".to_owned();
                    if ways.tls.is_some() && !self.encrypted {
                        offers += "250-STARTTLS\n";
                    }
                    if !ways.auth.is_empty() && (self.encrypted || ways.tls.is_none()) {
                        offers += &format!("250-AUTH {}\n", ways.auth);
                    }
                    self.reply(Step::Ehlo, &(offers + "250 HELP")).await?;
                }
                "STARTTLS" => {
                    if self.reply(Step::StartTls, "220 go ahead").await? {
                        let tls = Arc::clone(ways.tls.as_ref().unwrap());
                        let plain = self.stream.into_inner();
                        let stream = TlsAcceptor::from(tls).accept(plain).await?;
                        self.stream = BufStream::new(Box::new(stream));
                        self.encrypted = true;
                    }
                }
                "AUTH" => self.authenticate(&line).await?,
                "MAIL" => {
                    from = line;
                    to.clear();
                    self.reply(Step::From, "250 ok").await?;
                }
                "RCPT" => {
                    // Scripted for one recipient where it is named `refused`.
                    if line.contains("refused@") {
                        self.say("550 5.1.1 no such user").await?;
                        continue;
                    }
                    let step = match line.contains("later@") {
                        true => Step::Later,
                        false => Step::To,
                    };
                    if self.reply(step, "250 ok").await? {
                        to.push(line);
                    }
                }
                "DATA" => {
                    if self.reply(Step::Data, "354 go on").await? {
                        let mut text = String::new();
                        loop {
                            let line = self.line().await?;
                            if line == "." {
                                break;
                            }
                            text += line.strip_prefix('.').unwrap_or(&line);
                            text.push('\n');
                        }
                        if self
                            .reply(Step::Message, "250 2.0.0 queued as 4711")
                            .await?
                        {
                            let mail = Mail {
                                from: from.clone(),
                                to: to.clone(),
                                text: text.replace("\n ", " "),
                                encrypted: self.encrypted,
                                login: self.login.clone(),
                            };
                            self.shared.mails.send_modify(|mails| mails.push(mail));
                        }
                    }
                }
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(());
                }
                _ => self.say("502 what?").await?,
            }
        }
    }

    async fn authenticate(&mut self, line: &str) -> Result<(), Left> {
        let decode = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        let mut words = line.split(' ').skip(1);
        let shown = match words.next().unwrap() {
            "PLAIN" => {
                let shown = decode(words.next().unwrap());
                let mut parts = shown.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap(), parts.next().unwrap())
            }
            _ => {
                self.say(&format!("334 {}", STANDARD.encode("Username:")))
                    .await?;
                let user = decode(&self.line().await?);
                self.say(&format!("334 {}", STANDARD.encode("Password:")))
                    .await?;
                (user, decode(&self.line().await?))
            }
        };
        let known = self.shared.ways.login;
        let is_known =
            known.is_some_and(|(user, password)| (user, password) == (&*shown.0, &*shown.1));
        // As some servers do, it repeats what it was told.
        let refusal = format!("535 5.7.8 no: {line} {}", shown.1);
        let usual = if is_known { "235 welcome" } else { &refusal };
        if self.reply(Step::Auth, usual).await? && is_known {
            self.login = Some(shown);
        }
        Ok(())
    }
}

impl Mail {
    /// Returns a header.
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let found = self.text.lines().take_while(|line| !line.is_empty());
        found
            .filter_map(|line| line.strip_prefix(&start))
            .next()
            .unwrap_or_default()
    }
}

//! A process of the real program, with its output.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// A process. Dropping it kills it; if a test fails, its output is shown.
pub struct Process {
    child: Child,
    stdout: Said,
    stderr: Said,
}

/// The output of a process in one stream, line by line.
#[derive(Clone)]
struct Said(watch::Receiver<Vec<String>>);

/// The exit code and the output of a process.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    /// Starts the program.
    pub fn start(command: Command) -> Self {
        let mut child = spawn(command);
        let stdout = Said::hear(child.stdout.take().unwrap());
        let stderr = Said::hear(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Starts the program with a closed standard output, as behind `| head`.
    pub fn start_unread(command: Command) -> Self {
        let mut child = spawn(command);
        drop(child.stdout.take());
        let stderr = Said::hear(child.stderr.take().unwrap());
        Self {
            child,
            stdout: Said::hear(std::io::empty()),
            stderr,
        }
    }

    /// Waits for a line of the JSON log for which `meant` returns a value.
    pub async fn log<T>(
        &mut self,
        what: &str,
        meant: impl Fn(&serde_json::Value) -> Option<T>,
    ) -> T {
        let mut found = None;
        let seen = self.stderr.0.wait_for(|lines| {
            found = lines
                .iter()
                .find_map(|line| meant(&serde_json::from_str(line).unwrap_or_default()));
            found.is_some()
        });
        match timeout(PATIENCE, seen).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => panic!("the program ended, and never said: {what}"),
            Err(_) => panic!("the program never said: {what}"),
        }
        found.unwrap()
    }

    /// Waits for a line of standard output with these words, and returns it.
    pub async fn said(&mut self, words: &str) -> String {
        let mut found = None;
        let seen = self.stdout.0.wait_for(|lines| {
            found = lines.iter().find(|line| line.contains(words)).cloned();
            found.is_some()
        });
        assert!(
            timeout(PATIENCE, seen).await.is_ok_and(|seen| seen.is_ok()),
            "the program never said: {words}"
        );
        found.unwrap()
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log until now.
    pub fn logged(&self) -> String {
        self.stderr.text()
    }

    /// Waits for this many lines of the log, or for the end.
    pub async fn wait_for_lines(&mut self, count: usize) {
        let _ = timeout(
            PATIENCE,
            self.stderr.0.wait_for(|lines| lines.len() >= count),
        )
        .await
        .unwrap();
    }

    /// Returns its resident memory in KiB: the present, or with `peak` the most until now.
    pub fn memory_kib(&self, peak: bool) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let name = if peak { "VmHWM:" } else { "VmRSS:" };
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits for these words in the log, or for the end.
    pub async fn wait_for_the_end_or(&mut self, words: &str) {
        let said = self
            .stderr
            .0
            .wait_for(|lines| lines.iter().any(|line| line.contains(words)));
        let _ = timeout(PATIENCE, said).await.unwrap();
    }

    /// `kill -9`: it has no chance to do anything more.
    pub async fn kill(mut self) {
        self.child.kill().unwrap();
        self.exit().await;
    }

    /// `kill -TERM`, as a service manager stops it.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// `kill -INT`, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// `kill -HUP`, as `systemctl reload` does.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Gives a process that was started on a small disk all the room there is.
    pub fn disk_grows(&self) {
        let limit = rustix::process::getrlimit(Resource::Fsize);
        prlimit(
            Some(self.pid()),
            Resource::Fsize,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )
        .unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn output(mut self) -> Output {
        let status = self.exit().await;
        Output {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    async fn exit(&mut self) -> ExitStatus {
        // A process that has closed both is ending, so the wait for it is short.
        for said in [&mut self.stdout, &mut self.stderr] {
            let closed = timeout(PATIENCE, said.0.wait_for(|_| false))
                .await
                .map(|seen| seen.is_err());
            assert_eq!(closed, Ok(true), "the program never ended");
        }
        self.child.wait().unwrap()
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.stderr.text();
            let last: Vec<_> = said.lines().rev().take(40).collect();
            eprintln!("the last lines of the log:");
            last.iter()
                .rev()
                .for_each(|line| eprintln!("    {line:.400}"));
        }
    }
}

impl Said {
    fn hear(pipe: impl Read + Send + 'static) -> Self {
        let (lines, said) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { return };
                lines.send_modify(|lines| lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
        });
        Self(said)
    }

    fn text(&self) -> String {
        self.0
            .borrow()
            .iter()
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

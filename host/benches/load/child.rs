//! A server in a process of its own, so that its processor time and memory are its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alert_gateway::config::Config;
use alert_gateway::gateway::{Gateway, Options};
use alert_gateway::store;
use tokio::net::TcpStream;

/// Linux counts processor time in hundredths of a second, whatever the kernel's own tick is.
const TICKS: u64 = 100;

/// A running server.
pub struct Child {
    process: std::process::Child,
    /// The address of its listener.
    pub address: String,
    /// The time from the start of the process until it can answer.
    pub ready: Duration,
}

impl Child {
    /// Starts this program again with other arguments, and waits for the address of its listener.
    pub fn start(arguments: &[&str]) -> Self {
        let started = Instant::now();
        let program = std::env::current_exe().expect("this program's path");
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut address = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut address)
            .expect("an address");
        Self {
            process,
            address: address.trim().to_owned(),
            ready: started.elapsed(),
        }
    }

    /// Starts another program, and waits until it takes connections at this address.
    pub async fn program(command: &mut Command, address: SocketAddr) -> std::io::Result<Self> {
        let started = Instant::now();
        let mut child = Self {
            process: command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
            address: address.to_string(),
            ready: Duration::ZERO,
        };
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.process.try_wait()? {
                return Err(std::io::Error::other(format!("it ended: {status}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.ready = started.elapsed();
        Ok(child)
    }

    /// Returns the processor time of all its threads.
    pub fn cpu(&self) -> Duration {
        processor_time(&self.proc("stat"))
    }

    /// Returns the processor time of its store's writer.
    pub fn writer_cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.process.id());
        let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        stats
            .filter(|stat| stat.contains("(store-writer)"))
            .map(|stat| processor_time(&stat))
            .sum()
    }

    /// Returns its resident memory.
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Returns its peak resident memory.
    pub fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Returns how many bytes it has caused to be written to disks.
    pub fn written(&self) -> u64 {
        let io = self.proc("io");
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"))
            .unwrap_or_default();
        line.trim().parse().unwrap_or_default()
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap_or_default()
    }

    /// Ends it, as dropping it does.
    pub fn stop(self) {}

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap_or_default()
    }
}

/// Returns the user and system time that a `stat` of Linux tells.
fn processor_time(stat: &str) -> Duration {
    // After the name in parentheses, which may hold anything, they are fields 14 and 15 of all.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the gateway until it is killed.
pub fn serve_gateway(config: &Path, sync: bool) {
    let config = Config::load(config).unwrap_or_else(|problems| panic!("{problems}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = Options {
            store: store::Options {
                sync,
                ..store::Options::default()
            },
            ..Options::default()
        };
        let gateway = Gateway::start(&config, &options)
            .await
            .expect("the gateway starts");
        println!("{}", gateway.address);
        std::future::pending::<()>().await;
    });
}

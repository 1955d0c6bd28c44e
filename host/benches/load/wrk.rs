//! Runs `wrk` and reads its output.

use std::process::Stdio;

use super::requests::Script;

/// The result of one run.
pub struct Report {
    pub requests: u64,
    /// Requests answered 200.
    pub accepted: u64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Report {
    pub fn per_second(&self) -> f64 {
        self.accepted as f64 / self.seconds
    }
}

/// Runs `wrk` over the prepared requests, on so many connections.
pub async fn run(url: &str, script: &Script, connections: usize, seconds: u64) -> Report {
    let url = url.to_owned();
    let path = script.lua.clone();
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{connections}"),
                &format!("-d{seconds}s"),
                "-s",
            ])
            .arg(path)
            .arg(url)
            .stderr(Stdio::inherit())
            .output()
            .expect("`wrk` runs; on Debian, `apt-get install wrk` installs it")
    });
    let output = output.await.expect("wrk ends");
    let text = String::from_utf8_lossy(&output.stdout);
    // The script's `done` prints one line of numbers: requests, failures, microseconds, p50 and p99
    // in microseconds.
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("figures "))
        .unwrap_or_else(|| panic!("wrk said {text}"));
    let figures: Vec<f64> = line
        .split_whitespace()
        .filter_map(|figure| figure.parse().ok())
        .collect();
    Report {
        requests: figures[0] as u64,
        accepted: (figures[0] - figures[1]) as u64,
        seconds: figures[2] / 1e6,
        p50_ms: figures[3] / 1e3,
        p99_ms: figures[4] / 1e3,
    }
}

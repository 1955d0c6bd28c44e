//! A real Alertmanager, as a sender or as a destination.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use super::{Installed, Process};

/// An Alertmanager that runs.
pub struct Alertmanager {
    pub process: Process,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration, on a free port.
    pub async fn start(program: &Installed, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        let mut command = program.command();
        command.current_dir(folder.path()).args([
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
            "--log.format=json",
        ]);
        let mut process = Process::start(command);
        let listening = |line: &Value| {
            (line["msg"] == "Listening on").then(|| line["address"].as_str()?.parse().ok())?
        };
        let address = process.log("Listening on", listening).await;
        Self {
            process,
            address,
            _folder: folder,
        }
    }
}

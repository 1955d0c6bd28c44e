//! A shell that runs a server in a folder of its own, as the user whom PostgreSQL takes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::geteuid;

/// A running shell. Its script waits for the end of its standard input, and ends the server then.
#[derive(Debug)]
pub struct Shell {
    input: Option<ChildStdin>,
    process: Child,
}

impl Shell {
    /// Runs a script in a folder that is its server's alone.
    pub fn run(script: &str, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.current_dir(folder).args(["-c", script]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if geteuid().is_root() {
            // PostgreSQL refuses root.
            let (user, group) = of_postgres();
            chown(folder, Some(user), Some(group)).unwrap();
            command.uid(user).gid(group);
        }
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        Self { input, process }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// Makes a folder, which its script removes.
pub fn folder() -> PathBuf {
    // A path that is short, as those of sockets are limited, and that another user may enter.
    let mut made = tempfile::Builder::new();
    let made = made.prefix("gateway-pg-").tempdir_in("/tmp").unwrap();
    made.keep()
}

/// Returns an address that nothing listens at.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// The user and the group that Debian's package makes.
fn of_postgres() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<_> = user.expect("no user postgres").split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

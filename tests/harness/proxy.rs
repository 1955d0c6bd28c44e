//! nginx and HAProxy, as they stand in front of a gateway; and PgBouncer, as it stands before its
//! database.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Installed, until};

/// A proxy that runs until it is dropped.
pub struct Proxy {
    child: Child,
    /// The place where its clients reach it.
    pub address: SocketAddr,
    /// Its configuration, for as long as it runs.
    _folder: TempDir,
}

impl Proxy {
    /// nginx, with this in its `server`. `{upstream}` stands for the gateway's address.
    pub async fn nginx(program: &Installed, upstream: &str, server: &str) -> Self {
        let address = free_address();
        Self::start(address, |folder| {
            let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .iter()
                .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
                .collect();
            let config = format!(
                "daemon off;\nworker_processes 1;\nerror_log stderr;\npid {folder}/nginx.pid;\nuser {user};\n\
                 events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n{paths}\
                 upstream gateway {{ server {upstream}; }}\nserver {{\nlisten {address};\n{server}\n}}\n}}\n",
                folder = folder.display(),
                user = if super::programs::is_root() { "root" } else { "nobody" },
            );
            let file = folder.join("nginx.conf");
            fs::write(&file, config).unwrap();
            let mut command = program.command();
            command.arg("-p").arg(folder).arg("-c").arg(file);
            command
        })
        .await
    }

    /// HAProxy, which asks the gateway at `upstream` whether it is there, and serves its own state
    /// at `/state`.
    pub async fn haproxy(program: &Installed, upstream: &str) -> Self {
        let address = free_address();
        Self::start(address, |folder| {
            let config = format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
                 frontend senders\n bind {address}\n option forwardfor\n monitor-uri /state\n\
                 monitor fail if {{ nbsrv(gateway) lt 1 }}\n default_backend gateway\n\
                 backend gateway\n option httpchk\n http-check send meth HEAD uri /healthz ver HTTP/1.1 hdr Host gateway\n\
                 http-check expect status 200\n server one {upstream} check inter 100 fall 1 rise 1\n"
            );
            let file = folder.join("haproxy.cfg");
            fs::write(&file, config).unwrap();
            let mut command = program.command();
            command.arg("-db").arg("-f").arg(file);
            command
        })
        .await
    }

    /// PgBouncer before a server, in a pool mode.
    pub async fn pgbouncer(program: &Installed, server: SocketAddr, mode: &str) -> Self {
        let address = free_address();
        Self::start(address, |folder| {
            let config = format!(
                "[databases]\n* = host={} port={} user=gateway\n\
                 [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = {mode}\ndefault_pool_size = 40\n",
                server.ip(),
                server.port(),
                address.ip(),
                address.port()
            );
            let file = folder.join("pgbouncer.ini");
            fs::write(&file, config).unwrap();
            let mut command = program.command();
            if super::programs::is_root() {
                // It refuses root.
                command.args(["-u", "postgres"]);
            }
            command.arg(file);
            command
        })
        .await
    }

    async fn start(
        address: SocketAddr,
        command: impl FnOnce(&Path) -> std::process::Command,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self {
            child,
            address,
            _folder: folder,
        };
        until("the proxy listens", async || {
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx's master ends its workers at SIGTERM, and leaves them at SIGKILL.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// An address on loopback that is free now.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

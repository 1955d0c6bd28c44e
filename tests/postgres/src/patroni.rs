//! Two servers that Patroni looks after, with the state of their cluster in etcd.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::shell::{self, Shell};
use super::{Database, look, processes};

/// The pair.
#[derive(Debug)]
pub struct Patroni {
    nodes: [Node; 2],
    /// The last of all to end.
    _etcd: Shell,
}

/// A machine with a server and the Patroni that looks after it.
#[derive(Debug)]
struct Node {
    programs: PathBuf,
    patroni: PathBuf,
    address: SocketAddr,
    api: SocketAddr,
    /// The shell removes it, unless the machine is lost.
    folder: PathBuf,
    /// None while the machine is lost.
    shell: Option<Shell>,
}

/// Runs etcd.
const ETCD: &str = "'ETCD' --data-dir data --listen-client-urls http://CLIENTS \
        --advertise-client-urls http://CLIENTS --listen-peer-urls http://PEERS \
        --initial-advertise-peer-urls http://PEERS --initial-cluster default=http://PEERS >log 2>&1 &
    etcd=$!
    cat >/dev/null; kill -KILL $etcd; wait; cd /; rm -rf 'FOLDER'";

/// Runs Patroni, which starts the server.
const NODE: &str = "'PATRONI' patroni.yml >>log 2>&1 &
    echo $! >patroni.pid
    cat >/dev/null; if [ -e lost ]; then exit; fi
    kill -KILL $(cat patroni.pid); kill -QUIT $(head -1 data/postmaster.pid); wait; cd /; rm -rf 'FOLDER'";

/// The settings of a node; those under `dcs` are what docs/several-gateways.md advises for two.
const SETTINGS: &str = "scope: drill
name: NAME
restapi: { listen: 'API', connect_address: 'API' }
etcd3: { hosts: 'ETCD' }
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 3
    synchronous_mode: true
    synchronous_mode_strict: true
    maximum_lag_on_failover: 0
    postgresql:
      use_pg_rewind: false
      parameters: { synchronous_commit: 'on', max_connections: 300, shared_buffers: 32MB }
  initdb: [ { encoding: UTF8 }, { locale: C }, { auth: trust }, no-sync ]
postgresql:
  listen: 'SERVER'
  connect_address: 'SERVER'
  data_dir: data
  bin_dir: 'PROGRAMS'
  pgpass: pgpass
  parameters: { unix_socket_directories: '' }
  pg_hba: [ 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust' ]
  authentication:
    superuser: { username: gateway }
    replication: { username: gateway }
  remove_data_directory_on_diverged_timelines: true
";

impl Patroni {
    /// Starts the pair, and waits until one of them is the synchronous standby of the other.
    pub fn start(initdb: &Path, patroni: &Path, etcd: &Path) -> Self {
        let initdb = fs::canonicalize(initdb).unwrap();
        let programs = initdb.parent().unwrap();
        let [clients, peers] = [shell::free(), shell::free()];
        let folder = shell::folder();
        let script = ETCD
            .replace("ETCD", etcd.to_str().unwrap())
            .replace("CLIENTS", &clients.to_string())
            .replace("PEERS", &peers.to_string())
            .replace("FOLDER", folder.to_str().unwrap());
        let etcd = Shell::run(&script, &folder);
        let nodes = ["one", "two"].map(|name| Node::start(name, programs, patroni, clients));
        let pair = Self { nodes, _etcd: etcd };
        look("Patroni has a synchronous standby", || {
            pair.nodes.iter().any(|node| node.is("/primary"))
                && pair.nodes.iter().any(|node| node.is("/synchronous"))
        });
        pair
    }

    /// Makes a database.
    pub fn database(&self) -> Database {
        let leader = self.leader().expect("one leads");
        Database::make(&Database::named(
            "postgres",
            leader.address,
            &leader.programs,
        ))
    }

    /// Returns the addresses of both servers.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        self.nodes.each_ref().map(|node| node.address)
    }

    /// Loses the machine of the server that leads: all of it, at once. Returns its address.
    pub fn lose_leader(&mut self) -> SocketAddr {
        let leader = self.nodes.iter_mut().find(|node| node.is("/primary"));
        let leader = leader.expect("one leads");
        leader.lose();
        leader.address
    }

    /// Starts the machine at this address again.
    pub fn bring_back(&mut self, address: SocketAddr) {
        let lost = self.nodes.iter_mut().find(|node| node.address == address);
        lost.expect("a node").run();
    }

    /// Returns the address of the server that leads.
    pub fn leads(&self) -> Option<SocketAddr> {
        self.leader().map(|node| node.address)
    }

    fn leader(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.is("/primary"))
    }
}

impl Node {
    fn start(name: &str, programs: &Path, patroni: &Path, etcd: SocketAddr) -> Self {
        let [address, api] = [shell::free(), shell::free()];
        let folder = shell::folder();
        let settings = SETTINGS
            .replace("NAME", name)
            .replace("API", &api.to_string())
            .replace("ETCD", &etcd.to_string())
            .replace("SERVER", &address.to_string())
            .replace("PROGRAMS", programs.to_str().unwrap());
        fs::write(folder.join("patroni.yml"), settings).unwrap();
        let mut node = Self {
            programs: programs.to_owned(),
            patroni: patroni.to_owned(),
            address,
            api,
            folder,
            shell: None,
        };
        node.run();
        node
    }

    fn run(&mut self) {
        let script = NODE
            .replace("PATRONI", self.patroni.to_str().unwrap())
            .replace("FOLDER", self.folder.to_str().unwrap());
        self.shell = Some(Shell::run(&script, &self.folder));
    }

    /// Returns whether Patroni's API says this of the node.
    fn is(&self, role: &str) -> bool {
        self.asked(role)
            .is_ok_and(|answer| answer.contains(" 200 "))
    }

    /// Returns the first line of an answer of Patroni's API.
    fn asked(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.api)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    /// Kills Patroni first, which would start the server again.
    fn lose(&mut self) {
        let mark = self.folder.join("lost");
        fs::write(&mark, "").unwrap();
        for file in ["patroni.pid", "data/postmaster.pid"] {
            let main = processes::written_in(&self.folder.join(file)).unwrap();
            processes::kill_whole(main);
        }
        self.shell = None;
        fs::remove_file(mark).unwrap();
    }
}

//! Disks that are full, read-only, not this user's, or failing: made for one process, without touching the machine's own.

use std::path::PathBuf;
use std::process::Command;

use super::place::{PROGRAM, program, warm, with_secrets};
use super::{Gateway, Output, Place, Process};

/// Debian's package of the fault layer, and its programs.
const FAULTS: (&str, &str, &str) = ("fiu-utils", "fiu-run", "fiu-ctrl");

/// EIO, as the disk says it.
pub const IO_ERROR: i32 = 5;

/// ENOSPC.
pub const NO_SPACE: i32 = 28;

/// The operating system's calls that touch a file of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Sync,
    Truncate,
    Open,
    Map,
}

/// What makes the calls of one running process fail.
pub struct Faults {
    control: PathBuf,
    process: u32,
}

impl Faults {
    /// From now on each of these calls fails with this error once in `1 / probability` times.
    pub fn on(&self, calls: &[Call], probability: f64, error: i32) {
        for call in calls {
            self.command(&enable(*call, probability, error));
        }
    }

    /// The disk is well again.
    pub fn off(&self) {
        for call in [Call::Read, Call::Write, Call::Sync, Call::Truncate, Call::Open, Call::Map] {
            self.command(&format!("disable name={}", call.name()));
        }
    }

    fn command(&self, command: &str) {
        let mut control = Command::new(FAULTS.2);
        control.arg("-f").arg(&self.control).args(["-c", command]).arg(self.process.to_string());
        let said = control.output().unwrap();
        assert!(said.status.success(), "{command}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "posix/io/rw/pread",
            Self::Write => "posix/io/rw/pwrite",
            Self::Sync => "posix/io/sync/fsync",
            Self::Truncate => "posix/io/rw/ftruncate",
            Self::Open => "posix/io/oc/open",
            Self::Map => "posix/mm/mmap",
        }
    }
}

fn enable(call: Call, probability: f64, error: i32) -> String {
    format!("enable_random name={},probability={probability},failinfo={error}", call.name())
}

impl Place {
    /// Starts the gateway under a layer that can make its disk fail, and waits until it takes requests.
    pub async fn start_with_faults(&self) -> (Gateway, Faults) {
        warm(&self.path("data")).await;
        let control = self.path("faults");
        let gateway = Gateway::ready(Process::start(with_secrets(self.faulty(&[])))).await;
        let process = gateway.id();
        (gateway, Faults { control, process })
    }

    /// Starts the gateway on a disk that fails from the start.
    pub async fn launch_with_faults(&self, calls: &[Call], probability: f64, error: i32) -> Process {
        warm(&self.path("data")).await;
        let faults: Vec<_> = calls.iter().map(|call| enable(*call, probability, error)).collect();
        Process::start(with_secrets(self.faulty(&faults)))
    }

    fn faulty(&self, faults: &[String]) -> Command {
        let found = Command::new(FAULTS.1).arg("-h").output();
        assert!(
            found.is_ok(),
            "this test makes the disk's calls fail with {}, which is not installed: apt-get install {} (.ci/run does it)",
            FAULTS.1,
            FAULTS.0
        );
        let mut command = program(FAULTS.1);
        command.current_dir(self.path("")).arg("-x").arg("-f").arg(self.path("faults"));
        for fault in faults {
            command.args(["-c", fault]);
        }
        command.args([PROGRAM, "run"]);
        command
    }

    /// Starts the gateway with a disk of its own of so many KiB under `data`, and waits until it takes requests. The disk is
    /// gone with the process; until then it is found in [`Place::within`].
    pub async fn start_on_a_disk_of(&self, kib: u32) -> Gateway {
        warm(&self.path("data")).await;
        let mount = format!(
            "mv data before && mkdir -m 700 data && mount -t tmpfs -o size={kib}k,mode=700 none data && cp -pR before/. data"
        );
        Gateway::ready(self.elsewhere(&["-rm"], &mount, &["run"])).await
    }

    /// Starts the program where `data` is mounted read-only.
    pub fn launch_read_only(&self, arguments: &[&str]) -> Process {
        self.elsewhere(&["-rm"], "mount --bind data data && mount -o remount,bind,ro data", arguments)
    }

    /// Starts the program without the privileges of root, so that the modes of files hold for it.
    pub fn launch_unprivileged(&self, arguments: &[&str]) -> Process {
        self.elsewhere(&["-U"], "true", arguments)
    }

    /// A file of a gateway that has mounts of its own.
    pub fn within(&self, gateway: &Gateway, name: &str) -> PathBuf {
        let path = self.path(name);
        PathBuf::from(format!("/proc/{}/root", gateway.id())).join(path.strip_prefix("/").unwrap())
    }

    /// Runs the program to its end beside a gateway that has mounts of its own.
    pub async fn run_within(&self, gateway: &Gateway, arguments: &[&str]) -> Output {
        let mut command = program("nsenter");
        command.args(["--preserve-credentials", "-U", "-m", "-t", &gateway.id().to_string()]);
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(self.path("")).arg(PROGRAM).args(arguments);
        Process::start(command).output().await
    }

    /// Starts the program in namespaces of its own, after this was done there. Nothing of it is seen outside.
    fn elsewhere(&self, namespaces: &[&str], first: &str, arguments: &[&str]) -> Process {
        let mut command = program("unshare");
        command.current_dir(self.path("")).args(namespaces).args(["sh", "-c"]);
        let told =
            "this test needs a namespace of its own (unshare), as root or where the system allows it to all users";
        command.arg(format!("{{ {first}; }} || {{ echo '{told}' >&2; exit 99; }}; exec \"$@\""));
        command.args(["sh", PROGRAM]).args(arguments);
        Process::start(with_secrets(command))
    }
}

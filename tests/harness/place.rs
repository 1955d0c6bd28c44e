//! A folder with a configuration, a store and the program.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use itoc360_double::Format;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::itoc360::{Itoc360, TOKEN};
use super::{Gateway, Output, Process, twilio, until};

/// The real program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_alert-gateway");

/// A place in the making: one destination and one Twilio source, unless it is told more.
pub struct Setup {
    gateway: String,
    destinations: Vec<(String, String)>,
    sources: String,
    folder: TempDir,
}

/// A folder with a configuration, in which the program is run.
pub struct Place {
    folder: TempDir,
}

impl Setup {
    /// Delivers to `itoc360`; the source `twilio` reads Twilio's errors.
    pub fn new(itoc360: &Itoc360) -> Self {
        Self::empty()
            .destination("itoc360", itoc360)
            .twilio("twilio")
    }

    /// Without a destination or a source.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            gateway: String::new(),
            destinations: Vec::new(),
            sources: String::new(),
            folder,
        }
    }

    /// One destination more, at which the operator hears of the others.
    pub fn operator(mut self, itoc360: &Itoc360) -> Self {
        self = self.destination("ops", itoc360);
        self.destinations.rotate_right(1);
        self.gateway("operator_destination = \"ops\"")
    }

    /// Adds lines to `[gateway]`.
    pub fn gateway(mut self, lines: &str) -> Self {
        self.gateway += &format!("{lines}\n");
        self
    }

    /// Writes a file beside the configuration.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    /// One destination more.
    pub fn destination(self, name: &str, itoc360: &Itoc360) -> Self {
        self.destination_at(name, &itoc360.url(), itoc360.format())
    }

    /// One destination more, at this URL.
    pub fn destination_at(mut self, name: &str, url: &str, format: Format) -> Self {
        let format = format.as_str();
        let table = format!(
            "kind = \"itoc360\"\nurl = \"{url}\"\ntoken = {{ env = \"ITOC360_TOKEN\" }}\nformat = \"{format}\"\n"
        );
        self.destinations.push((name.to_owned(), table));
        self
    }

    /// One destination more, of these lines.
    pub fn destination_of(mut self, name: &str, lines: &str) -> Self {
        self.destinations
            .push((name.to_owned(), format!("{lines}\n")));
        self
    }

    /// Adds lines to the latest destination.
    pub fn delivery(mut self, lines: &str) -> Self {
        let (_, table) = self.destinations.last_mut().unwrap();
        *table = format!("{table}{lines}\n");
        self
    }

    /// One source more, of these lines; it delivers to the latest destination.
    pub fn source(mut self, name: &str, lines: &str) -> Self {
        let (destination, _) = self.destinations.last().unwrap();
        self.sources += &format!("\n[sources.{name}]\ndestination = \"{destination}\"\n{lines}\n");
        self
    }

    /// One source more, which reads Twilio's errors signed with the usual token.
    pub fn twilio(self, name: &str) -> Self {
        self.source(
            name,
            "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }",
        )
    }

    /// One source more, read by a plugin in a file `<name>.wasm`.
    pub fn plugin(self, name: &str, wasm: &[u8], lines: &str) -> Self {
        fs::write(self.folder.path().join(name).with_extension("wasm"), wasm).unwrap();
        self.source(
            name,
            &format!("plugin = {{ path = \"{name}.wasm\" }}\n{lines}"),
        )
    }

    /// Writes it all down.
    pub fn place(self) -> Place {
        // A healthy plugin must not fail its limit because the machine is busy with other tests.
        let mut text = format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\npublic_url = \"{}\"\ndata_dir = \"data\"\n{}\n\
             [limits]\ntime = \"10s\"\n",
            twilio::PUBLIC_URL,
            self.gateway
        );
        for (name, table) in &self.destinations {
            text += &format!("\n[destinations.{name}]\n{table}");
        }
        let place = Place {
            folder: self.folder,
        };
        fs::write(place.config(), text + &self.sources).unwrap();
        place
    }

    /// Writes it all down, and starts the gateway.
    pub async fn start(self) -> (Place, Gateway) {
        let place = self.place();
        let gateway = place.start().await;
        (place, gateway)
    }
}

impl Place {
    /// A place with this configuration.
    pub fn of(config: &str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(place.config(), config).unwrap();
        place
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Starts the gateway, and waits until it takes requests.
    pub async fn start(&self) -> Gateway {
        warm(&self.path("data")).await;
        Gateway::ready(self.launch(&["run"])).await
    }

    /// Starts the gateway where no file may be larger than about a megabyte, and waits until it
    /// takes requests.
    pub async fn start_on_a_small_disk(&self) -> Gateway {
        warm(&self.path("data")).await;
        let mut command = program("sh");
        // A process that does not care for the signal is told by the write that it failed. The
        // shell counts in 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -S -f 2048; exec '{PROGRAM}' run");
        command
            .current_dir(self.folder.path())
            .args(["-c", &script]);
        Gateway::ready(Process::start(with_secrets(command))).await
    }

    /// Starts the gateway with more in its environment, and waits until it takes requests.
    pub async fn start_with<V: AsRef<OsStr>>(
        &self,
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Gateway {
        warm(&self.path("data")).await;
        Gateway::ready(self.launch_with(&["run"], environment)).await
    }

    /// Starts the gateway as one to whom it is all the same who reads its files, and waits until it
    /// takes requests.
    pub async fn start_with_an_open_umask(&self) -> Gateway {
        let mut command = program("sh");
        command
            .current_dir(self.folder.path())
            .args(["-c", &format!("umask 000; exec '{PROGRAM}' run")]);
        Gateway::ready(Process::start(with_secrets(command))).await
    }

    /// Starts the gateway where the system kills it at the write that makes a file larger than so
    /// many KiB. Where none does, it is told to stop as soon as it takes requests.
    pub async fn launch_until_a_file_has(&self, kib: u32, options: &str) -> Output {
        warm(&self.path("data")).await;
        let mut command = program("sh");
        let blocks = kib * 2;
        let script = format!("ulimit -f {blocks}; ulimit -c 0; exec '{PROGRAM}' run {options}");
        command
            .current_dir(self.folder.path())
            .args(["-c", &script]);
        let mut process = Process::start(with_secrets(command));
        process.wait_for_the_end_or("\"ready\"").await;
        process.terminate();
        process.output().await
    }

    /// Starts the program where no file may be larger than about 64 KB, and waits for nothing.
    pub fn launch_without_room(&self, arguments: &[&str]) -> Process {
        let mut command = program("sh");
        command.current_dir(self.folder.path()).args([
            "-c",
            "trap '' XFSZ; ulimit -f 128; exec \"$@\"",
            "sh",
            PROGRAM,
        ]);
        command.args(arguments);
        Process::start(with_secrets(command))
    }

    /// Starts the program, and waits for nothing.
    pub fn launch(&self, arguments: &[&str]) -> Process {
        Process::start(with_secrets(self.command(arguments)))
    }

    /// Starts the program with more in its environment, and waits for nothing.
    pub fn launch_with<V: AsRef<OsStr>>(
        &self,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Process {
        let mut command = self.command(arguments);
        command.envs(environment);
        Process::start(with_secrets(command))
    }

    /// Starts the program for a reader who is gone before it prints anything.
    pub fn launch_unread(&self, arguments: &[&str]) -> Process {
        Process::start_unread(self.command(arguments))
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.launch(arguments).output().await
    }

    /// Runs the program to its end with more in its environment.
    pub async fn run_with<V: AsRef<OsStr>>(
        &self,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Output {
        self.launch_with(arguments, environment).output().await
    }

    /// Runs the program to its end, as one who has not the gateway's environment.
    pub async fn run_without_secrets(&self, arguments: &[&str]) -> Output {
        Process::start(self.command(arguments)).output().await
    }

    /// Asserts that the store is whole.
    pub async fn is_whole(&self) {
        let checked = self.run_without_secrets(&["store", "check"]).await;
        assert_eq!(
            checked.code,
            Some(0),
            "{}{}",
            checked.stdout,
            checked.stderr
        );
    }

    /// Returns the output of `events show` about the one request with this id.
    pub async fn event(&self, id: &str) -> Value {
        let shown = self
            .run_without_secrets(&["events", "show", id, "--json"])
            .await;
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        let found: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
        let [request] = <[Value; 1]>::try_from(found).unwrap();
        request
    }

    /// Waits until the one alert of a request is in this state, and gives the request.
    pub async fn event_in_state(&self, id: &str, state: &str) -> Value {
        until(&format!("{id} is {state}"), async || {
            let event = self.event(id).await;
            (event["alerts"][0]["state"] == state).then_some(event)
        })
        .await
    }

    /// The lines that `events list` prints with these arguments.
    pub async fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [
            &["events", "list", "--json", "--limit", "1000000"],
            arguments,
        ]
        .concat();
        let listed = self.run_without_secrets(&arguments).await;
        assert_eq!(listed.code, Some(0), "{}", listed.stderr);
        listed
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(PROGRAM);
        command.current_dir(self.folder.path()).args(arguments);
        command
    }
}

/// With the secrets that the configuration names.
pub fn with_secrets(mut command: Command) -> Command {
    command
        .env("ITOC360_TOKEN", TOKEN)
        .env("TWILIO_AUTH_TOKEN", twilio::AUTH_TOKEN);
    command
}

/// Returns a command that starts a program without what the shell that runs the tests has set.
pub fn program(path: &str) -> Command {
    without_the_shells(Command::new(path))
}

/// The caches of the user who runs the tests: plugins are compiled there once for all of them.
pub fn caches() -> PathBuf {
    env!("CARGO_TARGET_TMPDIR").into()
}

/// Gives it the caches of the tests, and removes what the shell that runs the tests has set for the
/// gateway.
pub fn without_the_shells(mut command: Command) -> Command {
    command.env("XDG_CACHE_HOME", caches());
    for name in [
        "ALERT_GATEWAY_LOG",
        "ALERT_GATEWAY_CONFIG",
        "ITOC360_TOKEN",
        "TWILIO_AUTH_TOKEN",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Puts the compiled bundled plugins where a gateway would have left them, so that it does not
/// compile them anew for each test. They are the work of one gateway, the first.
pub async fn warm(data_dir: &Path) {
    static COMPILED: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    static FIRST: OnceCell<()> = OnceCell::const_new();
    if data_dir.exists() {
        return;
    }
    FIRST
        .get_or_init(async || {
            let itoc360 = Itoc360::start(Format::Alertmanager).await;
            let place = Setup::new(&itoc360).place();
            Gateway::ready(place.launch(&["run"])).await.kill().await;
            let files = fs::read_dir(place.path("data/cache"))
                .unwrap()
                .map(|file| file.unwrap().path());
            let _ = COMPILED.set(
                files
                    .map(|path| (path.file_name().unwrap().into(), fs::read(path).unwrap()))
                    .collect(),
            );
        })
        .await;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir.join("cache"))
        .unwrap();
    for (name, bytes) in COMPILED.get().unwrap() {
        let path = data_dir.join("cache").join(name);
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
    }
}

//! A folder with settings, and the binary in it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringmaster::api::client;
use ringmaster_bus::embedded::{Log, Settings};

/// How long a coordinator may take to start or to stop on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with settings for the embedded bus and the order saga's definitions.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
}

impl Site {
    pub(crate) fn new() -> Site {
        // Free a moment ago; nobody else takes ports of this range meanwhile.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sagas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas");
        let text = format!(
            "bus = 'embedded'\npartitions = 4\ndata_dir = '{}'\ndefinitions = '{}'\nschemas = '{}'\n[api]\nlisten = '{address}'\n",
            folder.path().join("state").display(),
            sagas.display(),
            sagas.join("schemas").display(),
        );
        std::fs::write(folder.path().join("ringmaster.toml"), text).expect("written");
        Site { folder, address }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmaster"));
        command.current_dir(self.folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn ringmaster(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(crate) fn log(&self) -> Log {
        Log::open(&self.folder.path().join("state/bus"), Settings::default()).expect("nobody else has it")
    }

    /// Starts a coordinator and waits until it is ready.
    pub(crate) fn start(&self) -> Coordinator {
        self.start_as("http")
    }

    /// The same, where it is asked by this; who signed its certificate is in `ca.pem`.
    pub(crate) fn start_as(&self, scheme: &str) -> Coordinator {
        let url = format!("{scheme}://{}", self.address).parse().expect("an address");
        let ca_file = (scheme == "https").then(|| self.folder.path().join("ca.pem"));
        let caller = client::caller(&url, &client::Means { token_file: None, ca_file }).expect("ready");
        let log = self.folder.path().join("log");
        let file = std::fs::File::create(&log).expect("made");
        let child = self.command(&["run"]).stderr(file).spawn().expect("it starts");
        let mut coordinator = Coordinator { child, log };
        let since = Instant::now();
        loop {
            if caller.get("/readyz").is_ok_and(|answer| answer.code == 200) {
                return coordinator;
            }
            if let Some(status) = coordinator.child.try_wait().expect("its state can be asked") {
                panic!("it ended with {status}: {}", coordinator.log());
            }
            assert!(since.elapsed() < PATIENCE, "it is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A running coordinator; killed if a test forgets it.
pub(crate) struct Coordinator {
    pub(crate) child: Child,
    log: PathBuf,
}

impl Coordinator {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("text")
    }

    /// Waits until its log says this.
    pub(crate) fn until_it_says(&self, text: &str) {
        let since = Instant::now();
        while !self.log().contains(text) {
            assert!(since.elapsed() < PATIENCE, "it does not say '{text}': {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to stop, and waits; its exit code and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state can be asked") {
                return (status.code(), self.log());
            }
            assert!(since.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

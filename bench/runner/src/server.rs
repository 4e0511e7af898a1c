//! One server process, from start to end.

use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ends when it is dropped, and its folder with it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts what `command` makes of an address and an empty folder, and waits until it accepts connections.
    pub(crate) fn start(
        name: &str,
        core: Option<usize>,
        command: impl FnOnce(SocketAddr, &Path) -> Result<Vec<OsString>, String>,
    ) -> Result<Self, String> {
        let address = free_address()?;
        let folder = new_folder(name)?;
        let words = command(address, &folder)?;
        let log = folder.join("log");
        let child = File::create(&log)
            .and_then(|out| Ok((out.try_clone()?, out)))
            .and_then(|(out, error)| {
                on_core(core, words)
                    .stdin(Stdio::null())
                    .stdout(out)
                    .stderr(error)
                    .spawn()
            })
            .map_err(|error| format!("start {name}: {error}"))?;
        let mut server = Self {
            address,
            child,
            folder,
        };
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{name} did not start: {said}"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_MAX;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A command bound to one core, if one is given.
pub(crate) fn on_core(core: Option<usize>, words: Vec<OsString>) -> Command {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let mut command = match core {
        Some(core) => {
            let mut taskset = Command::new("taskset");
            taskset.arg("-c").arg(core.to_string()).arg(program);
            taskset
        }
        None => Command::new(program),
    };
    command.args(words);
    command
}

/// An empty folder below the system's one for temporary files.
pub(crate) fn new_folder(name: &str) -> Result<PathBuf, String> {
    let stamp = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_nanos();
    let folder = std::env::temp_dir().join(format!("tidings-bench-{name}-{stamp}"));
    std::fs::create_dir(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    Ok(folder)
}

fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("find a free port: {error}"))
}

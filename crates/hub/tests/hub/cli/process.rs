//! Child processes of the built binary, with their output as lines to wait for.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Only a process that hangs takes this long.
const HANG: Duration = Duration::from_secs(90);

/// An address that no outgoing connection of another test can hold as its own, so that a hub can come back to its port.
pub(super) const OWN_ADDRESS: &str = "127.77.0.1:0";

/// The binary, without any setting of the environment that the tests run in.
pub(super) fn tidings(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDINGS_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// How a short command ended.
#[derive(Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs a command to its end.
pub(super) fn ended(command: &mut Command) -> Ended {
    let mut process = Process::spawn(command);
    let code = process.code();
    Ended {
        code,
        out: process.out.rest(),
        err: process.err.rest(),
    }
}

/// Runs a command to its end and expects success; its output.
pub(super) fn succeeds(command: &mut Command) -> String {
    let Ended { code, out, err } = ended(command);
    assert_eq!(code, 0, "{out}{err}");
    out
}

/// A running child; killed when it goes out of scope.
pub(super) struct Process {
    child: Child,
    pub(super) out: Lines,
    pub(super) err: Lines,
}

impl Process {
    pub(super) fn spawn(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the built binary");
        let out = Lines::of(child.stdout.take().expect("a pipe"));
        let err = Lines::of(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    pub(super) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("a running process");
    }

    /// Waits for the end; the exit code, or minus the signal.
    pub(super) fn code(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        // Its output ends before it does; after that, waiting is short.
        self.out.drain();
        self.err.drain();
        let status = self.child.wait().expect("a child");
        status
            .code()
            .or_else(|| status.signal().map(|signal| -signal))
            .expect("an end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of an output, read as they come.
pub(super) struct Lines {
    receiver: Receiver<String>,
    waiting: VecDeque<String>,
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            let _ = lines.try_for_each(|line| sender.send(line));
        });
        Self {
            receiver,
            waiting: VecDeque::new(),
        }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Option<String> {
        let waiting = self.waiting.pop_front();
        waiting.or_else(|| self.receive(Instant::now() + HANG))
    }

    /// The next lines, up to the first that contains `part`; that one.
    pub(super) fn until(&mut self, part: &str) -> String {
        let mut before = Vec::new();
        while let Some(line) = self.next() {
            if line.contains(part) {
                return line;
            }
            before.push(line);
        }
        panic!("ended without {part:?}: {before:#?}");
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<String> {
        let lines: Vec<String> = (0..count).map_while(|_| self.next()).collect();
        assert_eq!(lines.len(), count, "ended early: {lines:#?}");
        lines
    }

    fn rest(&mut self) -> String {
        self.drain();
        self.waiting.drain(..).map(|line| line + "\n").collect()
    }

    fn drain(&mut self) {
        let deadline = Instant::now() + HANG;
        while let Some(line) = self.receive(deadline) {
            self.waiting.push_back(line);
        }
    }

    fn receive(&self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.receiver.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("hangs after {:#?}", self.waiting),
        }
    }
}

/// A hub in a folder of its own, which outlives the process.
pub(super) struct Hub {
    pub(super) process: Process,
    pub(super) folder: TempDir,
    /// Where it listens.
    pub(super) address: String,
    settings: Vec<(&'static str, String)>,
}

impl Hub {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let (process, address) = serve(
            folder.path().to_str().expect("UTF-8"),
            OWN_ADDRESS,
            &settings,
        );
        Self {
            process,
            folder,
            address,
            settings,
        }
    }

    pub(super) fn data(&self) -> &str {
        self.folder.path().to_str().expect("UTF-8")
    }

    /// A command that talks to this hub.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tidings(arguments);
        command.env("TIDINGS_URL", format!("http://{}", self.address));
        command
    }

    /// A subscriber, connected when this returns.
    pub(super) fn subscriber(&self, arguments: &[&str]) -> Process {
        let arguments = [&["subscribe"], arguments].concat();
        let mut process = Process::spawn(&mut self.command(&arguments));
        process.err.until("connected to");
        process
    }

    /// A publisher that reads standard input, which is the second part.
    pub(super) fn feeder(&self, arguments: &[&str]) -> (Process, ChildStdin) {
        let arguments = [&["publish", "--stdin"], arguments].concat();
        let mut process = Process::spawn(self.command(&arguments).stdin(Stdio::piped()));
        let stdin = process.stdin();
        (process, stdin)
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        assert_eq!(self.process.code(), -9);
    }

    /// Once more on the same folder and port.
    pub(super) fn restart(&mut self) {
        let (process, address) = serve(self.data(), &self.address, &self.settings);
        assert_eq!(address, self.address);
        self.process = process;
    }
}

fn serve(data: &str, listen: &str, settings: &[(&'static str, String)]) -> (Process, String) {
    let mut command = tidings(&["serve", "--listen", listen, "--data", data]);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn(&mut command);
    let Some(line) = process.out.next() else {
        panic!("no start: {}", process.err.rest());
    };
    let (_, address) = line.split_once("listens on ").expect("the address");
    (process, address.to_owned())
}

pub(super) fn write_line(stdin: &mut ChildStdin, line: &str) {
    writeln!(stdin, "{line}").expect("a reader");
}

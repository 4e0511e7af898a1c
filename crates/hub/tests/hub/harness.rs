//! A hub as a child process, and plain sockets to talk to it.
//!
//! Deadlines here only turn a hang into a failure; no test waits for time to pass.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidings_protocol::limits::EVENT_BYTES_MAX;
use tidings_protocol::sse;

/// Longer than anything takes on a busy machine.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A running hub. Dropping it kills the process.
pub(crate) struct Hub {
    child: Child,
    pub(crate) address: SocketAddr,
    dir: Arc<TempDir>,
    settings: Vec<(String, String)>,
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// `settings`: environment variables without their prefix, such as `("SSE_RETRY_MS", "10")`.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        Self::start_in(
            Arc::new(TempDir::new().expect("a temporary folder")),
            settings,
        )
    }

    /// Starts again on the same data.
    pub(crate) fn restart(mut self) -> Self {
        self.kill();
        Self::start_in(Arc::clone(&self.dir), self.settings.clone())
    }

    pub(crate) fn start_in(dir: Arc<TempDir>, settings: Vec<(String, String)>) -> Self {
        Self::start_with_log(dir, settings, Stdio::inherit())
    }

    pub(crate) fn start_with_log(
        dir: Arc<TempDir>,
        settings: Vec<(String, String)>,
        log: Stdio,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path())
            .env_remove("TIDINGS_JWT_SECRET")
            .envs(
                settings
                    .iter()
                    .map(|(key, value)| (format!("TIDINGS_{key}"), value)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the hub starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = &line[line.find("http://")? + "http://".len()..];
                rest.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()
            })
            .expect("the hub prints its address");
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            address,
            dir,
            settings,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// As a crash does it: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Asks it to stop: SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + HANG;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < deadline, "the hub does not stop");
            std::thread::yield_now();
        }
    }

    /// Memory of the process that is not shared with files, in KiB.
    pub(crate) fn anonymous_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .expect("RssAnon");
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse()
            .expect("a number")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.request(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut socket = connect(self.address);
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        // The hub may answer and close before it has read all of a body that it refuses.
        let _ = socket.write_all(&[head.as_bytes(), body].concat());
        Answer::read(&mut socket)
    }

    /// Publishes one message and expects it to be accepted.
    pub(crate) fn publish(&self, message: &Value) -> Value {
        let answer = self.post("/api/messages", &message.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub(crate) fn stream(&self, query: &str) -> Stream {
        Stream::open(self.address, query, &[])
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole answer of HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Reads until the hub closes.
    pub(crate) fn read(socket: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = socket.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

/// A stream that a client reads.
pub(crate) struct Stream {
    socket: TcpStream,
    decoder: sse::Decoder,
    pub(crate) head: String,
}

impl Stream {
    /// Opens a stream and reads the head of the answer, which must be 200.
    pub(crate) fn open(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut socket = connect(address);
        let mut request = format!(
            "GET /sse?{query} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        socket
            .write_all(format!("{request}\r\n").as_bytes())
            .expect("sent");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(
                socket.read(&mut byte).expect("a head"),
                1,
                "closed after {:?}",
                String::from_utf8_lossy(&head)
            );
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        Self {
            socket,
            decoder: sse::Decoder::new(EVENT_BYTES_MAX),
            head,
        }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) fn event(&mut self) -> Option<sse::Event> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event.expect("within the limit"));
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(bytes) => self.decoder.feed(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing more came: {error}"),
            }
        }
    }

    /// The next event that is a message of this type, with its cursor.
    pub(crate) fn expect(&mut self, kind: &str) -> (Value, String) {
        loop {
            let event = self
                .event()
                .unwrap_or_else(|| panic!("the stream ended before a {kind}"));
            if event.name == kind {
                return (
                    serde_json::from_str(&event.data).expect("JSON"),
                    event.last_event_id,
                );
            }
        }
    }

    /// The detail of the next system event, which must be `name`.
    pub(crate) fn expect_system(&mut self, name: &str) -> Value {
        let (message, _) = self.expect("system");
        assert_eq!(message["payload"]["event"], name, "{message}");
        message["payload"]["detail"].clone()
    }

    /// The next message that is not the hub's own, with its cursor; `None` at the end.
    pub(crate) fn message(&mut self) -> Option<(Value, String)> {
        loop {
            let event = self.event()?;
            let message: Value = serde_json::from_str(&event.data).expect("JSON");
            if message["source"] != "$hub" {
                return Some((message, event.last_event_id));
            }
        }
    }

    /// The payloads of the next `count` messages.
    pub(crate) fn payloads(&mut self, count: usize) -> Vec<Value> {
        (0..count)
            .map(|_| self.message().expect("a message").0["payload"].clone())
            .collect()
    }

    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.decoder.retry_ms()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn close(self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A connection that posts one request after the other.
pub(crate) struct KeepAlive {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

impl KeepAlive {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self {
            reader: BufReader::new(connect(address)),
            address,
        }
    }

    /// The status and body of the answer; `None` when the hub is gone.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> Option<(u16, String)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.reader
            .get_mut()
            .write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .ok()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head
            .split("content-length: ")
            .nth(1)?
            .split("\r\n")
            .next()?
            .parse()
            .ok()?;
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        Some((status, String::from_utf8(body).ok()?))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, HANG).expect("connected");
    socket.set_read_timeout(Some(HANG)).expect("set");
    socket.set_write_timeout(Some(HANG)).expect("set");
    socket
}

//! Clients that say every byte themselves, and answers looked at header by header.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::harness::{Hub, connect};

/// A hub and how to call it.
pub(crate) struct Called(pub(crate) Hub);

impl Called {
    /// In open mode.
    pub(crate) fn start() -> Self {
        Self(Hub::start())
    }

    /// As [`Hub::start_with`].
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        Self(Hub::start_with(settings))
    }

    pub(crate) fn connect(&self) -> Client {
        Client {
            stream: connect(self.0.address),
            buffer: Vec::new(),
        }
    }

    /// One request on a connection of its own.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = self.connect();
        client.send(&request(method, path, headers, body));
        client.answer()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[], body.as_bytes())
    }
}

/// A request with `Host`, and with `Content-Length` when it has a body; both can be replaced.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let given = |name: &str| {
        headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !given("host") {
        text.push_str("Host: localhost\r\n");
    }
    if !given("content-length") && (!body.is_empty() || method == "POST") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// A connection on which the test says every byte.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// The hub may close while it is still being sent to, so a failed write is no failure of the test.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads the next answer, its body by `Content-Length`, or up to the end of the connection when there is none.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.read() > 0,
                "the connection ended in a head: {:?}",
                self.text()
            );
        };
        let head =
            String::from_utf8(self.buffer.drain(..head_end).collect()).expect("a head in UTF-8");
        let mut answer = Answer::of(&head);
        let length = answer
            .header("content-length")
            .map(|length| length.parse::<usize>().expect("a length"));
        let no_body = method == "HEAD" || matches!(answer.status, 100 | 204 | 304);
        match length {
            _ if no_body => {}
            Some(length) => {
                while self.buffer.len() < length {
                    assert!(
                        self.read() > 0,
                        "the connection ended in a body: {:?}",
                        self.text()
                    );
                }
                answer.body = self.buffer.drain(..length).collect();
            }
            None => {
                self.read_to_end();
                answer.body = std::mem::take(&mut self.buffer);
            }
        }
        answer
    }

    /// Whether the hub has begun to answer, without waiting for it.
    pub(crate) fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a mode");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a mode");
        !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Only a head, of a stream that goes on.
    pub(crate) fn head(&mut self) -> Answer {
        self.answer_to("HEAD")
    }

    /// Reads until the text has come.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        while find(&self.buffer, text.as_bytes()).is_none() {
            assert!(
                self.read() > 0,
                "the connection ended before {text:?}: {:?}",
                self.text()
            );
        }
        self.text()
    }

    /// Everything up to the end of the connection, which must come.
    pub(crate) fn read_to_end(&mut self) {
        while self.read() > 0 {}
    }

    /// What was read and not taken.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the hub has closed, after whatever it still says.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read_to_end();
        true
    }

    fn read(&mut self) -> usize {
        let mut piece = [0; 16 * 1024];
        let count = match self.stream.read(&mut piece) {
            Ok(count) => count,
            // The other ways to close: with bytes of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("the hub says nothing: {error}; so far {:?}", self.text()),
        };
        self.buffer.extend_from_slice(&piece[..count]);
        count
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn of(head: &str) -> Self {
        let mut lines = head.trim_end().split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().expect("a status"),
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code and the field of a refusal, after checking that it is one in every respect.
    pub(crate) fn refusal(&self) -> (u16, String, Option<String>) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("urn:tidings:error:{code}"));
        assert_eq!(problem["error"], problem["detail"]);
        assert!(problem["title"].is_string());
        if matches!(self.status, 429 | 503) {
            assert!(self.header("retry-after").is_some(), "no Retry-After");
            assert!(problem["retryAfterMs"].is_u64(), "no retryAfterMs");
        }
        (
            self.status,
            code,
            problem["field"].as_str().map(str::to_owned),
        )
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

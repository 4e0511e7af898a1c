//! One stream: connect, ask, read the head of the answer, then markers until it is closed.

use std::os::fd::OwnedFd;

use crate::marker::Carry;

#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) socket: Option<OwnedFd>,
    pub(crate) phase: Phase,
    pub(crate) carry: Carry,
    /// Whether its deliveries go into the latency histogram.
    pub(crate) measured: bool,
    /// The body so far, kept while `id:` lines are wanted.
    pub(crate) transcript: Option<Vec<u8>>,
    /// Bytes that it reads at each sip; none: it reads whatever comes.
    pub(crate) sip: Option<usize>,
    pub(crate) started_us: u64,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// The request waits for the connection.
    Connecting(String),
    /// The head of the answer, as far as it is there.
    Head(Vec<u8>),
    Open,
    Closed,
}

impl Subscriber {
    pub(crate) fn connecting(socket: OwnedFd, request: String, now_us: u64) -> Self {
        Self {
            socket: Some(socket),
            phase: Phase::Connecting(request),
            carry: Carry::new(),
            measured: true,
            transcript: None,
            sip: None,
            started_us: now_us,
        }
    }

    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.phase = Phase::Closed;
        self.carry = Carry::new();
    }

    /// The id of the last event that was received whole.
    pub(crate) fn last_id(&self) -> Option<String> {
        let text = String::from_utf8_lossy(self.transcript.as_deref()?);
        let whole = &text[..text.rfind("\n\n")?];
        let at = whole.rfind("\nid: ")? + "\nid: ".len();
        whole[at..].lines().next().map(str::to_owned)
    }
}

/// Where the body begins, once the head is whole; its status must be 200.
pub(crate) fn body_of(head: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
        return Ok(None);
    };
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if line.get(9..12) == Some(b"200") {
        Ok(Some(end + 4))
    } else {
        Err(String::from_utf8_lossy(line).into_owned())
    }
}

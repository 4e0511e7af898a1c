//! One keep-alive connection that publishes; requests may be pipelined.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::net;

#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) socket: OwnedFd,
    /// What the socket has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Answers that are not whole yet.
    incoming: Vec<u8>,
    /// When the requests without an answer were due.
    pub(crate) waiting: VecDeque<u64>,
}

impl Publisher {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outgoing: Vec::new(),
            sent: 0,
            incoming: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Sends or queues one request; true when something is left to be sent later.
    pub(crate) fn request(&mut self, bytes: &[u8], due_us: u64) -> Result<bool, String> {
        self.waiting.push_back(due_us);
        if self.has_more() {
            self.outgoing.extend_from_slice(bytes);
            return Ok(true);
        }
        let taken = net::send(&self.socket, bytes).map_err(|error| format!("publish: {error}"))?;
        self.outgoing.clear();
        self.outgoing.extend_from_slice(&bytes[taken..]);
        self.sent = 0;
        Ok(self.has_more())
    }

    /// Goes on sending; true when something is still left.
    pub(crate) fn flush(&mut self) -> Result<bool, String> {
        if self.has_more() {
            self.sent += net::send(&self.socket, &self.outgoing[self.sent..])
                .map_err(|error| format!("publish: {error}"))?;
        }
        Ok(self.has_more())
    }

    fn has_more(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// Takes answers in; `answered` gets when each request was due. False once the server has closed a connection on
    /// which nothing was asked. The error names an answer that is no success.
    pub(crate) fn take(
        &mut self,
        buffer: &mut [u8],
        mut answered: impl FnMut(u64),
    ) -> Result<bool, String> {
        let bytes = match net::receive(&self.socket, buffer) {
            Ok(None) => return Ok(true),
            Ok(Some(0)) if self.waiting.is_empty() => return Ok(false),
            Ok(Some(0)) => return Err("the server closed a publishing connection".to_owned()),
            Ok(Some(bytes)) => bytes,
            Err(error) => return Err(format!("read an answer: {error}")),
        };
        self.incoming.extend_from_slice(&buffer[..bytes]);
        let mut at = 0;
        while let Some(length) = answer(&self.incoming[at..])? {
            at += length;
            let due = self.waiting.pop_front();
            answered(due.ok_or("an answer without a request")?);
        }
        self.incoming.drain(..at);
        Ok(true)
    }
}

/// The length of the first answer, once it is whole.
fn answer(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(head) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let (text, body) = (&bytes[..head], &bytes[head + 4..]);
    if text.get(9) != Some(&b'2') {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]);
        return Err(format!("an answer that is no success: {said}"));
    }
    let length = match (header(text, b"content-length"), &text[9..12]) {
        (Some(value), _) => std::str::from_utf8(value)
            .ok()
            .and_then(|value| value.trim().parse().ok())
            .ok_or("an answer with a bad content-length")?,
        (None, b"204") => 0,
        (None, _) => match chunked(body)? {
            Some(length) => length,
            None => return Ok(None),
        },
    };
    Ok((body.len() >= length).then_some(head + 4 + length))
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (known, value) = line.split_at_checked(name.len())?;
        known
            .eq_ignore_ascii_case(name)
            .then(|| value.strip_prefix(b":"))?
    })
}

/// The length of a whole chunked body.
fn chunked(body: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(line) = memchr::memmem::find(&body[at..], b"\r\n") else {
            return Ok(None);
        };
        let digits = std::str::from_utf8(&body[at..at + line]).unwrap_or_default();
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| format!("an answer with a bad chunk: {digits:?}"))?;
        at += line + 2 + size + 2;
        if at > body.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_whatever_their_framing() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        let chunks =
            b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        for whole in [sized.as_slice(), chunks, empty] {
            let two = [whole, whole].concat();
            assert_eq!(answer(&two), Ok(Some(whole.len())));
            for part in 0..whole.len() {
                assert_eq!(answer(&whole[..part]), Ok(None), "{part}");
            }
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        assert!(answer(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}

//! A stream, as a client reads it and as its bytes come.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;
use tidings_protocol::limits::EVENT_BYTES_MAX;
use tidings_protocol::sse;

use crate::answer::{self, find};
use crate::check::ensure;
use crate::event::Event;
use crate::site::Site;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    headers: Vec<(String, String)>,
    /// What came behind the blocks that were read.
    raw: Vec<u8>,
    decoder: sse::Decoder,
    /// What an event of this check has in one of its names.
    mark: String,
}

impl Stream {
    /// Opens a stream and reads the head of the answer, and not one byte more.
    pub(crate) fn open(site: &Site, query: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        Self::open_marked(site, query, headers, "")
    }

    pub(crate) fn open_marked(
        site: &Site,
        query: &str,
        headers: &[(&str, &str)],
        mark: &str,
    ) -> Result<Self, String> {
        let mut socket = site.connect()?;
        let path = format!("/sse?{query}");
        let headers = [
            &[
                ("accept", "text/event-stream"),
                ("connection", "keep-alive"),
            ],
            headers,
        ]
        .concat();
        let request = site.head("GET", &path, &headers, None);
        socket
            .write_all(request.as_bytes())
            .map_err(|error| format!("GET {path}: {error}"))?;
        let head = read_head(&mut socket).map_err(|error| format!("GET {path}: {error}"))?;
        let (status, headers) = answer::parse_head(&head)
            .ok_or_else(|| format!("GET {path}: no head: {:?}", String::from_utf8_lossy(&head)))?;
        if status != 200 {
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest);
            let rest = String::from_utf8_lossy(&rest);
            return Err(format!("GET {path}: status {status}, expected 200: {rest}"));
        }
        Ok(Self {
            socket,
            headers,
            raw: Vec::new(),
            decoder: sse::Decoder::new(EVENT_BYTES_MAX),
            mark: mark.to_owned(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        answer::joined(&self.headers, name)
    }

    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.decoder.retry_ms()
    }

    /// The next event, whatever it is; `None` at the end of the stream.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, String> {
        while let Some(block) = self.block()? {
            let lines = lines(&block)?;
            self.decoder.feed(&block);
            let Some(event) = self.decoder.next() else {
                continue;
            };
            let event = event.map_err(|error| error.to_string())?;
            ensure!(
                self.decoder.next().is_none(),
                "one block holds two events: {:?}",
                String::from_utf8_lossy(&block)
            );
            return Ok(Some(Event {
                name: event.name,
                data: event.data,
                cursor: event.last_event_id,
                lines,
            }));
        }
        Ok(None)
    }

    pub(crate) fn expect_event(&mut self) -> Result<Event, String> {
        self.event()?.ok_or_else(|| "the stream ended".to_owned())
    }

    /// The next event of the hub's own, which must be this one; its detail.
    pub(crate) fn system(&mut self, name: &str) -> Result<Value, String> {
        self.system_event(name).map(|(_, detail)| detail)
    }

    pub(crate) fn system_event(&mut self, name: &str) -> Result<(Event, Value), String> {
        let event = self
            .expect_event()
            .map_err(|error| format!("no `{name}` event: {error}"))?;
        let mut message = event.message()?;
        ensure!(
            event.name == "system" && message["payload"]["event"] == name,
            "the event {} came, expected a system event `{name}`: {}",
            event.name,
            event.data
        );
        let detail = message["payload"]["detail"].take();
        Ok((event, detail))
    }

    /// The next event with a message of this check; others are none of our business.
    pub(crate) fn own(&mut self) -> Result<(Event, Value), String> {
        loop {
            let event = self.expect_event()?;
            let message = event.message()?;
            let mark = &self.mark;
            let is_own = ["id", "source", "target", "topic"].iter().any(|name| {
                message[name]
                    .as_str()
                    .is_some_and(|text| text.contains(mark))
            });
            if is_own && message["source"] != "$hub" {
                return Ok((event, message));
            }
        }
    }

    /// The payloads of the check's next messages.
    pub(crate) fn payloads(&mut self, count: usize) -> Result<Vec<Value>, String> {
        (0..count)
            .map(|_| Ok(self.own()?.1["payload"].clone()))
            .collect()
    }

    /// The next message of the check must have this payload; its event.
    pub(crate) fn expect(&mut self, payload: impl Into<Value>) -> Result<Event, String> {
        let payload = payload.into();
        let (event, message) = self
            .own()
            .map_err(|error| format!("the message with payload {payload}: {error}"))?;
        ensure!(
            message["payload"] == payload,
            "the next message is {}, expected one with payload {payload}",
            event.data
        );
        Ok(event)
    }

    /// The next heartbeat.
    pub(crate) fn heartbeat(&mut self) -> Result<Event, String> {
        loop {
            let event = self.expect_event()?;
            if event.name == "heartbeat" {
                return Ok(event);
            }
        }
    }

    /// The first bytes of the body, up to the first empty line.
    pub(crate) fn first_block(&mut self) -> Result<String, String> {
        let block = self.block()?.ok_or("the stream ended")?;
        self.decoder.feed(&block);
        Ok(String::from_utf8_lossy(&block).into_owned())
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn close(self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Everything up to and with the next empty line; `None` at the end.
    fn block(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut buffer = vec![0; 64 * 1024];
        let mut searched = 0;
        loop {
            if let Some(end) = end_of_block(&self.raw[searched..]) {
                let rest = self.raw.split_off(searched + end);
                return Ok(Some(std::mem::replace(&mut self.raw, rest)));
            }
            searched = self.raw.len().saturating_sub(3);
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(bytes) => self.raw.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(format!("nothing more came ({error})")),
            }
        }
    }
}

/// Behind the first empty line, of either kind of line end.
fn end_of_block(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\n"[..], b"\r\n\r\n"];
    ends.iter()
        .filter_map(|end| Some(find(bytes, end)? + end.len()))
        .min()
}

/// A CR that is not sent as part of a line end would be one for a client.
fn lines(block: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(block)
        .map_err(|_| format!("not UTF-8: {:?}", String::from_utf8_lossy(block)))?;
    ensure!(
        !text.replace("\r\n", "").contains('\r'),
        "a CR is in the block {text:?}"
    );
    Ok(text
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Byte by byte, so that nothing of the body is taken.
fn read_head(socket: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        let read = socket
            .read(&mut byte)
            .map_err(|error| format!("no head ({error})"))?;
        ensure!(
            read == 1,
            "closed after {:?}",
            String::from_utf8_lossy(&head)
        );
        head.push(byte[0]);
    }
    head.truncate(head.len() - 4);
    Ok(head)
}

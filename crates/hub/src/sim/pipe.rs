//! One end of a connection: what the hub wrote, up to a capacity, decoded as a client does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_protocol::sse;

/// An event that has arrived whole.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The last id of the stream with this event; empty where there was none yet.
    pub(super) last_id: String,
    pub(super) source: String,
    pub(super) id: String,
    pub(super) priority: u8,
    pub(super) redelivery: Option<u32>,
    pub(super) own: Option<Own>,
}

/// What the hub itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Connect {
        cursor: String,
    },
    Gap {
        from: String,
        to: String,
        reason: String,
    },
    Disconnect {
        reconnect: bool,
    },
    Other,
}

/// A message that a socket has taken whole, its last byte included: source, id, number of the repeat or 0.
pub(super) type Written = (String, String, u32);

#[derive(Clone)]
pub(super) struct Pipe(Rc<RefCell<Flow>>);

struct Flow {
    decoder: sse::Decoder,
    unread: VecDeque<Event>,
    room: usize,
    blocked: bool,
    taken: u64,
    /// Of all pipes: what asks for an ack, or is a receipt, and was written.
    written: Rc<RefCell<Vec<Written>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    priority: u8,
    #[serde(default)]
    require_ack: bool,
    redelivery: Option<u32>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Pipe {
    pub(super) fn new(written: &Rc<RefCell<Vec<Written>>>) -> Self {
        Self(Rc::new(RefCell::new(Flow {
            decoder: sse::Decoder::new(1 << 20),
            unread: VecDeque::new(),
            room: 0,
            blocked: false,
            taken: 0,
            written: Rc::clone(written),
        })))
    }

    /// Lets the client take up to `bytes` more; whether the hub waits for that.
    pub(super) fn make_room(&self, bytes: usize) -> bool {
        let mut flow = self.0.borrow_mut();
        flow.room += bytes;
        std::mem::take(&mut flow.blocked)
    }

    /// What has arrived.
    pub(super) fn read(&self) -> VecDeque<Event> {
        std::mem::take(&mut self.0.borrow_mut().unread)
    }

    /// Bytes taken until now.
    pub(super) fn taken(&self) -> u64 {
        self.0.borrow().taken
    }
}

impl Flow {
    fn take(&mut self, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        self.decoder.feed(bytes);
        for event in self.decoder.by_ref() {
            let event = event.expect("within the limit");
            let body: Body<'_> = serde_json::from_str(&event.data).expect("a message");
            if body.require_ack {
                let number = body.redelivery.unwrap_or(0);
                self.written.borrow_mut().push((
                    body.source.to_owned(),
                    body.id.to_owned(),
                    number,
                ));
            }
            self.unread.push_back(Event {
                source: body.source.to_owned(),
                id: body.id.to_owned(),
                priority: body.priority,
                redelivery: body.redelivery,
                own: own(&body),
                last_id: event.last_event_id,
            });
        }
    }
}

/// `None` for messages, receipts included.
fn own(body: &Body<'_>) -> Option<Own> {
    if body.source != "$hub" || body.kind == "ack" {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_str(body.payload.get()).expect("JSON");
    let detail = &payload["detail"];
    let text = |name: &str| detail[name].as_str().expect("text").to_owned();
    Some(match payload["event"].as_str() {
        Some("connect") => Own::Connect {
            cursor: text("cursor"),
        },
        Some("gap") => Own::Gap {
            from: text("from"),
            to: text("to"),
            reason: text("reason"),
        },
        Some("disconnect") => Own::Disconnect {
            reconnect: detail["reconnect"].as_bool().expect("a flag"),
        },
        _ => Own::Other,
    })
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut flow = self.0.borrow_mut();
        if flow.room == 0 {
            flow.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = bytes.len().min(flow.room);
        flow.room -= taken;
        flow.take(&bytes[..taken]);
        Ok(taken)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        for slice in slices {
            match self.write(slice) {
                Ok(bytes) => taken += bytes,
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

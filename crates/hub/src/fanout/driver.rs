//! Runs a shard: one thread, one poll, one inbox.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tidings_protocol::api::DisconnectReason;
use tidings_store::{ReadError, Store};

use super::clock::Clock;
use super::dispatch::Target;
use super::history::{self, Answer};
use super::inbox::{Control, Inbox, Item};
use super::note::Observer;
use super::shard::{Key, Shard};
use crate::http::Seat;
use crate::memory;

/// The inbox's own token; no connection has it, since slots count from 0.
pub(crate) const WAKE: Token = Token(usize::MAX);
/// The inbox is looked into again after so many visits, so that a connection gets what is pending when it is visited.
const VISITS: usize = 128;
/// Sockets are looked at again after so many rounds of visits.
const ROUNDS: usize = 16;
/// Events taken from the poll at once.
const EVENTS: usize = 1_024;
/// What a client may send on its stream before it is taken for a mistake and closed: nothing there is read.
const CLIENT_BYTES_MAX: u32 = 64 * 1024;

/// A socket of a stream.
pub(crate) struct Socket {
    stream: TcpStream,
    /// Bytes that the client sent after its request.
    received: u32,
    /// Kept for as long as the socket is open.
    _seat: Seat,
}

pub(crate) struct Driver {
    pub(crate) poll: Poll,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Where all shards are found once they run.
    pub(crate) target: Arc<OnceLock<Target>>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Driver {
    /// Runs until told to stop. All sockets are closed then.
    pub(crate) fn run(mut self, mut shard: Shard<Socket>) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut items = VecDeque::new();
        let mut more = false;
        loop {
            let wait_ms = if more {
                0
            } else {
                shard.wait_ms(self.clock.now())
            };
            match self
                .poll
                .poll(&mut events, Some(Duration::from_millis(wait_ms)))
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() != WAKE {
                    handle_socket(&mut shard, event);
                }
            }
            for _ in 0..ROUNDS {
                if self.take_items(&mut shard, &mut items) {
                    return Ok(());
                }
                // Behind the batches that nobody here reads: a heartbeat says where the hub is now.
                shard.advance(self.clock.now());
                more = shard.sweep(VISITS, self.clock.now());
                self.ask(&mut shard);
                self.replace(&mut shard);
                self.observer.note(shard.notes());
                if !more {
                    break;
                }
            }
            shard.publish_metrics();
        }
    }

    /// Whether it is time to stop.
    fn take_items(&self, shard: &mut Shard<Socket>, items: &mut VecDeque<Item>) -> bool {
        self.inbox.take(items);
        for item in items.drain(..) {
            let now = self.clock.now();
            match item {
                Item::Batch(batch) => shard.release(&batch, now),
                Item::Missed { upto } => shard.miss(upto, now),
                Item::Answer(key, answer) => shard.answer(key, answer, now),
                Item::Control(key, control) => shard.control(key, control, now),
                Item::Retime(timing) => shard.retime(timing),
                Item::Purge => memory::purge(),
                Item::Drain { over_ms } => shard.drain(over_ms, now),
                Item::Attach(stream, opening, seat) => {
                    let stream = TcpStream::from_std(stream);
                    let key = shard.attach(*opening, now, |_| Socket {
                        stream,
                        received: 0,
                        _seat: seat,
                    });
                    if let Err(error) = self.register(shard, key) {
                        tracing::warn!(%error, "watch a socket; its stream is closed");
                        shard.close(key, "socket");
                    }
                    // A batch for it may have come before the index named it.
                    self.inbox.wake();
                }
                Item::Stop => return true,
            }
        }
        false
    }

    fn register(&self, shard: &mut Shard<Socket>, key: Key) -> io::Result<()> {
        let lowat = shard.settings().write_bytes;
        let Some(socket) = shard.socket(key) else {
            return Ok(());
        };
        socket.stream.set_nodelay(true)?;
        // What the kernel holds unsent can no longer be overtaken.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&socket.stream)
            .set_tcp_notsent_lowat(u32::try_from(lowat).unwrap_or(u32::MAX))?;
        self.poll.registry().register(
            &mut socket.stream,
            token(key),
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    /// Tells connections, here or elsewhere, that a newer one took their place.
    fn replace(&self, shard: &mut Shard<Socket>) {
        let Some(target) = self.target.get() else {
            return;
        };
        for member in shard.take_replaced() {
            let control = Control::Disconnect(DisconnectReason::Replaced);
            target.shards[member.shard]
                .inbox
                .push(Item::Control(member.key, control));
        }
    }

    /// Passes the shard's questions on to the store's readers.
    fn ask(&self, shard: &mut Shard<Socket>) {
        let bounds = shard.settings().history;
        for (key, request) in shard.take_requests() {
            let reply = Reply(Some((Arc::clone(&self.inbox), key)));
            self.store
                .read_then(move |reader| reply.send(history::answer(reader, request, bounds)));
        }
    }
}

/// The answer that a connection waits for. One that is dropped unsent says so, or the connection would wait for ever.
struct Reply(Option<(Arc<Inbox>, Key)>);

impl Reply {
    fn send(mut self, answer: Result<Answer, ReadError>) {
        if let Some((inbox, key)) = self.0.take() {
            inbox.push(Item::Answer(key, answer));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some((inbox, key)) = self.0.take() {
            inbox.push(Item::Answer(key, Err(ReadError::Closed)));
        }
    }
}

fn handle_socket(shard: &mut Shard<Socket>, event: &mio::event::Event) {
    let key = key(event.token());
    if event.is_readable() {
        match shard.socket(key).map(Socket::discard) {
            Some(Ok(())) | None => {}
            Some(Err(_)) => return shard.close(key, "client"),
        }
    }
    if event.is_error() || event.is_write_closed() {
        return shard.close(key, "client");
    }
    if event.is_writable() {
        shard.writable(key);
    }
}

impl Socket {
    /// Reads what the client sends on its stream and throws it away; an error when it has gone or sends too much.
    fn discard(&mut self) -> io::Result<()> {
        let mut scratch = [0; 2_048];
        loop {
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.received += bytes as u32,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.received > CLIENT_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

impl io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn token(key: Key) -> Token {
    Token(key.slot as usize | (key.generation as usize) << 32)
}

fn key(token: Token) -> Key {
    Key {
        slot: token.0 as u32,
        generation: (token.0 >> 32) as u32,
    }
}

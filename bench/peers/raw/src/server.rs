//! The loop: accept, read requests, write events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
    connection: close\r\n\r\nretry: 2000\n\n";
const DONE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n\
    {\"success\":true}";

/// What the hub has around a payload; the length is what counts.
const EVENT_HEAD: &[u8] = b"id: 9f0c6a51d2e87b34-12345678\nevent: message\ndata: \
    {\"id\":\"0190a5d0-ac96-774b-bcce-b302099a8057\",\"type\":\"json\",\"priority\":1,\"timestamp\":1700000000000,\
    \"source\":\"anonymous\",\"topic\":\"bench\",\"payload\":";
const EVENT_END: &[u8] = b"}\n\n";
const HEARTBEAT: &[u8] = b"id: 9f0c6a51d2e87b34-12345678\nevent: heartbeat\ndata: \
    {\"id\":\"0190a5d0-ac96-774b-bcce-b302099a8057\",\"type\":\"heartbeat\",\"priority\":1,\
    \"timestamp\":1700000000000,\"source\":\"$hub\",\"payload\":{\"serverTime\":1700000000000}}\n\n";

const BACKLOG: i32 = 4096;

/// By the descriptor of its socket, which is also what epoll reports.
type Connections = HashMap<i32, Connection>;

struct Connection {
    socket: OwnedFd,
    incoming: Vec<u8>,
    /// What the socket would not take; only then is there any memory for it.
    unsent: Vec<u8>,
    streams: bool,
}

struct Server {
    epoll: OwnedFd,
    connections: Connections,
    /// The streams in the order in which they came, by descriptor.
    streams: Vec<i32>,
    named: HashMap<Vec<u8>, i32>,
    event: Vec<u8>,
}

pub(crate) fn serve(
    address: SocketAddrV4,
    heartbeat: Option<Duration>,
) -> rustix::io::Result<Infallible> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let accepting = listener.as_raw_fd();
    epoll::add(&epoll, &listener, data(accepting), EventFlags::IN)?;

    let mut server = Server {
        epoll,
        connections: HashMap::new(),
        streams: Vec::new(),
        named: HashMap::new(),
        event: Vec::new(),
    };
    let mut buffer = vec![0; 256 * 1024];
    let mut events = Vec::with_capacity(1024);
    let mut beat = heartbeat.map(|period| (period, Instant::now() + period));
    loop {
        let wait = beat.map(|(_, at)| at.saturating_duration_since(Instant::now()));
        let wait = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        events.clear();
        match epoll::wait(
            &server.epoll,
            rustix::buffer::spare_capacity(&mut events),
            wait.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        for event in &events {
            let id = event.data.u64() as i32;
            if id == accepting {
                server.accept(&listener)?;
            } else {
                server.ready(id, event.flags, &mut buffer)?;
            }
        }
        if let Some((period, at)) = &mut beat
            && *at <= Instant::now()
        {
            server.broadcast(HEARTBEAT)?;
            *at += *period;
        }
    }
}

impl Server {
    fn accept(&mut self, listener: &OwnedFd) -> rustix::io::Result<()> {
        loop {
            match rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    sockopt::set_tcp_nodelay(&socket, true)?;
                    let id = socket.as_raw_fd();
                    epoll::add(&self.epoll, &socket, data(id), EventFlags::IN)?;
                    let fresh = Connection {
                        socket,
                        incoming: Vec::new(),
                        unsent: Vec::new(),
                        streams: false,
                    };
                    self.connections.insert(id, fresh);
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn ready(&mut self, id: i32, flags: EventFlags, buffer: &mut [u8]) -> rustix::io::Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if flags.contains(EventFlags::OUT) {
            connection.send(&self.epoll, &[])?;
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Ok(());
        }
        match rustix::net::recv(&connection.socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Ok((0, _)) | Err(_) => {
                self.forget(id);
                Ok(())
            }
            Ok((bytes, _)) => {
                connection.incoming.extend_from_slice(&buffer[..bytes]);
                self.requests(id)
            }
        }
    }

    /// Answers every request that is there whole.
    fn requests(&mut self, id: i32) -> rustix::io::Result<()> {
        while let Some(connection) = self.connections.get_mut(&id) {
            let Some(request) = Request::first(&connection.incoming) else {
                break;
            };
            let name = connection.incoming[request.name.clone()].to_vec();
            let body = connection.incoming[request.body.clone()].to_vec();
            connection.incoming.drain(..request.body.end);
            if request.subscribes {
                connection.streams = true;
                connection.incoming = Vec::new();
                connection.send(&self.epoll, HEAD)?;
                self.streams.push(id);
                self.named.insert(name, id);
                break;
            }
            let mut event = std::mem::take(&mut self.event);
            event.clear();
            for part in [EVENT_HEAD, &body, EVENT_END] {
                event.extend_from_slice(part);
            }
            if request.to_one {
                let target = self.named.get(&name);
                if let Some(target) = target.and_then(|id| self.connections.get_mut(id)) {
                    target.send(&self.epoll, &event)?;
                }
            } else {
                self.broadcast(&event)?;
            }
            self.event = event;
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.send(&self.epoll, DONE)?;
            }
        }
        Ok(())
    }

    fn broadcast(&mut self, bytes: &[u8]) -> rustix::io::Result<()> {
        for id in &self.streams {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.send(&self.epoll, bytes)?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: i32) {
        if self
            .connections
            .remove(&id)
            .is_some_and(|gone| gone.streams)
        {
            self.streams.retain(|known| *known != id);
            self.named.retain(|_, known| *known != id);
        }
    }
}

impl Connection {
    /// A socket that fails is found when it is read.
    fn send(&mut self, epoll: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<()> {
        let waiting = !self.unsent.is_empty();
        if waiting {
            self.unsent.extend_from_slice(bytes);
        }
        let all = if waiting { &self.unsent } else { bytes };
        let taken = match rustix::net::send(&self.socket, all, SendFlags::NOSIGNAL) {
            Ok(taken) => taken,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => all.len(),
        };
        let left = taken < all.len();
        if waiting {
            self.unsent.drain(..taken);
        } else if left {
            self.unsent.extend_from_slice(&bytes[taken..]);
        }
        if left != waiting {
            let out = if left {
                EventFlags::OUT
            } else {
                EventFlags::empty()
            };
            let id = self.socket.as_raw_fd();
            epoll::modify(epoll, &self.socket, data(id), EventFlags::IN | out)?;
        }
        Ok(())
    }
}

/// Where the parts of a request are.
struct Request {
    subscribes: bool,
    to_one: bool,
    name: std::ops::Range<usize>,
    body: std::ops::Range<usize>,
}

impl Request {
    fn first(bytes: &[u8]) -> Option<Self> {
        let head = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let target = memchr::memchr(b' ', bytes)? + 1;
        let target = target..target + memchr::memchr(b' ', &bytes[target..head])?;
        let name = memchr::memrchr(b'/', &bytes[target.clone()])? + target.start + 1;
        let length = content_length(&bytes[..head]);
        let body = head + 4..head + 4 + length;
        (bytes.len() >= body.end).then(|| Self {
            subscribes: bytes.starts_with(b"GET"),
            to_one: bytes[target.clone()].starts_with(b"/to/"),
            name: name..target.end,
            body,
        })
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    head.split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))
        .and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok())
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

fn data(id: i32) -> EventData {
    EventData::new_u64(id as u64)
}

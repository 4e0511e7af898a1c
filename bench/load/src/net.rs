//! Sockets: non-blocking, from several source addresses.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// Loopback addresses that connections start from, 127.0.0.2 and up: the kernel's search for a free port grows slow, and
/// ends, when tens of thousands of connections, some of them closed a minute ago, share one address. The first address
/// is left to everybody else on the machine.
const SOURCES: usize = 200;

/// Time of the run in microseconds, from one clock for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn us(self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }
}

/// What the system takes for a slow reader, so that its being slow shows at the server.
const SLOW_RECEIVE_BYTES: usize = 4096;

/// Segments of an Ethernet: on loopback they are 64 KiB, and the sender's system alone would take megabytes for each
/// reader before the server noticed anything.
const SLOW_SEGMENT_BYTES: u32 = 1460;

/// Begins to connect; the socket is writable once it is connected.
pub(crate) fn connect(to: SocketAddrV4, number: usize, slow: bool) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if slow {
        sockopt::set_socket_recv_buffer_size(&socket, SLOW_RECEIVE_BYTES)?;
        socket2::SockRef::from(&socket)
            .set_tcp_mss(SLOW_SEGMENT_BYTES)
            .map_err(|_| Errno::INVAL)?;
    }
    let source = Ipv4Addr::new(127, 0, 0, 2 + (number % SOURCES) as u8);
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Has a socket leave nothing behind when it is closed, neither unsent bytes nor a port that waits for a minute.
pub(crate) fn forget_when_closed(socket: &OwnedFd) {
    // It may be closed by the other side already.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// How a connection attempt ended.
pub(crate) fn connected(socket: &OwnedFd) -> rustix::io::Result<()> {
    sockopt::socket_error(socket)?
}

/// None when nothing is there yet; 0 at the end of the stream.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<Option<usize>> {
    match rustix::net::recv(socket, buffer, RecvFlags::empty()) {
        Ok((bytes, _)) => Ok(Some(bytes)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How much the socket took.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        result => result,
    }
}

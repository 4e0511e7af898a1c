//! The streams and publishing connections of one run, and the loop that serves them in one thread.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::dialect::{Dialect, Template, Wish};
use crate::marker::{EVERYONE, Marker};
use crate::net::{self, Clock};
use crate::process::Processes;
use crate::publisher::Publisher;
use crate::subscriber::{Phase, Subscriber, body_of};
use crate::tally::Tally;

/// Streams that are being opened at one time.
pub(crate) const OPENING: usize = 256;

/// One read takes at most so much, so that a stream with a long history cannot keep the others waiting for long.
const READ_BYTES: usize = 64 * 1024;

/// Told once for each arrival: a read that did not fill the buffer has emptied the socket, and the kernel need not look
/// at it again.
const NEWS: EventFlags = EventFlags::IN.union(EventFlags::ET);

/// The longest that one wait may take, so that the caller's conditions are looked at now and then.
const TURN_US: u64 = 20_000;

pub(crate) struct Rig {
    pub(crate) clock: Clock,
    pub(crate) dialect: Dialect,
    pub(crate) host: String,
    pub(crate) server: Processes,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) tally: Tally,
    address: SocketAddrV4,
    /// A run in which nothing moves for so long is over.
    patience_us: u64,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
    opening: usize,
    /// Streams whose last read filled the buffer: there may be more, and epoll speaks only of what is new.
    full: Vec<usize>,
}

impl Rig {
    pub(crate) fn new(
        address: SocketAddrV4,
        dialect: Dialect,
        server: Processes,
        patience_us: u64,
    ) -> Result<Self, String> {
        let clock = Clock::start();
        let epoll =
            epoll::create(CreateFlags::CLOEXEC).map_err(|error| format!("epoll: {error}"))?;
        Ok(Self {
            clock,
            dialect,
            host: address.to_string(),
            server,
            subscribers: Vec::new(),
            publishers: Vec::new(),
            tally: Tally::new(),
            address,
            patience_us,
            epoll,
            events: Vec::with_capacity(1024),
            buffer: vec![0; READ_BYTES],
            opening: 0,
            full: Vec::new(),
        })
    }

    /// Connects the publishers, each with a stream of messages of its own.
    pub(crate) fn connect_publishers(&mut self, count: usize) -> Result<(), String> {
        for _ in 0..count {
            let number = self.publishers.len();
            let stream = std::net::TcpStream::connect(self.address)
                .map_err(|error| format!("connect a publisher: {error}"))?;
            stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_nodelay(true))
                .map_err(|error| format!("set up a publisher: {error}"))?;
            let socket = OwnedFd::from(stream);
            self.watch(&socket, publisher_token(number), EventFlags::IN)?;
            self.publishers.push(Publisher::new(socket));
        }
        Ok(())
    }

    /// Adds streams, and returns when all of them are open.
    pub(crate) fn open(&mut self, count: usize, wish: &Wish<'_>) -> Result<(), String> {
        let first = self.subscribers.len();
        self.open_numbered(first..first + count, OPENING, |_| Ok(wish.clone()))
    }

    /// Opens streams with these numbers (anew, if they were closed), so many at a time.
    pub(crate) fn open_numbered<'a>(
        &mut self,
        numbers: std::ops::Range<usize>,
        at_once: usize,
        wish: impl Fn(usize) -> Result<Wish<'a>, String>,
    ) -> Result<(), String> {
        let mut waiting = numbers;
        let mut moved_us = self.clock.us();
        let mut before = usize::MAX;
        while self.opening > 0 || !waiting.is_empty() {
            while self.opening < at_once
                && let Some(number) = waiting.next()
            {
                let wish = wish(number)?;
                self.start_opening(number, &wish)?;
            }
            self.turn(TURN_US)?;
            let now_us = self.clock.us();
            if self.opening + waiting.len() != before {
                before = self.opening + waiting.len();
                moved_us = now_us;
            } else if now_us - moved_us > self.patience_us {
                return Err(format!(
                    "{before} streams did not open: {}",
                    self.tally.complaints.join("; ")
                ));
            }
        }
        Ok(())
    }

    fn start_opening(&mut self, number: usize, wish: &Wish<'_>) -> Result<(), String> {
        let request = self.dialect.stream(&self.host, number, wish)?;
        let socket = net::connect(self.address, number, wish.sip.is_some())
            .map_err(|error| format!("connect stream {number}: {error}"))?;
        self.watch(&socket, subscriber_token(number), EventFlags::OUT)?;
        let mut fresh = Subscriber::connecting(socket, request, self.clock.us());
        fresh.measured = wish.measured;
        fresh.sip = wish.sip;
        fresh.transcript = wish.keep_ids.then(Vec::new);
        match self.subscribers.get_mut(number) {
            Some(old) => *old = fresh,
            None => self.subscribers.push(fresh),
        }
        self.opening += 1;
        Ok(())
    }

    /// Publishes what the template holds on one connection.
    pub(crate) fn publish(
        &mut self,
        publisher: usize,
        template: &mut Template,
        due_us: u64,
    ) -> Result<(), String> {
        let seq = self.tally.sent(publisher as u16, template.messages());
        self.request(publisher, template, EVERYONE, seq, due_us)
    }

    pub(crate) fn publish_to(
        &mut self,
        publisher: usize,
        template: &mut Template,
        client: usize,
        due_us: u64,
    ) -> Result<(), String> {
        let seq = self.tally.sent_to(publisher as u16, client);
        template.aim_at(client);
        self.request(publisher, template, client as u32, seq, due_us)
    }

    fn request(
        &mut self,
        publisher: usize,
        template: &mut Template,
        target: u32,
        seq: u32,
        due_us: u64,
    ) -> Result<(), String> {
        let bytes = template.mark(Marker {
            run: self.tally.run,
            stream: publisher as u16,
            target,
            seq,
            due_us: due_us as u32,
        });
        if self.publishers[publisher].request(bytes, due_us)? {
            self.rewatch(publisher, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Waits for at most so long, and handles what is ready.
    pub(crate) fn turn(&mut self, wait_us: u64) -> Result<(), String> {
        // Whole milliseconds, rounded down: the kernel would round up, and the rest would look like the server's delay.
        let ms = if self.full.is_empty() {
            wait_us.min(TURN_US) / 1000
        } else {
            0
        };
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: ms as i64 * 1_000_000,
        };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&wait),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        let result = events.iter().try_for_each(|event| {
            let token = event.data.u64();
            let number = (token >> 1) as usize;
            if token & 1 == 0 {
                self.subscriber_ready(number)
            } else {
                self.publisher_ready(number, event.flags)
            }
        });
        self.events = events;
        for number in std::mem::take(&mut self.full) {
            self.read(number, READ_BYTES);
        }
        result
    }

    fn subscriber_ready(&mut self, number: usize) -> Result<(), String> {
        match &self.subscribers[number].phase {
            Phase::Connecting(_) => self.ask(number),
            Phase::Head(_) | Phase::Open => {
                self.read(number, READ_BYTES);
                Ok(())
            }
            Phase::Closed => Ok(()),
        }
    }

    /// The connection is there, or has failed.
    fn ask(&mut self, number: usize) -> Result<(), String> {
        let subscriber = &mut self.subscribers[number];
        let Phase::Connecting(request) = &subscriber.phase else {
            return Ok(());
        };
        let socket = subscriber.socket.as_ref().expect("a socket that connects");
        let sent = net::connected(socket).and_then(|()| net::send(socket, request.as_bytes()));
        if sent != Ok(request.len()) {
            let reason = format!("stream {number}: connect: {sent:?}");
            self.fail(number, reason);
            return Ok(());
        }
        let data = EventData::new_u64(subscriber_token(number));
        epoll::modify(&self.epoll, socket, data, NEWS)
            .map_err(|error| format!("epoll: {error}"))?;
        subscriber.phase = Phase::Head(Vec::new());
        Ok(())
    }

    fn read(&mut self, number: usize, bytes_max: usize) {
        let subscriber = &mut self.subscribers[number];
        let Some(socket) = &subscriber.socket else {
            return;
        };
        let bytes = match net::receive(socket, &mut self.buffer[..bytes_max]) {
            Ok(None) => return,
            Ok(Some(0)) => return self.fail(number, format!("stream {number} was closed")),
            Ok(Some(bytes)) => bytes,
            Err(error) => return self.fail(number, format!("stream {number}: {error}")),
        };
        if bytes == READ_BYTES {
            self.full.push(number);
        }
        let now_us = self.clock.us();
        let mut body = &self.buffer[..bytes];
        if let Phase::Head(head) = &mut subscriber.phase {
            let had = head.len();
            head.extend_from_slice(body);
            match body_of(head) {
                Ok(None) => return,
                Ok(Some(start)) => {
                    body = &body[start - had..];
                    subscriber.phase = Phase::Open;
                    self.opening -= 1;
                    self.tally.opened(now_us - subscriber.started_us);
                    if subscriber.sip.is_some() {
                        // It reads when it is told to, not when it could.
                        let _ = epoll::delete(&self.epoll, socket);
                    }
                }
                Err(status) => return self.fail(number, format!("stream {number}: {status}")),
            }
        }
        if let Some(transcript) = &mut subscriber.transcript {
            transcript.extend_from_slice(body);
        }
        let measured = subscriber.measured;
        let tally = &mut self.tally;
        let before = tally.arrived;
        subscriber
            .carry
            .scan(body, |marker| tally.take(number, marker, now_us, measured));
        tally.reads += u64::from(tally.arrived > before);
    }

    /// Has the slow readers read their bit.
    pub(crate) fn sip(&mut self) {
        for number in 0..self.subscribers.len() {
            if let Some(bytes) = self.subscribers[number].sip {
                self.read(number, bytes);
            }
        }
    }

    /// From now on the slow readers are like the others.
    pub(crate) fn stop_sipping(&mut self) -> Result<(), String> {
        for number in 0..self.subscribers.len() {
            if self.subscribers[number].sip.take().is_some()
                && let Some(socket) = &self.subscribers[number].socket
            {
                self.watch(socket, subscriber_token(number), NEWS)?;
            }
        }
        Ok(())
    }

    fn fail(&mut self, number: usize, reason: String) {
        let subscriber = &mut self.subscribers[number];
        if !matches!(subscriber.phase, Phase::Open | Phase::Closed) {
            self.opening -= 1;
        }
        subscriber.close();
        self.tally.complain(reason);
    }

    fn publisher_ready(&mut self, number: usize, flags: EventFlags) -> Result<(), String> {
        let publisher = &mut self.publishers[number];
        if flags.contains(EventFlags::OUT) && !publisher.flush()? {
            self.rewatch(number, EventFlags::IN)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            let (clock, tally) = (self.clock, &mut self.tally);
            let open = self.publishers[number].take(&mut self.buffer, |due_us| {
                tally.answered(clock.us(), due_us);
            })?;
            if !open {
                let socket = &self.publishers[number].socket;
                epoll::delete(&self.epoll, socket).map_err(|error| format!("epoll: {error}"))?;
            }
        }
        Ok(())
    }

    /// Goes on until everything that was sent has arrived and is answered, or nothing moves any more.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        let mut moved_us = self.clock.us();
        let mut before = (u64::MAX, u64::MAX);
        while !self.tally.all_is_here() || self.publishers.iter().any(|p| !p.waiting.is_empty()) {
            self.turn(TURN_US)?;
            let now_us = self.clock.us();
            let progress = (self.tally.arrived, self.tally.answers);
            if progress != before {
                before = progress;
                moved_us = now_us;
            } else if now_us - moved_us > self.patience_us {
                break;
            }
        }
        // What came twice may still be on its way.
        self.run_for(100_000)
    }

    /// Receives for so long.
    pub(crate) fn run_for(&mut self, us: u64) -> Result<(), String> {
        let end_us = self.clock.us() + us;
        loop {
            let now_us = self.clock.us();
            if now_us >= end_us {
                return Ok(());
            }
            self.turn(end_us - now_us)?;
        }
    }

    fn watch(&self, socket: &OwnedFd, token: u64, flags: EventFlags) -> Result<(), String> {
        epoll::add(&self.epoll, socket, EventData::new_u64(token), flags)
            .map_err(|error| format!("epoll: {error}"))
    }

    fn rewatch(&self, publisher: usize, flags: EventFlags) -> Result<(), String> {
        let data = EventData::new_u64(publisher_token(publisher));
        epoll::modify(&self.epoll, &self.publishers[publisher].socket, data, flags)
            .map_err(|error| format!("epoll: {error}"))
    }
}

/// The run is over: the next one finds the machine as this one did.
impl Drop for Rig {
    fn drop(&mut self) {
        let streams = self.subscribers.iter().filter_map(|s| s.socket.as_ref());
        let publishers = self.publishers.iter().map(|p| &p.socket);
        streams.chain(publishers).for_each(net::forget_when_closed);
    }
}

fn subscriber_token(number: usize) -> u64 {
    (number as u64) << 1
}

fn publisher_token(number: usize) -> u64 {
    (number as u64) << 1 | 1
}

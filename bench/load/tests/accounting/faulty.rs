//! A server in the dialect of the bare writer that makes one mistake, with its first message and its first client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    Lose,
    Double,
    Swap,
    Damage,
    Misroute,
    Close,
    Refuse,
}

struct State {
    mistake: Mistake,
    /// The name in its path, and the socket.
    streams: Vec<(String, TcpStream)>,
    /// Messages so far.
    published: usize,
    /// What is sent after the next message.
    held: Option<Vec<u8>>,
}

/// Serves until the test ends.
pub(crate) fn serve(mistake: Mistake) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(Mutex::new(State {
        mistake,
        streams: Vec::new(),
        published: 0,
        held: None,
    }));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let state = state.clone();
            thread::spawn(move || requests(&socket, &state));
        }
    });
    address
}

/// Ends without a word when the other side does.
fn requests(mut socket: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let path = head.split(' ').nth(1)?.to_owned();
        if head.starts_with("GET") {
            let mut stream = socket.try_clone().ok()?;
            // Whoever has the head gets the next message.
            let streams = &mut state.lock().unwrap().streams;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                .ok()?;
            streams.push((path, stream));
            continue;
        }
        let length = head.split_once("Content-Length: ")?.1;
        let mut body = vec![0; length.split("\r\n").next()?.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let answer = state.lock().unwrap().publish(&path, &body);
        socket.write_all(answer).ok()?;
    }
}

impl State {
    fn publish(&mut self, path: &str, body: &[u8]) -> &'static [u8] {
        if self.mistake == Mistake::Refuse {
            return b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
        }
        let first = self.published == 0;
        self.published += 1;
        let event = [b"data: ", body, b"\n\n"].concat();
        let name = path.rsplit('/').next().unwrap_or_default();
        let held = self.held.take();
        let mistake = self.mistake;
        for (at, (listener, stream)) in self.streams.iter_mut().enumerate() {
            let mut meant = path == "/all" || listener.ends_with(name);
            let mut bytes = event.clone();
            match (mistake, first, at) {
                (Mistake::Misroute, true, _) => meant = !meant,
                (Mistake::Lose, true, 0) => meant = false,
                (Mistake::Double, true, 0) => bytes.extend_from_slice(&event),
                (Mistake::Swap, true, 0) => {
                    self.held = Some(event.clone());
                    meant = false;
                }
                (Mistake::Swap, false, 0) => bytes.extend(held.clone().unwrap_or_default()),
                (Mistake::Damage, true, 0) => {
                    let marker = bytes.iter().position(|byte| *byte == b'~').unwrap();
                    bytes[marker + 5] = b'?';
                }
                (Mistake::Close, true, 0) => {
                    // The reader of this connection holds the socket too.
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                    meant = false;
                }
                _ => {}
            }
            if meant {
                // A client that is gone gets nothing more.
                let _ = stream.write_all(&bytes);
            }
        }
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    }
}

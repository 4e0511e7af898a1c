//! Reading events, as the WHATWG standard ("9.2.6 Interpreting an event stream") says, whatever the pieces they come in.

use thiserror::Error;

/// An incremental decoder: [`feed`](Self::feed) it bytes, then take events until there is none.
///
/// It implements [`Iterator`], whose `None` means that more bytes are needed. The work is linear in the number of
/// bytes, and what it keeps is bounded by the limit given to [`new`](Self::new) plus what was last fed.
#[derive(Debug)]
pub struct Decoder {
    /// What was fed; everything before `at` has been used.
    input: Vec<u8>,
    at: usize,
    /// The beginning of the line that `input` continues. A line that will be ignored is not
    /// continued, but never left empty: that would make it a blank one.
    line: Vec<u8>,
    /// Bytes of a byte order mark seen at the start of the stream; `None` behind it.
    mark_seen: Option<usize>,
    /// The last line ended in CR: a LF right behind it belongs to the same line end.
    after_cr: bool,
    lines: Lines,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The line `event:`; `message` when there is none.
    pub name: String,
    pub data: String,
    /// The newest id on the stream, whether or not this event brought it.
    pub last_event_id: String,
}

/// An event is larger than the decoder was told to accept. The decoder goes on behind it; its id is not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("event larger than {event_bytes_max} bytes")]
pub struct EventTooLarge {
    pub event_bytes_max: usize,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Decoder {
    /// A decoder for one stream. `event_bytes_max` bounds the lines of one event together, without their line ends
    /// and without comments.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            input: Vec::new(),
            at: 0,
            line: Vec::new(),
            mark_seen: Some(0),
            after_cr: false,
            lines: Lines::new(event_bytes_max),
        }
    }

    /// Adds bytes behind those fed before. Take all events before feeding again, or the bytes pile up.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The id to resume from: the newest one up to and with the event taken last.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.lines.last_event_id
    }

    /// The newest `retry:` so far.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.lines.retry_ms
    }
}

impl Iterator for Decoder {
    type Item = Result<Event, EventTooLarge>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_mark();
        while let Some(&byte) = self.input.get(self.at) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                self.at += 1;
                continue;
            }
            let rest = &self.input[self.at..];
            let item = match line_end(rest) {
                Some(length) => self.end_line(self.at + length),
                None => self.keep_partial_line(),
            };
            if item.is_some() {
                return item;
            }
        }
        self.input.clear();
        self.at = 0;
        None
    }
}

impl Decoder {
    /// Drops one byte order mark at the very start. One that turns out to be incomplete is the start of a line.
    fn skip_mark(&mut self) {
        while let (Some(seen), Some(&byte)) = (self.mark_seen, self.input.get(self.at)) {
            if byte == BYTE_ORDER_MARK[seen] {
                self.at += 1;
                self.mark_seen = Some(seen + 1).filter(|seen| *seen < BYTE_ORDER_MARK.len());
            } else {
                self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
                self.mark_seen = None;
            }
        }
    }

    /// Takes the line whose line end is at `end`.
    fn end_line(&mut self, end: usize) -> Option<Result<Event, EventTooLarge>> {
        let tail = &self.input[self.at..end];
        self.at = end + 1;
        self.after_cr = self.input[end] == b'\r';
        if self.line.is_empty() {
            return self.lines.take(tail);
        }
        self.line.extend_from_slice(tail);
        let item = self.lines.take(&self.line);
        self.line.clear();
        item
    }

    /// Keeps the rest of the input for when its line ends, unless it is too long already or will be ignored.
    fn keep_partial_line(&mut self) -> Option<Result<Event, EventTooLarge>> {
        let rest = &self.input[self.at..];
        self.at = self.input.len();
        let ignored = self
            .lines
            .ignores(self.line.first().or(rest.first()).copied());
        let too_large = !ignored && !self.lines.fits(self.line.len() + rest.len());
        if !ignored && !too_large {
            self.line.extend_from_slice(rest);
        } else if self.line.is_empty() {
            self.line.push(rest[0]);
        }
        too_large.then(|| Err(self.lines.drop_block()))
    }
}

/// What whole lines mean.
#[derive(Debug)]
struct Lines {
    event_bytes_max: usize,
    block: Block,
    last_event_id: String,
    retry_ms: Option<u64>,
}

/// The lines since the last blank one.
#[derive(Debug, Default)]
struct Block {
    name: String,
    /// Each data line with a LF behind it.
    data: String,
    /// The id to be taken over at the blank line.
    id: Option<String>,
    /// Bytes of all lines but comments.
    bytes: usize,
    /// Too large and reported: everything up to the blank line is ignored.
    dropped: bool,
}

impl Lines {
    const fn new(event_bytes_max: usize) -> Self {
        let block = Block {
            name: String::new(),
            data: String::new(),
            id: None,
            bytes: 0,
            dropped: false,
        };
        Self {
            event_bytes_max,
            block,
            last_event_id: String::new(),
            retry_ms: None,
        }
    }

    fn take(&mut self, line: &[u8]) -> Option<Result<Event, EventTooLarge>> {
        if line.is_empty() {
            return self.end_block().map(Ok);
        }
        if self.ignores(line.first().copied()) {
            return None;
        }
        if !self.fits(line.len()) {
            return Some(Err(self.drop_block()));
        }
        self.block.bytes += line.len();
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        self.set(field, value.strip_prefix(b" ").unwrap_or(value));
        None
    }

    fn set(&mut self, field: &[u8], value: &[u8]) {
        match field {
            b"data" => {
                self.block.data.push_str(&String::from_utf8_lossy(value));
                self.block.data.push('\n');
            }
            b"event" => self.block.name = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&b'\0') => {
                self.block.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" => self.retry_ms = milliseconds(value).or(self.retry_ms),
            _ => {}
        }
    }

    /// A blank line: the id counts from here, even when there is no data and so no event.
    fn end_block(&mut self) -> Option<Event> {
        let Block {
            name,
            mut data,
            id,
            dropped,
            ..
        } = std::mem::take(&mut self.block);
        if dropped {
            return None;
        }
        if let Some(id) = id {
            self.last_event_id = id;
        }
        // Each data line has put a LF behind itself; the last one belongs to no text.
        data.pop()?;
        let name = if name.is_empty() {
            "message".to_owned()
        } else {
            name
        };
        Some(Event {
            name,
            data,
            last_event_id: self.last_event_id.clone(),
        })
    }

    /// Whether a line that starts so has no meaning: a comment, or part of a block that is being dropped.
    fn ignores(&self, first: Option<u8>) -> bool {
        self.block.dropped || first == Some(b':')
    }

    const fn fits(&self, line_bytes: usize) -> bool {
        self.block.bytes + line_bytes <= self.event_bytes_max
    }

    fn drop_block(&mut self) -> EventTooLarge {
        self.block = Block {
            dropped: true,
            ..Block::default()
        };
        EventTooLarge {
            event_bytes_max: self.event_bytes_max,
        }
    }
}

/// Where the first CR or LF is. Whole blocks are looked at without a branch per byte, which compiles to vector
/// instructions: lines of a megabyte are common here.
fn line_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let ends_line = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let has_end = |block: &[u8]| {
        block
            .iter()
            .fold(false, |found, byte| found | ends_line(byte))
    };
    let skipped = BLOCK
        * bytes
            .chunks_exact(BLOCK)
            .take_while(|block| !has_end(block))
            .count();
    bytes[skipped..]
        .iter()
        .position(ends_line)
        .map(|at| skipped + at)
}

/// Digits only; a number beyond 64 bits is as good as for ever.
fn milliseconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: u64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, append))
}

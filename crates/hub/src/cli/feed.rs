//! `publish --stdin`: what is piped in goes to the hub in order, with nothing lost or doubled while the hub is away.

use std::io::Read as _;
use std::time::Instant;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_protocol::limits::{BODY_BYTES_MAX, MESSAGE_BYTES_MAX};
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::failure::Failure;
use super::lines::{Lines, Piece};
use super::outgoing::{Content, Template, new_id};
use super::publish::post;
use super::remote::Remote;
use super::text::say;
use super::trouble::Trouble;

/// One commit of the hub takes about as long for 500 messages as for one.
const BATCH_MESSAGES_MAX: usize = 500;
/// Less the bracket at the start. A message that is larger goes alone, for the hub to judge.
const BATCH_BYTES_MAX: usize = BODY_BYTES_MAX - 1;
/// With every byte escaped (six for one) it is still a message.
const TEXT_LINE_BYTES_MAX: usize = 128 * 1024;
const BLOCK_BYTES: usize = 64 * 1024;
/// Read ahead by 1 MiB while a request is under way; then the pipe waits, and with it who writes to it.
const BLOCKS_AHEAD: usize = 16;

/// Sends standard input line by line until it ends; the number of messages.
pub(super) async fn feed(remote: &Remote, template: &Template, json: bool) -> Result<u64, Failure> {
    let mut input = Input::stdin(json);
    let mut sender = Sender {
        remote,
        backoff: Backoff::new(),
    };
    let mut sent = 0;
    loop {
        let batch = input.batch(template).await;
        if batch.is_empty() {
            return input.ended.unwrap_or(Ok(())).map(|()| sent);
        }
        sender.deliver(&batch).await?;
        sent += batch.len() as u64;
    }
}

struct Outgoing {
    line: u64,
    message: Vec<u8>,
}

struct Input {
    blocks: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    lines: Lines,
    json: bool,
    /// A message that did not fit into the batch before.
    held: Option<Outgoing>,
    all_read: bool,
    /// Set once no more messages can be made.
    ended: Option<Result<(), Failure>>,
}

impl Input {
    fn stdin(json: bool) -> Self {
        let line_bytes_max = if json {
            MESSAGE_BYTES_MAX
        } else {
            TEXT_LINE_BYTES_MAX
        };
        let (sender, blocks) = mpsc::channel(BLOCKS_AHEAD);
        // Ends with the process: a blocking read of standard input cannot be called off.
        std::thread::spawn(move || read_blocks(&sender));
        Self {
            blocks,
            lines: Lines::new(line_bytes_max),
            json,
            held: None,
            all_read: false,
            ended: None,
        }
    }

    /// Everything that waits, up to a batch; waits only while there is nothing. Empty at the end.
    async fn batch(&mut self, template: &Template) -> Vec<Outgoing> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            while let Some(outgoing) = self.next(template) {
                // One byte for the comma or bracket after it.
                bytes += outgoing.message.len() + 1;
                let full = batch.len() == BATCH_MESSAGES_MAX || bytes > BATCH_BYTES_MAX;
                if full && !batch.is_empty() {
                    self.held = Some(outgoing);
                    return batch;
                }
                batch.push(outgoing);
            }
            if self.ended.is_some() {
                return batch;
            }
            let block = if batch.is_empty() {
                self.blocks.recv().await
            } else {
                match self.blocks.try_recv() {
                    Ok(block) => Some(block),
                    Err(mpsc::error::TryRecvError::Empty) => return batch,
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            };
            self.take(block);
        }
    }

    fn take(&mut self, block: Option<std::io::Result<Vec<u8>>>) {
        match block {
            Some(Ok(block)) => self.lines.feed(&block),
            Some(Err(error)) => {
                let text = format!("cannot read standard input: {error}");
                self.ended = Some(Err(Failure::Failed(text)));
            }
            None => self.all_read = true,
        }
    }

    /// The next message that can be made of what has been read.
    fn next(&mut self, template: &Template) -> Option<Outgoing> {
        if self.held.is_some() {
            return self.held.take();
        }
        while self.ended.is_none() {
            let Some(piece) = self.lines.next().or_else(|| self.last_piece()) else {
                if self.all_read {
                    self.ended = Some(Ok(()));
                }
                return None;
            };
            let between_json_lines = self.json && piece.whole && piece.text.trim().is_empty();
            if between_json_lines {
                continue;
            }
            match self.message(template, &piece) {
                Ok(message) => {
                    return Some(Outgoing {
                        line: piece.line,
                        message,
                    });
                }
                Err(rule) => {
                    let text = format!("line {} {rule}", piece.line);
                    self.ended = Some(Err(Failure::Failed(text)));
                }
            }
        }
        None
    }

    fn last_piece(&mut self) -> Option<Piece> {
        if self.all_read {
            self.lines.finish()
        } else {
            None
        }
    }

    fn message(&self, template: &Template, piece: &Piece) -> Result<Vec<u8>, String> {
        if self.json {
            json_message(template, piece)
        } else {
            template.message(&new_id(), Content::Text(&piece.text))
        }
    }
}

fn json_message(template: &Template, piece: &Piece) -> Result<Vec<u8>, String> {
    if !piece.whole {
        return Err(format!("is longer than {MESSAGE_BYTES_MAX} bytes"));
    }
    let payload: &RawValue =
        serde_json::from_str(&piece.text).map_err(|error| format!("is not JSON: {error}"))?;
    template.message(&new_id(), Content::Json(payload))
}

fn read_blocks(sender: &mpsc::Sender<std::io::Result<Vec<u8>>>) {
    let mut input = std::io::stdin().lock();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let read = match input.read(&mut block) {
            Ok(0) => return,
            Ok(length) => Ok(block[..length].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if sender.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

struct Sender<'a> {
    remote: &'a Remote,
    backoff: Backoff,
}

impl Sender<'_> {
    /// One request at a time, repeated with the same ids until it is answered: that keeps order and doubles nothing.
    async fn deliver(&mut self, batch: &[Outgoing]) -> Result<(), Failure> {
        match self.send(batch).await {
            // A batch is refused as a whole. One by one, the lines before the bad one get through.
            Err(Failure::Refused(_)) if batch.len() > 1 => {
                for outgoing in batch {
                    self.send(std::slice::from_ref(outgoing)).await?;
                }
                Ok(())
            }
            result => result,
        }
    }

    async fn send(&mut self, batch: &[Outgoing]) -> Result<(), Failure> {
        let body = body(batch);
        let mut outage: Option<Outage> = None;
        loop {
            let trouble = match post(self.remote, body.clone(), outage.is_some()).await {
                Ok(_) => {
                    self.backoff.reset();
                    if let Some(outage) = outage {
                        outage.over();
                    }
                    return Ok(());
                }
                Err(trouble) if trouble.retryable() => trouble,
                Err(trouble) => return Err(name_line(batch, trouble)),
            };
            outage.get_or_insert_with(Outage::begin).tell(&trouble);
            tokio::time::sleep(self.backoff.next(trouble.asked())).await;
        }
    }
}

fn body(batch: &[Outgoing]) -> Bytes {
    match batch {
        [one] => one.message.clone().into(),
        many => {
            let messages: Vec<&[u8]> = many.iter().map(|one| one.message.as_slice()).collect();
            [b"[".as_slice(), &messages.join(&b','), b"]"]
                .concat()
                .into()
        }
    }
}

fn name_line(batch: &[Outgoing], trouble: Trouble) -> Failure {
    match (Failure::from(trouble), batch) {
        (Failure::Refused(text), [one]) => Failure::Refused(format!("line {}: {text}", one.line)),
        (failure, _) => failure,
    }
}

/// The time in which the hub takes nothing: told once at its beginning, again when the reason changes, and at its end.
struct Outage {
    since: Instant,
    told: String,
}

impl Outage {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            told: String::new(),
        }
    }

    fn tell(&mut self, trouble: &Trouble) {
        if self.told != trouble.text() {
            trouble.text().clone_into(&mut self.told);
            say(&format!("{}; waiting, nothing is lost", self.told));
        }
    }

    fn over(self) {
        let away = self.since.elapsed().as_secs_f64();
        say(&format!("going on after {away:.1} s"));
    }
}

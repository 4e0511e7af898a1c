//! One subscription over many connections: what was received, and how each connection ended.

use std::io::{BufWriter, Stdout, Write as _};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode, Url};
use tidings_protocol::sse::Decoder;
use tokio::time::{Instant, timeout, timeout_at};

use super::acks::Acks;
use super::connection::{CONNECT_TIMEOUT, Connection, End, Reached, System};
use super::failure::Failure;
use super::remote::Remote;
use super::render::{self, Received};
use super::seen::Seen;
use super::text::say;
use super::trouble::{Refusal, Trouble};

/// Twice the largest message that a hub passes on.
const EVENT_BYTES_MAX: usize = 2 * 1024 * 1024;

const HUB: &str = "$hub";

#[derive(Debug)]
pub(super) struct Stream {
    remote: Remote,
    json: bool,
    output: BufWriter<Stdout>,
    seen: Seen,
    /// `None`: nothing is acknowledged.
    acks: Option<Acks>,
    /// Of the last event that was printed.
    cursor: Option<String>,
    retry_ms: Option<u64>,
}

impl Stream {
    pub(super) fn new(remote: Remote, json: bool, ack: bool) -> Self {
        Self {
            remote,
            json,
            output: BufWriter::new(std::io::stdout()),
            seen: Seen::default(),
            acks: ack.then(Acks::default),
            cursor: None,
            retry_ms: None,
        }
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Opens a connection and prints what comes until it ends. An error means that nobody reads what is printed.
    pub(super) async fn connect(&mut self, url: Url) -> Result<End, Failure> {
        let began = Instant::now();
        let response = match self.open(url, began + CONNECT_TIMEOUT).await {
            Ok(response) => response,
            Err(end) => return Ok(end),
        };
        self.read(response, Connection::new(began)).await
    }

    async fn open(&self, url: Url, deadline: Instant) -> Result<Response, End> {
        let request = self.remote.get(url).header(ACCEPT, "text/event-stream");
        let response = match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(refused(Trouble::of(&self.remote, &error))),
            Err(_) => return Err(lost(format!("no answer from {}", self.remote.shown()))),
        };
        match response.status() {
            StatusCode::OK if is_event_stream(&response) => Ok(response),
            StatusCode::OK => Err(lost(Refusal::foreign(StatusCode::OK).text)),
            StatusCode::NO_CONTENT => {
                let text = "the hub says that this client is not to come back".to_owned();
                Err(End::Stop(Failure::Refused(text)))
            }
            _ => match timeout_at(deadline, Refusal::read(response)).await {
                Ok(refusal) => Err(refused(Trouble::Refused(refusal))),
                Err(_) => Err(lost(format!("no answer from {}", self.remote.shown()))),
            },
        }
    }

    async fn read(
        &mut self,
        mut response: Response,
        mut connection: Connection,
    ) -> Result<End, Failure> {
        let mut decoder = Decoder::new(EVENT_BYTES_MAX);
        loop {
            let deadline = connection.deadline();
            let reason = match timeout(deadline, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.take(&bytes, &mut decoder, &mut connection)?;
                    if let Some(acks) = &mut self.acks {
                        acks.send(&self.remote, self.cursor.as_deref()).await;
                    }
                    if let Some(failure) = connection.stop {
                        return Ok(End::Stop(failure));
                    }
                    continue;
                }
                Ok(Ok(None)) => "the connection ended".to_owned(),
                Ok(Err(error)) => Trouble::of(&self.remote, &error).text().to_owned(),
                Err(_) if connection.connected => return Ok(End::Silent),
                Err(_) => format!("{} answers but sends nothing", self.remote.shown()),
            };
            return Ok(connection.lost(reason));
        }
    }

    /// Prints the events of some bytes, and only then moves the cursor over them.
    fn take(
        &mut self,
        bytes: &[u8],
        decoder: &mut Decoder,
        connection: &mut Connection,
    ) -> Result<(), Failure> {
        decoder.feed(bytes);
        for event in decoder.by_ref() {
            match event {
                Ok(event) => self.event(&event.data, connection)?,
                Err(_) => say(&format!(
                    "an event of more than {EVENT_BYTES_MAX} bytes was left out"
                )),
            }
        }
        self.output.flush()?;
        if !decoder.last_event_id().is_empty() {
            self.cursor = Some(decoder.last_event_id().to_owned());
        }
        self.retry_ms = decoder.retry_ms().or(self.retry_ms);
        Ok(())
    }

    fn event(&mut self, data: &str, connection: &mut Connection) -> Result<(), Failure> {
        let Ok(message) = serde_json::from_str::<Received<'_>>(data) else {
            say("an event that is no message was left out");
            return Ok(());
        };
        if message.source == HUB && matches!(message.r#type.as_str(), "system" | "heartbeat") {
            if let Ok(system) = serde_json::from_str::<System>(message.payload.get()) {
                connection.system(system, self.remote.shown());
            }
            if let Some(acks) = &mut self.acks {
                acks.system(message.payload.get());
            }
            return Ok(());
        }
        connection.received = true;
        if self.seen.is_new(&message.source, &message.id) {
            let line = if self.json {
                data.to_owned()
            } else {
                render::line(&message)
            };
            writeln!(self.output, "{line}")?;
        }
        if let Some(acks) = &mut self.acks {
            acks.printed(&message);
        }
        Ok(())
    }
}

fn refused(trouble: Trouble) -> End {
    if trouble.retryable() {
        End::Lost {
            reason: trouble.text().to_owned(),
            asked: trouble.asked(),
            reached: Reached::Nothing,
        }
    } else {
        End::Stop(trouble.into())
    }
}

fn lost(reason: String) -> End {
    End::Lost {
        reason,
        asked: None,
        reached: Reached::Nothing,
    }
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/event-stream")
}

//! How one kind of server is spoken to: a small description per peer, and the requests made of it.

use serde::Deserialize;

use crate::marker;

/// Paths and bodies with `{client}`, `{topic}`, `{payload}` and `{ms}` to be filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dialect {
    /// Headers of every publish request.
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    /// Requests to make before the first subscriber.
    #[serde(default)]
    pub(crate) setup: Vec<Setup>,
    pub(crate) subscribe: Subscribe,
    pub(crate) publish: Publish,
    pub(crate) unicast: Option<Unicast>,
    pub(crate) batch: Option<Batch>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribe {
    pub(crate) path: String,
    /// Headers of the request for a stream.
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    /// What is added to the path to ask for heartbeats every so many milliseconds.
    pub(crate) heartbeat: Option<String>,
    /// What is added to the path to read the history from its beginning.
    pub(crate) earliest: Option<String>,
    /// The header that resumes after the last `id:`; without one the peer has no resume.
    pub(crate) resume: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    pub(crate) path: String,
    pub(crate) body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unicast {
    /// Where one client listens, when that is not the path of all streams.
    pub(crate) subscribe: Option<String>,
    pub(crate) path: String,
    pub(crate) body: String,
    /// Requests to make for each client before it subscribes.
    #[serde(default)]
    pub(crate) setup: Vec<Setup>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    pub(crate) path: String,
    pub(crate) open: String,
    pub(crate) item: String,
    #[serde(default = "comma")]
    pub(crate) between: String,
    pub(crate) close: String,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
}

fn comma() -> String {
    ",".to_owned()
}

const KNOWN: [(&str, &str); 9] = [
    ("axum", include_str!("../../peers/axum/dialect.toml")),
    ("axum-sink", include_str!("../../peers/axum/sink.toml")),
    (
        "centrifugo",
        include_str!("../../peers/centrifugo/dialect.toml"),
    ),
    (
        "durable-streams",
        include_str!("../../peers/durable-streams/dialect.toml"),
    ),
    ("express", include_str!("../../peers/express/dialect.toml")),
    ("mercure", include_str!("../../peers/mercure/dialect.toml")),
    ("nchan", include_str!("../../peers/nchan/dialect.toml")),
    ("raw", include_str!("../../peers/raw/dialect.toml")),
    ("tidings", include_str!("../../peers/tidings/dialect.toml")),
];

impl Dialect {
    /// The description of a known peer, or of the file at this path.
    pub(crate) fn of(peer: &str) -> Result<Self, String> {
        let known = KNOWN.iter().find(|(name, _)| *name == peer);
        let text = match known {
            Some((_, text)) => (*text).to_owned(),
            None if peer.ends_with(".toml") => std::fs::read_to_string(peer)
                .map_err(|error| format!("read the dialect {peer}: {error}"))?,
            None => {
                let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "--peer is one of {} or the path of a .toml file, not `{peer}`",
                    names.join(", ")
                ));
            }
        };
        toml::from_str(&text).map_err(|error| format!("the dialect of {peer}: {error}"))
    }
}

/// Of fixed length, so that a request for any client can be made by overwriting the name in another's.
pub(crate) fn client_name(number: usize) -> String {
    format!("c{number:05}")
}

const ANY_CLIENT: &str = "c00000";

/// A JSON object of `bytes` bytes with room for a marker near its end, so that whoever has the marker has nearly all.
pub(crate) fn payload(bytes: usize) -> String {
    let marker = "~".repeat(marker::LENGTH);
    let frame = r#"{"fill":"","m":""}"#.len() + marker.len();
    let fill: String = (0..bytes.saturating_sub(frame))
        .map(|at| char::from(b'a' + (at * 7 % 26) as u8))
        .collect();
    format!(r#"{{"fill":"{fill}","m":"{marker}"}}"#)
}

/// One request whose markers and client names are overwritten for each message.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    markers: Vec<usize>,
    clients: Vec<usize>,
}

impl Template {
    pub(crate) fn post(host: &str, path: &str, headers: &[String], body: &str) -> Self {
        let mut text = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let marker = "~".repeat(marker::LENGTH);
        Self {
            markers: text.match_indices(&marker).map(|(at, _)| at).collect(),
            clients: text.match_indices(ANY_CLIENT).map(|(at, _)| at).collect(),
            bytes: text.into_bytes(),
        }
    }

    pub(crate) fn messages(&self) -> usize {
        self.markers.len()
    }

    pub(crate) fn aim_at(&mut self, client: usize) {
        let name = client_name(client);
        for &at in &self.clients {
            self.bytes[at..][..name.len()].copy_from_slice(name.as_bytes());
        }
    }

    pub(crate) fn mark(&mut self, mut marker: marker::Marker) -> &[u8] {
        for &at in &self.markers {
            marker.write(&mut self.bytes[at..][..marker::LENGTH]);
            marker.seq += 1;
        }
        &self.bytes
    }
}

impl Dialect {
    pub(crate) fn one(&self, host: &str, topic: &str, payload: &str) -> Template {
        let fill = |text: &str| text.replace("{topic}", topic).replace("{payload}", payload);
        let publish = &self.publish;
        let path = fill(&publish.path);
        Template::post(host, &path, &self.headers, &fill(&publish.body))
    }

    pub(crate) fn to_client(&self, host: &str, payload: &str) -> Result<Template, String> {
        let unicast = self
            .unicast
            .as_ref()
            .ok_or("this peer has no messages to one client")?;
        let fill = |text: &str| {
            text.replace("{client}", ANY_CLIENT)
                .replace("{payload}", payload)
        };
        let path = fill(&unicast.path);
        Ok(Template::post(
            host,
            &path,
            &self.headers,
            &fill(&unicast.body),
        ))
    }

    pub(crate) fn many(
        &self,
        host: &str,
        topic: &str,
        payload: &str,
        count: usize,
    ) -> Result<Template, String> {
        let batch = self.batch.as_ref().ok_or("this peer has no batches")?;
        let fill = |text: &str| text.replace("{topic}", topic).replace("{payload}", payload);
        let items = vec![fill(&batch.item); count].join(&batch.between);
        let body = format!("{}{items}{}", fill(&batch.open), fill(&batch.close));
        let headers = [self.headers.as_slice(), batch.headers.as_slice()].concat();
        Ok(Template::post(host, &fill(&batch.path), &headers, &body))
    }
}

/// What one subscriber asks for, and how it reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish<'a> {
    pub(crate) topic: &'a str,
    pub(crate) unicast: bool,
    pub(crate) heartbeat_ms: Option<u64>,
    pub(crate) earliest: bool,
    pub(crate) last_id: Option<String>,
    /// Its deliveries count for the latency.
    pub(crate) measured: bool,
    /// It remembers the ids of its events.
    pub(crate) keep_ids: bool,
    /// It reads so many bytes each time it is told to, instead of all that comes.
    pub(crate) sip: Option<usize>,
}

impl Dialect {
    pub(crate) fn stream(
        &self,
        host: &str,
        client: usize,
        wish: &Wish<'_>,
    ) -> Result<String, String> {
        let subscribe = &self.subscribe;
        let mut path = match self.unicast.as_ref().and_then(|to| to.subscribe.as_ref()) {
            Some(own) if wish.unicast => own.clone(),
            _ => subscribe.path.clone(),
        };
        if let Some(ms) = wish.heartbeat_ms {
            let heartbeat = subscribe.heartbeat.as_deref().unwrap_or_default();
            path.push_str(&heartbeat.replace("{ms}", &ms.to_string()));
        }
        if wish.earliest {
            path.push_str(
                subscribe
                    .earliest
                    .as_deref()
                    .ok_or("this peer cannot read its history from the beginning")?,
            );
        }
        let path = path
            .replace("{client}", &client_name(client))
            .replace("{topic}", wish.topic);
        let mut text =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n");
        for header in &subscribe.headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if let Some(id) = &wish.last_id {
            let header = subscribe
                .resume
                .as_deref()
                .ok_or("this peer cannot resume a stream")?;
            text.push_str(&format!("{header}: {id}\r\n"));
        }
        text.push_str("\r\n");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_dialect_is_read() {
        for (name, _) in KNOWN {
            Dialect::of(name).unwrap();
        }
    }

    #[test]
    fn a_payload_is_json_of_its_size() {
        let text = payload(200);
        assert_eq!(text.len(), 200);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn a_batch_numbers_its_messages() {
        let dialect = Dialect::of("tidings").unwrap();
        let mut template = dialect.many("h", "t", &payload(100), 3).unwrap();
        assert_eq!(template.messages(), 3);
        let marker = marker::Marker {
            run: 1,
            stream: 0,
            target: marker::EVERYONE,
            seq: 41,
            due_us: 0,
        };
        let text = template.mark(marker).to_vec();
        let mut found = Vec::new();
        marker::Carry::new().scan(&text, |marker| found.push(marker.unwrap().seq));
        assert_eq!(found, [41, 42, 43]);
    }
}

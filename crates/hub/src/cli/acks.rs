//! `subscribe --ack`: tells the hub what was printed.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;

use super::remote::Remote;
use super::render::Received;
use super::text::say;
use super::trouble::{Refusal, Trouble};

/// An ack waits for a sync of the hub's disk; one that takes longer than this is sent with the next.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Acks kept while the hub does not take them; those beyond are sent when their messages come again.
const OWED_MAX: usize = 8_192;

/// What is to be acknowledged: the place in the mailbox by cursor, and each message that asks for it by itself.
#[derive(Debug, Default)]
pub(super) struct Acks {
    client: String,
    /// Where the unbroken reading began.
    from: Option<String>,
    acked: Option<String>,
    owed: Vec<(String, String)>,
    /// Whether the user knows that acks fail.
    told: bool,
}

/// The parts of `connect` and `gap` that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct System {
    event: String,
    detail: Detail,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    client_id: String,
    cursor: String,
    resumed: bool,
    to: String,
}

impl Acks {
    /// Learns from the hub's own events who we are, and from where on nothing is missing.
    pub(super) fn system(&mut self, payload: &str) {
        let Ok(System { event, detail }) = serde_json::from_str(payload) else {
            return;
        };
        match event.as_str() {
            "connect" => {
                self.client = detail.client_id;
                if !detail.resumed || self.from.is_none() {
                    self.from = Some(detail.cursor);
                }
            }
            "gap" => self.from = Some(detail.to),
            _ => {}
        }
    }

    /// Takes note of a message, also of one that came before: its ack may have been lost.
    pub(super) fn printed(&mut self, message: &Received<'_>) {
        if message.require_ack && self.owed.len() < OWED_MAX {
            self.owed.push((message.source.clone(), message.id.clone()));
        }
    }

    /// Sends what is owed. What cannot be sent now goes with the next call.
    pub(super) async fn send(&mut self, remote: &Remote, cursor: Option<&str>) {
        let cursor = cursor.filter(|cursor| self.acked.as_deref() != Some(*cursor));
        if self.client.is_empty() || (cursor.is_none() && self.owed.is_empty()) {
            return;
        }
        match post(remote, self.body(cursor)).await {
            Ok(()) => {
                self.owed.clear();
                self.acked = cursor.map(str::to_owned).or(self.acked.take());
                self.told = false;
            }
            Err(trouble) if !self.told => {
                say(&format!("cannot acknowledge: {}", trouble.text()));
                self.told = true;
            }
            Err(_) => {}
        }
    }

    fn body(&self, cursor: Option<&str>) -> String {
        let mut body = json!({ "clientId": self.client });
        if let Some(cursor) = cursor {
            body["cursor"] = cursor.into();
            body["from"] = self.from.clone().into();
        }
        if !self.owed.is_empty() {
            let owed = self.owed.iter();
            body["messages"] = owed
                .map(|(source, id)| json!({ "source": source, "id": id }))
                .collect();
        }
        body.to_string()
    }
}

async fn post(remote: &Remote, body: String) -> Result<(), Trouble> {
    let request = remote
        .post(remote.url("/api/acks"))
        .header(CONTENT_TYPE, "application/json")
        .timeout(ANSWER_TIMEOUT)
        .body(body);
    let response = request
        .send()
        .await
        .map_err(|error| Trouble::of(remote, &error))?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(Trouble::Refused(Refusal::read(response).await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(events: &[&str]) -> Acks {
        let mut acks = Acks::default();
        for event in events {
            acks.system(event);
        }
        acks
    }

    #[test]
    fn reading_is_unbroken_from_the_first_connect_until_a_gap() {
        let connect = |cursor: &str, resumed: bool| {
            let detail = json!({"clientId": "a", "cursor": cursor, "resumed": resumed});
            json!({"event": "connect", "detail": detail}).to_string()
        };
        let (first, resumed, anew) = (
            connect("e-1", false),
            connect("e-5", true),
            connect("e-9", false),
        );
        let gap = r#"{"event":"gap","detail":{"from":"e-5","to":"e-8"}}"#;
        for (events, from) in [
            (vec![first.as_str()], "e-1"),
            (vec![&first, &resumed], "e-1"),
            (vec![&first, &resumed, gap], "e-8"),
            (vec![&first, &anew], "e-9"),
        ] {
            assert_eq!(acks(&events).from.as_deref(), Some(from));
        }
    }

    #[test]
    fn an_ack_has_the_cursor_and_the_messages_that_ask_for_it() {
        let mut acks = acks(&[r#"{"event":"connect","detail":{"clientId":"a","cursor":"e-1"}}"#]);
        acks.owed.push(("bob".into(), "m".into()));
        let body: serde_json::Value = serde_json::from_str(&acks.body(Some("e-2"))).expect("JSON");
        let expected = json!({
            "clientId": "a", "cursor": "e-2", "from": "e-1", "messages": [{"source": "bob", "id": "m"}],
        });
        assert_eq!(body, expected);
    }
}

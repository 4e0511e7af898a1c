//! What a check works with: clients and names of its own.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::check::{Claim, Trying as _};
use crate::grammar::percent;
use crate::site::{Holder, Site};
use crate::stream::Stream;

/// A check's view of the hub.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) site: &'a Site,
    /// In every name that this check makes up, and in no other check's.
    mark: String,
}

/// Somebody who talks to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Client<'a> {
    site: &'a Site,
    mark: String,
    pub(crate) id: String,
    token: Option<String>,
}

impl<'a> Context<'a> {
    /// With credentials, clients are not new for every check: their mailboxes are then acked to the present.
    pub(crate) fn new(site: &'a Site, index: usize) -> Result<Self, String> {
        let context = Self {
            site,
            mark: format!("{}.{index:03}", site.run),
        };
        for holder in site.client().into_iter().chain(site.admin()) {
            context
                .holder(holder)
                .settle()
                .trying("ack what came before")?;
        }
        Ok(context)
    }

    /// The first client. With credentials it may use topics under `conformance/` and send to itself.
    pub(crate) fn alice(&self) -> Client<'a> {
        match self.site.client() {
            Some(holder) => self.holder(holder),
            None => self.client("alice"),
        }
    }

    /// The second client, which may do everything.
    pub(crate) fn bob(&self) -> Client<'a> {
        match self.site.admin() {
            Some(holder) => self.holder(holder),
            None => self.client("bob"),
        }
    }

    /// A client that nobody has heard of, for hubs in open mode.
    pub(crate) fn client(&self, name: &str) -> Client<'a> {
        Client {
            site: self.site,
            mark: self.mark.clone(),
            id: self.name(name),
            token: None,
        }
    }

    /// A client id or message id of this check.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("conformance.{}.{name}", self.mark)
    }

    /// A topic of this check.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("conformance/{}/{name}", self.mark)
    }

    /// A request as nobody in particular.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        self.site.request(method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, String> {
        self.request("GET", path, &[], b"")
    }

    fn holder(&self, holder: &Holder) -> Client<'a> {
        Client {
            site: self.site,
            mark: self.mark.clone(),
            id: holder.id.clone(),
            token: Some(holder.token.clone()),
        }
    }
}

impl Client<'_> {
    /// A request with this client's credentials.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let bearer = self.bearer();
        let mut all = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("authorization", bearer));
        }
        self.site.request(method, path, &all, body)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, String> {
        self.request("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.post_text(path, &body.to_string())
    }

    /// JSON as it is written.
    pub(crate) fn post_text(&self, path: &str, body: &str) -> Result<Answer, String> {
        let json = [("content-type", "application/json")];
        self.request("POST", path, &json, body.as_bytes())
    }

    /// The path with this client as the acting one, for bodies that cannot name it.
    pub(crate) fn acting(&self, path: &str) -> String {
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}source={}", percent(&self.id))
    }

    /// Publishes the message as this client's and expects it to be accepted.
    pub(crate) fn publish(&self, message: Value) -> Result<Value, String> {
        let body = self.signed(message);
        self.post("/api/messages", &body)?
            .done()
            .trying(format!("publish {body}"))
    }

    /// As [`Self::publish`]; the cursor of the answer.
    pub(crate) fn publish_at(&self, message: Value) -> Result<String, String> {
        let answer = self.publish(message)?;
        text(&answer, "cursor")
    }

    /// Publishes all of them in one batch; the cursors of the answers.
    pub(crate) fn publish_all(
        &self,
        messages: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<String>, String> {
        let batch: Vec<Value> = messages
            .into_iter()
            .map(|message| self.signed(message))
            .collect();
        let answer = self.post("/api/messages", &json!(batch))?.done()?;
        let results = answer["results"]
            .as_array()
            .ok_or_else(|| format!("no results: {answer}"))?;
        results
            .iter()
            .map(|result| text(result, "cursor"))
            .collect()
    }

    /// The message with this client as its source, and an id by which the check knows it again.
    pub(crate) fn signed(&self, mut message: Value) -> Value {
        if message["source"].is_null() {
            message["source"] = json!(self.id);
        }
        if message["id"].is_null() {
            message["id"] = json!(self.new_id());
        }
        message
    }

    /// An id that nothing else has.
    pub(crate) fn new_id(&self) -> String {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!(
            "conformance.{}.{}",
            self.mark,
            NEXT.fetch_add(1, Ordering::Relaxed)
        )
    }

    pub(crate) fn stream(&self, query: &str) -> Result<Stream, String> {
        self.stream_with(query, &[])
    }

    pub(crate) fn stream_with(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Stream, String> {
        let bearer = self.bearer();
        let mut all = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("authorization", bearer));
        }
        Stream::open_marked(self.site, &self.query(query), &all, &self.mark)
    }

    /// A stream that goes on from the cursor, up to and with its `connect` event; the detail of that.
    pub(crate) fn resume(&self, cursor: &str, query: &str) -> Result<(Stream, Value), String> {
        let mut stream = self.stream_with(query, &[("last-event-id", cursor)])?;
        let connect = stream.system("connect")?;
        Ok((stream, connect))
    }

    /// A stream up to and with its `connect` event; the cursor of that.
    pub(crate) fn listen(&self, query: &str) -> Result<(Stream, String), String> {
        let mut stream = self.stream(query)?;
        let (connect, _) = stream.system_event("connect")?;
        Ok((stream, connect.cursor))
    }

    /// A refusal of a stream, or whatever else the answer is; it must end.
    pub(crate) fn refused_stream(&self, query: &str) -> Result<Answer, String> {
        self.get(&format!("/sse?{}", self.query(query)))
    }

    pub(crate) fn ack(&self, mut request: Value) -> Result<Answer, String> {
        request["clientId"] = json!(self.id);
        self.post("/api/acks", &request)
    }

    /// Acks the cursor and expects it to be applied.
    pub(crate) fn ack_applied(&self, request: Value) -> Claim {
        let what = request.to_string();
        let answer = self.ack(request)?.ok()?;
        if answer["success"] == true && answer["applied"] == true {
            Ok(())
        } else {
            Err(format!("the ack {what} was not applied: {answer}"))
        }
    }

    /// Acks everything that this client's mailbox holds.
    fn settle(&self) -> Claim {
        let topic = format!("conformance/{}/settled", self.mark);
        let cursor = self.publish_at(json!({"topic": topic, "payload": null}))?;
        self.ack_applied(json!({"cursor": cursor}))
    }

    fn query(&self, query: &str) -> String {
        let id = percent(&self.id);
        if query.is_empty() {
            format!("clientId={id}")
        } else {
            format!("clientId={id}&{query}")
        }
    }

    pub(crate) fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }
}

/// A member that must be a text.
pub(crate) fn text(object: &Value, name: &str) -> Result<String, String> {
    object[name]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("`{name}` is no text in {object}"))
}

//! The shared vectors of messages, sent to the hub.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};

const MESSAGES: &str = include_str!("../../vectors/messages.json");

checks! {
    "Refusals" {
        Client bodies_that_the_vectors_refuse_are_refused_with_their_code_and_field,
        Client bodies_that_the_vectors_accept_are_valid_items_of_a_batch,
        Open bodies_that_the_vectors_accept_arrive_as_they_say,
        Client batches_of_the_vectors_are_refused_with_their_code_and_field,
    }
}

fn vectors(list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(MESSAGES).expect("the vectors are JSON");
    vectors[list].as_array().expect("a list").clone()
}

/// Each character stands for the byte of its number.
fn bytes(vector: &Value) -> Vec<u8> {
    let body = vector["body"].as_str().expect("a body");
    body.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("a byte"))
        .collect()
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().unwrap_or_default()
}

fn post(client: &Client<'_>, body: &[u8]) -> Result<crate::answer::Answer, String> {
    client.request(
        "POST",
        "/api/messages",
        &[("content-type", "application/json")],
        body,
    )
}

/// A hub that answers nothing would have every one of them wait.
const FAILURES_MAX: usize = 3;

/// Tries all and tells of the first that failed.
fn each(vectors: &[Value], try_one: impl Fn(&Value) -> Claim) -> Claim {
    let failures: Vec<String> = vectors
        .iter()
        .filter_map(|vector| try_one(vector).trying(name(vector)).err())
        .take(FAILURES_MAX)
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn refused_as_stated(client: &Client<'_>, vector: &Value) -> Claim {
    let answer = post(client, &bytes(vector))?;
    let status = vector["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let code = vector["code"].as_str().expect("a code");
    let problem = answer.refused(status.expect("a status"), code)?;
    same("field", &problem["field"], &vector["field"])
}

fn bodies_that_the_vectors_refuse_are_refused_with_their_code_and_field(cx: &Context<'_>) -> Claim {
    let mut vectors = vectors("messages");
    vectors.retain(|vector| vector["message"].is_null());
    each(&vectors, |vector| refused_as_stated(&cx.alice(), vector))
}

fn batches_of_the_vectors_are_refused_with_their_code_and_field(cx: &Context<'_>) -> Claim {
    let mut vectors = vectors("batches");
    // `POST /api/messages` takes an object too: as a message.
    vectors.retain(|vector| vector["ids"].is_null() && bytes(vector).first() == Some(&b'['));
    each(&vectors, |vector| refused_as_stated(&cx.alice(), vector))
}

/// The batch is refused for its second item, so nobody gets what the vectors address to whole topics and to everyone,
/// and still the hub says what it holds of the first.
fn bodies_that_the_vectors_accept_are_valid_items_of_a_batch(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut vectors = vectors("messages");
    vectors.retain(|vector| vector["message"].is_object());
    each(&vectors, |vector| {
        let body = [
            b"[",
            &bytes(vector)[..],
            b", {\"payload\": 1, \"priority\": 9}]",
        ]
        .concat();
        post(&alice, &body)?.refused_field(400, "invalid_field", "[1].priority")
    })
}

/// Those that go to everyone get a topic of this check instead, put before their first field.
/// A message with ttl 0 arrives nowhere, one that is live only (as progress is) on live streams only, and a command
/// must have an address.
fn bodies_that_the_vectors_accept_arrive_as_they_say(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("vectors");
    let mut vectors = vectors("messages");
    vectors.retain(|vector| {
        let message = &vector["message"];
        let has_own_topic = String::from_utf8_lossy(&bytes(vector)).contains("\"topic\"");
        message.is_object()
            && message["ttl"] != 0
            && message["durable"] != false
            && message["type"] != "command"
            && message["type"] != "progress"
            && message["target"].is_null()
            && message["topic"].is_null()
            && !has_own_topic
    });
    ensure!(vectors.len() > 10, "only {} vectors", vectors.len());
    each(&vectors, |vector| {
        let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
        let rest = String::from_utf8(bytes(vector)).map_err(|_| "not UTF-8")?;
        let rest = rest.trim_start().trim_start_matches('{');
        // A name of its own for each, so that a second run against the same hub meets no duplicates.
        let source = alice.new_id();
        let names = if rest.contains("\"source\"") {
            String::new()
        } else {
            format!("\"source\":\"{source}\",")
        };
        let body = format!("{{{names}\"topic\":\"{topic}\",{rest}");
        post(&alice, body.as_bytes())?.ok()?;
        let (_, mut message) = stream.own()?;
        let mut expected = vector["message"].clone();
        expected["topic"] = json!(topic);
        if expected["source"] == "anonymous" {
            message["source"] = json!("anonymous");
        }
        if expected["id"] == "made" {
            message["id"] = json!("made");
        }
        if expected["timestamp"] == 1_700_000_000_000_u64 {
            message["timestamp"] = expected["timestamp"].clone();
        }
        same("the message", message, expected)
    })
}

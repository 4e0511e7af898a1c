//! What is too large, too many or too slow.

use std::io::Write as _;

use serde_json::json;

use crate::answer::Answer;
use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::percent;

const MESSAGE_BYTES_MAX: usize = 1 << 20;
const BODY_BYTES_MAX: usize = 1 << 20;

checks! {
    "Limits" {
        Client a_message_of_1_mib_arrives_and_one_byte_more_is_413,
        Client a_body_of_more_than_1_mib_is_413_with_a_length_and_in_chunks,
        Client an_item_that_is_too_large_is_named,
        Client a_head_of_more_than_16_kib_or_100_headers_is_431,
        Client names_have_at_most_256_bytes,
        Client a_stream_has_at_most_256_topics,
        Client json_nests_at_most_64_levels,
        Client heads_and_bodies_that_do_not_come_are_408,
    }
}

fn a_message_of_1_mib_arrives_and_one_byte_more_is_413(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let (first, second) = (alice.new_id(), alice.new_id());
    let encoded = |id: &str, filler: usize| {
        format!(
            r#"{{"id":"{id}","type":"json","priority":1,"timestamp":1,"source":"{0}","target":"{0}","payload":"{1}"}}"#,
            alice.id,
            "x".repeat(filler)
        )
    };
    // The hub fills in the type and the priority, so the body is smaller than what it makes of it.
    let body =
        |id: &str, filler: usize| encoded(id, filler).replace(r#""type":"json","priority":1,"#, "");
    let fits = MESSAGE_BYTES_MAX - encoded(&first, 0).len();
    alice
        .post_text("/api/messages", &body(&first, fits))?
        .ok()?;
    let (event, _) = stream.own()?;
    same("bytes of the data", event.data.len(), MESSAGE_BYTES_MAX)?;
    let over = MESSAGE_BYTES_MAX - encoded(&second, 0).len() + 1;
    let answer = alice.post_text("/api/messages", &body(&second, over))?;
    answer.refused(413, "message_too_large").map(drop)
}

fn a_body_of_more_than_1_mib_is_413_with_a_length_and_in_chunks(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let long = vec![b' '; BODY_BYTES_MAX + 1];
    for path in [
        "/api/messages",
        "/api/topics/x",
        "/api/direct/x",
        "/api/broadcast",
        "/api/commands",
        "/api/acks",
    ] {
        let answer = alice.request("POST", path, &[], &long)?;
        answer.refused(413, "message_too_large").trying(path)?;
    }
    let bearer = alice.bearer();
    let mut headers = vec![("transfer-encoding", "chunked")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    let mut request = cx
        .site
        .head("POST", "/api/messages", &headers, None)
        .into_bytes();
    for piece in long.chunks(64 * 1024) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = Answer::exchange(cx.site.connect()?, &request)?;
    answer
        .refused(413, "message_too_large")
        .trying("in chunks")
        .map(drop)
}

/// The body fits. The hub adds an id, a type, a priority, a timestamp and a source to the second item, which is more
/// than the first takes.
fn an_item_that_is_too_large_is_named(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("x");
    let batch = |filler: usize| {
        json!([{"topic": topic, "payload": 1}, {"topic": topic, "payload": "x".repeat(filler)}])
            .to_string()
    };
    let body = batch(BODY_BYTES_MAX - batch(0).len());
    same("bytes of the body", body.len(), BODY_BYTES_MAX)?;
    alice
        .post_text("/api/messages", &body)?
        .refused_field(413, "message_too_large", "[1]")
}

fn a_head_of_more_than_16_kib_or_100_headers_is_431(cx: &Context<'_>) -> Claim {
    let long = "x".repeat(17 * 1024);
    cx.request("GET", "/health", &[("x-long", &long)], b"")?
        .refused(431, "head_too_large")?;
    cx.get(&format!("/health?{long}"))?
        .refused(431, "head_too_large")
        .trying("a long query")?;
    let topics = "a,".repeat(9 * 1024);
    cx.get(&format!("/sse?clientId=x&topics={topics}"))?
        .refused(431, "head_too_large")
        .trying("many topics")?;
    let names: Vec<String> = (0..101).map(|n| format!("x-{n}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    cx.request("GET", "/health", &headers, b"")?
        .refused(431, "head_too_large")
        .trying("101 headers")?;
    cx.request("GET", "/health", &headers[..90], b"")?
        .ok()
        .trying("some 90 headers")?;
    let below = "x".repeat(15 * 1024);
    cx.request("GET", "/health", &[("x-long", &below)], b"")?
        .ok()
        .trying("15 KiB")
        .map(drop)
}

fn names_have_at_most_256_bytes(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let padded = |name: String, bytes: usize| format!("{name}{}", "x".repeat(bytes - name.len()));
    alice.publish(json!({"id": padded(alice.new_id(), 256), "topic": padded(cx.topic(""), 256), "payload": 1}))?;
    for (field, name) in [
        ("id", alice.new_id()),
        ("topic", cx.topic("")),
        ("target", cx.name("")),
        ("source", cx.name("")),
        ("excludeClientId", cx.name("")),
    ] {
        let mut message = json!({"payload": 1});
        message[field] = json!(padded(name, 257));
        let answer = alice.post("/api/messages", &message)?;
        answer
            .refused_field(400, "invalid_field", field)
            .trying(field)?;
    }
    let pattern = percent(&padded(cx.topic(""), 257));
    let answer = alice.refused_stream(&format!("topics={pattern}"))?;
    answer.refused_field(400, "invalid_field", "topics")
}

fn a_stream_has_at_most_256_topics(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = |count: usize| -> String {
        let topics: Vec<String> = (0..count).map(|n| cx.topic(&n.to_string())).collect();
        format!("topics={}", topics.join(","))
    };
    let mut stream = alice.stream(&topics(256))?;
    let connect = stream.system("connect")?;
    same(
        "the number of topics",
        connect["topics"].as_array().map(Vec::len),
        Some(256),
    )?;
    alice.publish(json!({"topic": cx.topic("255"), "payload": 1}))?;
    stream.expect(1)?;
    let answer = alice.refused_stream(&topics(257))?;
    answer.refused_field(400, "invalid_field", "topics")
}

fn json_nests_at_most_64_levels(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let body = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"id":"{}","source":"{1}","target":"{1}","payload":{open}{close}}}"#,
            alice.new_id(),
            alice.id
        )
    };
    alice.post_text("/api/messages", &body(63))?.ok()?;
    stream.own()?;
    for levels in [64, 1_000, 100_000] {
        let answer = alice.post_text("/api/messages", &body(levels))?;
        answer
            .refused_field(400, "invalid_json", "payload")
            .trying(levels)?;
    }
    Ok(())
}

/// All at once, since each waits as long as the hub does (by default 10 s and 30 s).
fn heads_and_bodies_that_do_not_come_are_408(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let bearer = alice.bearer();
    let mut headers = vec![("content-type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    let body = cx.site.head("POST", "/api/messages", &headers, Some(100));
    let mut waiting = Vec::new();
    for (request, code) in [
        ("GET /health HT".to_owned(), "head_timeout"),
        (
            "GET /health HTTP/1.1\r\nhost: x\r\nx-never:".to_owned(),
            "head_timeout",
        ),
        (body.clone(), "body_timeout"),
        (format!("{body}{{\"payload\":"), "body_timeout"),
    ] {
        let mut socket = cx.site.connect()?;
        socket
            .write_all(request.as_bytes())
            .map_err(|error| error.to_string())?;
        waiting.push((socket, request, code));
    }
    for (mut socket, request, code) in waiting {
        let answer = Answer::read(&mut socket).trying(format!("{request:?}"))?;
        answer.refused(408, code).trying(format!("{request:?}"))?;
    }
    ensure!(
        cx.get("/health")?.status == 200,
        "the hub is not well afterwards"
    );
    Ok(())
}

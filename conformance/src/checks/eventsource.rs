//! What a browser's own EventSource meets.

use serde_json::json;

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;

/// As a browser asks.
const BROWSER: [(&str, &str); 4] = [
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
];

checks! {
    "Native EventSource" {
        Client a_browser_gets_an_event_stream_that_is_not_compressed,
        Client a_browser_comes_back_with_the_last_id_and_gets_what_it_missed,
        Client refusals_that_are_not_temporary_are_plain_with_and_without_v,
    }
}

fn a_browser_gets_an_event_stream_that_is_not_compressed(cx: &Context<'_>) -> Claim {
    let mut stream = cx.alice().stream_with("", &BROWSER)?;
    ensure!(
        stream.header("content-encoding").is_none(),
        "the stream has a content-encoding"
    );
    stream.system("connect").map(drop)
}

/// A browser sends the last `id:` that it saw, also that of `connect`, and `retry:` is its waiting time.
fn a_browser_comes_back_with_the_last_id_and_gets_what_it_missed(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("browser");
    let query = format!("topics={topic}");
    let mut stream = alice.stream_with(&query, &BROWSER)?;
    let mut last = stream.system_event("connect")?.0.cursor;
    ensure!(stream.retry_ms().is_some(), "no retry came");
    stream.close();
    for n in 0..3 {
        alice.publish(json!({"topic": topic, "payload": n}))?;
        let headers = [&BROWSER[..], &[("last-event-id", last.as_str())]].concat();
        let mut stream = alice.stream_with(&query, &headers)?;
        same("resumed", &stream.system("connect")?["resumed"], true)?;
        let event = stream.expect(n).trying(format!("round {n}"))?;
        ensure!(event.has_id(), "round {n}: the event has no id");
        last = event.cursor;
    }
    Ok(())
}

fn refusals_that_are_not_temporary_are_plain_with_and_without_v(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for v in ["", "&v=1"] {
        let answer = alice.refused_stream(&format!("since=nonsense{v}"))?;
        answer
            .refused_field(400, "invalid_field", "since")
            .trying(v)?;
    }
    Ok(())
}

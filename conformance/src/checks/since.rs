//! Where a stream starts that brings no cursor.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};

checks! {
    "Where a stream starts" {
        Client without_since_and_with_since_now_topics_begin_now,
        Client since_earliest_begins_with_the_oldest_that_is_kept,
        Client since_last_n_begins_with_the_newest_n_of_all_topics_together,
        Client since_a_time_begins_with_the_first_message_of_that_time_or_later,
        Client since_a_time_in_the_future_begins_now,
        Client since_moves_topics_and_never_the_mailbox,
        Clients since_moves_broadcasts_too,
    }
}

/// What comes on a new stream up to a message to the client itself, which is sent before it opens.
fn until_end(client: &Client<'_>, query: &str) -> Result<Vec<Value>, String> {
    let end = client.new_id();
    client.publish(json!({"target": client.id, "payload": end}))?;
    let mut stream = client.stream(query)?;
    let mut payloads = Vec::new();
    loop {
        let (_, message) = stream.own()?;
        if message["payload"] == end {
            return Ok(payloads);
        }
        // Ends of earlier streams lie in the mailbox as well.
        if message["target"].is_null() {
            payloads.push(message["payload"].clone());
        }
    }
}

fn six(cx: &Context<'_>, client: &Client<'_>) -> Result<String, String> {
    let topics = [cx.topic("even"), cx.topic("odd")];
    client.publish_all((0..6).map(|n| json!({"topic": topics[n % 2], "payload": n})))?;
    Ok(format!("topics={}", topics.join(",")))
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn without_since_and_with_since_now_topics_begin_now(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = six(cx, &alice)?;
    for since in ["", "&since=now"] {
        let mut stream = alice.stream(&format!("{topics}{since}"))?;
        alice.publish(json!({"topic": cx.topic("odd"), "payload": since}))?;
        stream.expect(since)?;
    }
    Ok(())
}

fn since_earliest_begins_with_the_oldest_that_is_kept(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = six(cx, &alice)?;
    same(
        "what comes",
        until_end(&alice, &format!("{topics}&since=earliest"))?,
        numbers(0..6),
    )
}

/// Broadcasts of others count among the N, so this tries again, with ours the newest, when there were some.
fn since_last_n_begins_with_the_newest_n_of_all_topics_together(cx: &Context<'_>) -> Claim {
    const ATTEMPTS: usize = 50;
    let alice = cx.alice();
    for (n, expected) in [(0, 6..6), (1, 5..6), (3, 3..6)] {
        let mut found = Vec::new();
        for _ in 0..ATTEMPTS {
            let topics = six(cx, &alice)?;
            found = until_end(&alice, &format!("{topics}&since=last:{n}"))?;
            let is_newest =
                found.len() <= n && found.iter().rev().zip((0..6).rev()).all(|(a, b)| *a == b);
            ensure!(is_newest, "last:{n} gives {found:?}");
            if found.len() == n {
                break;
            }
        }
        same(&format!("last:{n}"), found, numbers(expected))?;
    }
    Ok(())
}

fn since_a_time_begins_with_the_first_message_of_that_time_or_later(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("time");
    let (mut watch, _) = alice.listen(&format!("topics={topic}"))?;
    // The hub fills in its time, and it takes what it has answered before the next request.
    let mut publish = |payload: &str| -> Result<u64, String> {
        alice.publish(json!({"topic": topic, "payload": payload}))?;
        let (_, message) = watch.own()?;
        message["timestamp"]
            .as_u64()
            .ok_or_else(|| format!("no timestamp: {message}"))
    };
    publish("too early")?;
    let after = publish("soon")?;
    let mut time = after;
    while time <= after {
        time = publish("soon")?;
    }
    publish("last")?;
    let found = until_end(&alice, &format!("topics={topic}&since={time}"))?;
    // The one before may have been taken at that time though it was dated earlier, no older one can.
    let at_most = ["soon", "soon", "last"].map(|payload| json!(payload));
    ensure!(
        found == at_most || found == at_most[1..],
        "what comes is {found:?}"
    );
    Ok(())
}

fn since_a_time_in_the_future_begins_now(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = six(cx, &alice)?;
    let mut stream = alice.stream(&format!("{topics}&since=9007199254740991"))?;
    alice.publish(json!({"topic": cx.topic("odd"), "payload": "now"}))?;
    stream.expect("now").map(drop)
}

fn since_moves_topics_and_never_the_mailbox(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = six(cx, &alice)?;
    alice.publish(json!({"target": alice.id, "payload": "waits"}))?;
    for since in ["now", "last:0", "9007199254740991"] {
        let mut stream = alice.stream(&format!("{topics}&since={since}"))?;
        stream.expect("waits").trying(since)?;
    }
    let mut stream = alice.stream(&format!("{topics}&since=earliest"))?;
    let found = stream.payloads(7)?;
    ensure!(
        found.contains(&json!("waits")),
        "the mailbox is missing: {found:?}"
    );
    Ok(())
}

fn since_moves_broadcasts_too(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    bob.publish(json!({"payload": "to all"}))?;
    same(
        "since=now",
        until_end(&alice, "since=now")?,
        Vec::<Value>::new(),
    )?;
    same(
        "since=earliest",
        until_end(&alice, "since=earliest")?,
        vec![json!("to all")],
    )
}

//! The form of every cursor that the hub writes.

use serde_json::json;

use crate::check::{Claim, checks, ensure, same};
use crate::context::{Context, text};
use crate::grammar::Parts;

checks! {
    "Cursors" {
        Client every_cursor_on_a_stream_has_the_form_of_the_grammar_and_moves_on,
        Client an_epoch_is_16_hexadecimal_digits_and_the_same_everywhere,
        Client where_mailbox_and_topics_start_apart_the_cursor_says_both_places,
    }
}

fn every_cursor_on_a_stream_has_the_form_of_the_grammar_and_moves_on(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("form");
    alice.publish_all((0..20).map(|n| json!({"target": alice.id, "payload": n})))?;
    let (mut stream, start) = alice.listen(&format!("topics={topic}"))?;
    alice.publish_all((20..40).map(|n| json!({"topic": topic, "payload": n})))?;
    let mut before = Parts::parse(&start).ok_or_else(|| format!("`{start}` is no cursor"))?;
    for _ in 0..40 {
        let (event, _) = stream.own()?;
        let parts = Parts::parse(&event.cursor);
        let parts = parts.ok_or_else(|| format!("`{}` is no cursor", event.cursor))?;
        ensure!(
            parts.mailbox >= before.mailbox && parts.shared >= before.shared && parts != before,
            "the cursor moved from {before:?} to {parts:?}"
        );
        before = parts;
    }
    Ok(())
}

fn an_epoch_is_16_hexadecimal_digits_and_the_same_everywhere(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, start) = alice.listen("")?;
    let answer = alice.publish_at(json!({"target": alice.id, "payload": 1}))?;
    let event = stream.own()?.0.cursor;
    let acked = alice.ack(json!({"cursor": event, "from": start}))?.ok()?;
    let epoch = |cursor: &str| Parts::parse(cursor).map(|parts| parts.epoch);
    let found = epoch(&start).unwrap_or_default();
    ensure!(
        found.len() == 16
            && found
                .bytes()
                .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()),
        "the epoch is `{found}`"
    );
    for cursor in [answer, event, text(&acked, "cursor")?] {
        same(
            &format!("epoch of {cursor}"),
            epoch(&cursor),
            Some(found.clone()),
        )?;
    }
    Ok(())
}

fn where_mailbox_and_topics_start_apart_the_cursor_says_both_places(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = alice.publish_all((0..3).map(|n| json!({"target": alice.id, "payload": n})))?;
    let (mut stream, start) = alice.listen("")?;
    let parts = Parts::parse(&start).ok_or_else(|| format!("`{start}` is no cursor"))?;
    let last = Parts::parse(&cursors[2]).ok_or("no cursor")?;
    ensure!(
        parts.mailbox < last.mailbox && parts.shared >= last.shared,
        "unread is {}, and the stream starts at {start}",
        cursors[0]
    );
    for cursor in &cursors {
        let read = Parts::parse(&stream.own()?.0.cursor).ok_or("no cursor")?;
        let position = Parts::parse(cursor).ok_or("no cursor")?.mailbox;
        same("the mailbox part", read.mailbox, position)?;
        same("the shared part", read.shared, parts.shared.max(position))?;
    }
    Ok(())
}

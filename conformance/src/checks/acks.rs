//! `POST /api/acks`.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context, text};
use crate::grammar::{Parts, percent};

checks! {
    "Acks" {
        Open an_ack_answers_whether_it_was_applied_and_the_stored_cursor,
        Open a_client_without_a_stored_cursor_stands_at_the_beginning,
        Open an_ack_whose_reading_began_behind_the_stored_cursor_is_not_applied,
        Open an_ack_applies_where_nothing_lies_between_the_stored_cursor_and_its_beginning,
        Open by_default_the_reading_began_at_the_stored_cursor,
        Client a_cursor_that_is_not_ahead_changes_nothing_and_is_applied,
        Client acks_are_idempotent_and_may_come_in_any_order,
        Client an_unknown_epoch_or_a_position_beyond_the_end_is_not_applied,
        Client positions_ahead_that_lie_beyond_the_end_are_dropped,
        Client a_malformed_cursor_or_from_is_refused_by_name,
        Client an_ack_without_cursor_is_refused,
        Open the_client_is_named_in_the_body_or_the_query_else_it_is_anonymous,
        Open only_the_mailbox_part_of_a_cursor_counts,
        Open positions_ahead_are_stored_united_and_skipped_later,
        Open of_the_positions_ahead_the_64_lowest_are_kept,
        Client an_ack_covers_the_mailbox_and_not_topics,
        Client acks_never_shorten_what_another_connection_resumes_by_its_own_cursor,
        Open one_client_s_ack_moves_no_other_client,
    }
}

/// Messages to the client itself; their cursors.
fn mailbox(client: &Client<'_>, count: usize) -> Result<Vec<String>, String> {
    client.publish_all((0..count).map(|n| json!({"target": client.id, "payload": n})))
}

fn numbers(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn applied(answer: &Answer, expected: bool) -> Result<Value, String> {
    let answer = answer.ok()?;
    same("success", &answer["success"], true)?;
    same("applied", &answer["applied"], expected)?;
    Ok(answer)
}

/// What comes to a later connection without a cursor, before a message that is sent now.
fn unread(client: &Client<'_>) -> Result<Vec<Value>, String> {
    let end = client.new_id();
    client.publish(json!({"target": client.id, "payload": end}))?;
    let mut stream = client.stream("")?;
    let mut payloads = Vec::new();
    loop {
        let (_, message) = stream.own()?;
        if message["payload"] == end {
            return Ok(payloads);
        }
        // Ends of earlier looks are texts.
        if message["payload"].is_u64() {
            payloads.push(message["payload"].clone());
        }
    }
}

fn parts(cursor: &str) -> Result<Parts, String> {
    Parts::parse(cursor).ok_or_else(|| format!("`{cursor}` is no cursor"))
}

fn an_ack_answers_whether_it_was_applied_and_the_stored_cursor(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 4)?;
    let answer = applied(&alice.ack(json!({"cursor": cursors[1]}))?, true)?;
    let stored = parts(&text(&answer, "cursor")?)?;
    same(
        "the stored mailbox position",
        stored.mailbox,
        parts(&cursors[1])?.mailbox,
    )?;
    same("what comes later", unread(&alice)?, numbers(2..4))
}

fn a_client_without_a_stored_cursor_stands_at_the_beginning(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 3)?;
    let answer = applied(
        &alice.ack(json!({"cursor": cursors[2], "from": cursors[0]}))?,
        false,
    )?;
    ensure!(
        answer.get("cursor").is_none(),
        "a cursor is stored: {answer}"
    );
    same("what comes later", unread(&alice)?, numbers(0..3))?;
    let (_, start) = alice.listen("")?;
    applied(
        &alice.ack(json!({"cursor": cursors[0], "from": start}))?,
        true,
    )?;
    same("what comes later", unread(&alice)?, numbers(1..3))
}

fn an_ack_whose_reading_began_behind_the_stored_cursor_is_not_applied(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 5)?;
    applied(&alice.ack(json!({"cursor": cursors[1]}))?, true)?;
    let answer = applied(
        &alice.ack(json!({"cursor": cursors[4], "from": cursors[2]}))?,
        false,
    )?;
    same(
        "the stored mailbox position",
        parts(&text(&answer, "cursor")?)?.mailbox,
        parts(&cursors[1])?.mailbox,
    )?;
    same("what comes later", unread(&alice)?, numbers(2..5))?;
    applied(
        &alice.ack(json!({"cursor": cursors[4], "from": cursors[1]}))?,
        true,
    )
    .trying("from the stored cursor")?;
    same("what comes at last", unread(&alice)?, numbers(0..0))
}

fn an_ack_applies_where_nothing_lies_between_the_stored_cursor_and_its_beginning(
    cx: &Context<'_>,
) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    // Before she ever acked, and after.
    for n in 0..2 {
        let elsewhere = mailbox(&bob, 1)?;
        let cursors = alice.publish_all([json!({"target": alice.id, "payload": n})])?;
        let answer = alice.ack(json!({"cursor": cursors[0], "from": elsewhere[0]}))?;
        applied(&answer, true).trying(&elsewhere[0])?;
    }
    same("what comes later", unread(&alice)?, numbers(0..0))
}

fn by_default_the_reading_began_at_the_stored_cursor(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 3)?;
    for (n, cursor) in cursors.iter().enumerate() {
        applied(&alice.ack(json!({"cursor": cursor, "from": null}))?, true)?;
        same("what comes later", unread(&alice)?, numbers(n + 1..3))?;
    }
    Ok(())
}

fn a_cursor_that_is_not_ahead_changes_nothing_and_is_applied(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 4)?;
    let first = applied(&alice.ack(json!({"cursor": cursors[2]}))?, true)?;
    for cursor in [&cursors[0], &cursors[2]] {
        let answer = applied(&alice.ack(json!({"cursor": cursor}))?, true)?;
        same("the stored cursor", &answer["cursor"], &first["cursor"])?;
    }
    same("what comes later", unread(&alice)?, numbers(3..4))
}

fn acks_are_idempotent_and_may_come_in_any_order(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut stream = alice.stream("")?;
    let start = stream.system_event("connect")?.0.cursor;
    let cursors = mailbox(&alice, 6)?;
    for n in [3, 1, 3, 0, 4, 2, 4] {
        applied(
            &alice.ack(json!({"cursor": cursors[n], "from": start}))?,
            true,
        )
        .trying(n)?;
    }
    same("what comes later", unread(&alice)?, numbers(5..6))
}

fn an_unknown_epoch_or_a_position_beyond_the_end_is_not_applied(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 2)?;
    let epoch = parts(&cursors[0])?.epoch;
    let beyond = format!("{epoch}-{}", u64::MAX - 1);
    let before = alice.ack(json!({"cursor": "0123456789abcdef-7"}))?;
    let before = applied(&before, false).trying("an unknown epoch")?;
    let answer = applied(&alice.ack(json!({"cursor": beyond}))?, false).trying(&beyond)?;
    same("the stored cursor", &answer["cursor"], &before["cursor"])?;
    for from in ["0123456789abcdef-7", &beyond] {
        let answer = applied(
            &alice.ack(json!({"cursor": cursors[1], "from": from}))?,
            false,
        );
        answer.trying(format!("from {from}"))?;
    }
    same("what comes later", unread(&alice)?, numbers(0..2))
}

/// Kept, they would hide messages that do not exist yet.
fn positions_ahead_that_lie_beyond_the_end_are_dropped(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 2)?;
    let last = parts(&cursors[1])?.mailbox;
    let ahead: String = (1..=64)
        .map(|n| format!("+{}", last + 1_000_000 + n))
        .collect();
    let answer = applied(
        &alice.ack(json!({"cursor": format!("{}{ahead}", cursors[0])}))?,
        true,
    )?;
    let stored = parts(&text(&answer, "cursor")?)?;
    same(
        "the stored positions ahead",
        stored.ahead,
        Vec::<u64>::new(),
    )?;
    same("what comes later", unread(&alice)?, numbers(1..2))
}

fn a_malformed_cursor_or_from_is_refused_by_name(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let good = mailbox(&alice, 1)?.remove(0);
    for bad in [
        "", "nonsense", "a-", "a-01", "a-5.5", "a-5+5", "a-5\n", "-5",
    ] {
        let answer = alice.ack(json!({"cursor": bad}))?;
        answer
            .refused_field(400, "invalid_cursor", "cursor")
            .trying(format!("cursor {bad:?}"))?;
        let answer = alice.ack(json!({"cursor": good, "from": bad}))?;
        answer
            .refused_field(400, "invalid_cursor", "from")
            .trying(format!("from {bad:?}"))?;
    }
    same("what comes later", unread(&alice)?, numbers(0..1))
}

fn an_ack_without_cursor_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for request in [
        json!({}),
        json!({"cursor": null}),
        json!({"cursor": 5}),
        json!({"cursor": ["a-1"]}),
    ] {
        let answer = alice.ack(request.clone())?;
        answer
            .refused_field(400, "invalid_field", "cursor")
            .trying(request)?;
    }
    Ok(())
}

fn the_client_is_named_in_the_body_or_the_query_else_it_is_anonymous(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let cursors = mailbox(&alice, 3)?;
    let path = format!("/api/acks?clientId={}", percent(&alice.id));
    applied(&alice.post(&path, &json!({"cursor": cursors[0]}))?, true)?;
    same("what comes later", unread(&alice)?, numbers(1..3))?;
    let path = format!("/api/acks?clientId={}", percent(&bob.id));
    applied(
        &alice.post(&path, &json!({"cursor": cursors[1], "clientId": alice.id}))?,
        true,
    )?;
    same("what comes later", unread(&alice)?, numbers(2..3))?;
    // It is somebody's, but nobody's of this check.
    alice
        .post("/api/acks", &json!({"cursor": "0123456789abcdef-1"}))?
        .ok()?;
    same("what comes at last", unread(&alice)?, numbers(2..3))?;
    let answer = alice.post(
        "/api/acks",
        &json!({"cursor": cursors[0], "clientId": "$hub"}),
    )?;
    answer.refused_field(400, "invalid_field", "clientId")
}

fn only_the_mailbox_part_of_a_cursor_counts(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 4)?;
    let at = |n: usize| Ok::<_, String>(parts(&cursors[n])?.mailbox);
    let epoch = parts(&cursors[0])?.epoch;
    let low_mailbox = format!("{epoch}-{}.{}", at(0)?, at(3)?);
    applied(&alice.ack(json!({"cursor": low_mailbox}))?, true)?;
    same(
        "what comes after a low mailbox part",
        unread(&alice)?,
        numbers(1..4),
    )?;
    let high_mailbox = format!("{epoch}-{}.{}", at(2)?, at(0)?);
    applied(&alice.ack(json!({"cursor": high_mailbox}))?, true)?;
    same(
        "what comes after a high mailbox part",
        unread(&alice)?,
        numbers(3..4),
    )
}

fn positions_ahead_are_stored_united_and_skipped_later(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 6)?;
    let at = |n: usize| Ok::<_, String>(parts(&cursors[n])?.mailbox);
    applied(
        &alice.ack(json!({"cursor": format!("{}+{}", cursors[0], at(2)?)}))?,
        true,
    )?;
    same(
        "what comes past one ahead",
        unread(&alice)?,
        vec![json!(1), json!(3), json!(4), json!(5)],
    )?;
    applied(
        &alice.ack(json!({"cursor": format!("{}+{}", cursors[0], at(4)?)}))?,
        true,
    )?;
    same(
        "what comes past both",
        unread(&alice)?,
        vec![json!(1), json!(3), json!(5)],
    )?;
    applied(&alice.ack(json!({"cursor": cursors[1]}))?, true)?;
    same(
        "what comes past a larger position",
        unread(&alice)?,
        vec![json!(3), json!(5)],
    )?;
    applied(&alice.ack(json!({"cursor": cursors[5]}))?, true)?;
    same("what comes at last", unread(&alice)?, numbers(0..0))
}

fn of_the_positions_ahead_the_64_lowest_are_kept(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = mailbox(&alice, 80)?;
    let ahead = |range: std::ops::Range<usize>| -> Result<String, String> {
        let positions = cursors[range]
            .iter()
            .map(|cursor| Ok(format!("+{}", parts(cursor)?.mailbox)));
        positions.collect()
    };
    // 10 to 69 and 70 to 79: 70 in all, of which the highest 6 are not kept.
    for range in [10..70, 70..80] {
        let answer = alice.ack(json!({"cursor": format!("{}{}", cursors[0], ahead(range)?)}))?;
        let answer = applied(&answer, true)?;
        ensure!(
            parts(&text(&answer, "cursor")?)?.ahead.len() <= 64,
            "more than 64 are ahead: {answer}"
        );
    }
    same(
        "what comes later",
        unread(&alice)?,
        [numbers(1..10), numbers(74..80)].concat(),
    )
}

fn an_ack_covers_the_mailbox_and_not_topics(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("acked");
    let (mut stream, start) = alice.listen(&format!("topics={topic}"))?;
    alice.publish_all([
        json!({"topic": topic, "payload": 0}),
        json!({"target": alice.id, "payload": 1}),
        json!({"topic": topic, "payload": 2}),
    ])?;
    let mut last = String::new();
    for n in 0..3 {
        last = stream.expect(n)?.cursor;
    }
    alice.ack_applied(json!({"cursor": last, "from": start}))?;
    let mut again = alice.stream(&format!("topics={topic}&since=earliest"))?;
    again.expect(0)?;
    again.expect(2).map(drop)
}

fn acks_never_shorten_what_another_connection_resumes_by_its_own_cursor(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (_, start) = alice.listen("")?;
    let cursors = mailbox(&alice, 4)?;
    alice.ack_applied(json!({"cursor": cursors[3], "from": start}))?;
    let (mut stream, connect) = alice.resume(&cursors[0], "")?;
    same("resumed", &connect["resumed"], true)?;
    same("what comes", stream.payloads(3)?, numbers(1..4))
}

fn one_client_s_ack_moves_no_other_client(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let first = alice.publish_at(json!({"target": bob.id, "payload": 0}))?;
    applied(&alice.ack(json!({"cursor": first}))?, true)?;
    bob.stream("")?.expect(0).map(drop)
}

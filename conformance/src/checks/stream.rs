//! How a stream begins, what it is asked for, and how it lives and ends.

use std::io::Write as _;
use std::net::Shutdown;

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::{Parts, percent};

checks! {
    "Push: GET /sse" {
        Client the_head_says_event_stream_and_forbids_caches_and_buffers,
        Client the_body_begins_with_retry_and_then_the_connect_event,
        Client connect_tells_who_listens_from_where_to_what_and_within_which_bounds,
        Client the_connect_event_is_a_whole_message_of_the_hub,
        Client every_connection_has_an_id_of_its_own,
        Open a_stream_must_name_a_client,
        Open a_client_id_that_breaks_its_rule_is_refused,
        Client a_parameter_given_twice_is_refused,
        Client a_parameter_with_an_empty_value_counts_as_absent,
        Client parameters_that_break_their_rule_are_refused_by_name,
        Client unknown_parameters_are_ignored,
        Client heartbeats_come_as_wished_with_the_time_of_the_hub,
        Client a_heartbeat_moves_the_cursor_of_a_quiet_client_on,
        Client a_client_that_closes_its_sending_half_is_gone,
        Client a_client_that_sends_more_than_64_kib_on_its_stream_is_closed,
    }
}

fn the_head_says_event_stream_and_forbids_caches_and_buffers(cx: &Context<'_>) -> Claim {
    let stream = cx.alice().stream("")?;
    let header = |name: &str| stream.header(name).unwrap_or_default().to_ascii_lowercase();
    let media = header("content-type");
    same(
        "content-type",
        media.split(';').next(),
        Some("text/event-stream"),
    )?;
    let cache = header("cache-control");
    for directive in ["no-cache", "no-transform"] {
        ensure!(cache.contains(directive), "cache-control is `{cache}`");
    }
    same(
        "x-accel-buffering",
        header("x-accel-buffering").as_str(),
        "no",
    )?;
    for name in ["content-length", "transfer-encoding", "content-encoding"] {
        ensure!(stream.header(name).is_none(), "the head has {name}");
    }
    ensure!(
        header("vary").contains("origin"),
        "vary is `{}`",
        header("vary")
    );
    Ok(())
}

fn the_body_begins_with_retry_and_then_the_connect_event(cx: &Context<'_>) -> Claim {
    let mut stream = cx.alice().stream("")?;
    let first = stream.first_block()?;
    let line = first.lines().next().unwrap_or_default();
    let ms = line.strip_prefix("retry:").map(str::trim);
    ensure!(
        ms.is_some_and(|ms| !ms.is_empty() && ms.bytes().all(|b| b.is_ascii_digit())),
        "the body begins with {first:?}"
    );
    if !first.contains("connect") {
        stream.system("connect")?;
    }
    same(
        "retry",
        stream.retry_ms(),
        ms.and_then(|ms| ms.parse().ok()),
    )
}

fn connect_tells_who_listens_from_where_to_what_and_within_which_bounds(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = [cx.topic("a"), cx.topic("b/#")];
    let query = format!(
        "topics={}&topics={}&heartbeat=300000",
        topics[0],
        percent(&topics[1])
    );
    let (event, detail) = alice.stream(&query)?.system_event("connect")?;
    same("clientId", &detail["clientId"], &alice.id)?;
    ensure!(
        detail["connectionId"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "connectionId is missing: {detail}"
    );
    same("cursor", &detail["cursor"], &event.cursor)?;
    ensure!(
        Parts::parse(&event.cursor).is_some(),
        "`{}` is no cursor",
        event.cursor
    );
    same("resumed", &detail["resumed"], false)?;
    same("topics", &detail["topics"], &json!(topics))?;
    same("heartbeatInterval", &detail["heartbeatInterval"], 300_000)?;
    same("maxEventBytes", &detail["maxEventBytes"], 1_052_672)?;
    for name in ["ms", "ids"] {
        let bound = &detail["idempotencyWindow"][name];
        ensure!(
            bound.as_u64().is_some_and(|bound| bound > 0),
            "idempotencyWindow.{name} is {bound}"
        );
    }
    Ok(())
}

fn the_connect_event_is_a_whole_message_of_the_hub(cx: &Context<'_>) -> Claim {
    let (event, _) = cx.alice().stream("")?.system_event("connect")?;
    let message = event.message()?;
    same("source", &message["source"], "$hub")?;
    same("type", &message["type"], "system")?;
    ensure!(
        message["id"].as_str().is_some_and(|id| !id.is_empty()),
        "no id: {message}"
    );
    ensure!(
        message["timestamp"].is_u64() && message["priority"].is_u64(),
        "fields are missing: {message}"
    );
    Ok(())
}

fn every_connection_has_an_id_of_its_own(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let first = alice.stream("")?.system("connect")?;
    let second = alice.stream("")?.system("connect")?;
    ensure!(
        first["connectionId"] != second["connectionId"],
        "both are {}",
        first["connectionId"]
    );
    Ok(())
}

fn a_stream_must_name_a_client(cx: &Context<'_>) -> Claim {
    for path in ["/sse", "/sse?", "/sse?clientId", "/sse?clientId=&topics=a"] {
        cx.get(path)?
            .refused_field(400, "invalid_field", "clientId")
            .trying(path)?;
    }
    Ok(())
}

fn a_client_id_that_breaks_its_rule_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for id in [
        "$hub",
        "a\nb",
        "a\0",
        "\u{7f}",
        &"x".repeat(257),
        &"ü".repeat(129),
    ] {
        let answer = alice.get(&format!("/sse?clientId={}", percent(id)))?;
        answer
            .refused_field(400, "invalid_field", "clientId")
            .trying(format!("{id:?}"))?;
    }
    let answer = alice.get("/sse?clientId=%FF")?;
    answer
        .refused_field(400, "invalid_field", "clientId")
        .trying("no UTF-8")
}

fn a_parameter_given_twice_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let id = percent(&alice.id);
    for (query, name) in [
        (format!("clientId={id}&clientId={id}"), "clientId"),
        (format!("clientId={id}&since=now&since=now"), "since"),
        (
            format!("clientId={id}&heartbeat=1000&heartbeat=1000"),
            "heartbeat",
        ),
        (
            format!("clientId={id}&lastEventId=a-1&lastEventId=a-1"),
            "lastEventId",
        ),
    ] {
        let answer = alice.get(&format!("/sse?{query}"))?;
        answer
            .refused_field(400, "invalid_field", name)
            .trying(name)?;
    }
    Ok(())
}

fn a_parameter_with_an_empty_value_counts_as_absent(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let query = "topics=&types=&lastEventId=&since=&heartbeat=&token=";
    let connect = alice
        .stream_with(query, &[("last-event-id", "")])?
        .system("connect")?;
    same("topics", &connect["topics"], &json!([]))?;
    same("resumed", &connect["resumed"], false)
}

fn parameters_that_break_their_rule_are_refused_by_name(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for (name, value) in [
        ("heartbeat", "249"),
        ("heartbeat", "300001"),
        ("heartbeat", "-1000"),
        ("heartbeat", "1e3"),
        ("heartbeat", "soon"),
        ("since", "yesterday"),
        ("since", "last:"),
        ("since", "last:1001"),
        ("since", "last:-1"),
        ("since", "-1"),
        ("since", "NOW"),
        ("types", "nonsense"),
        ("types", "text,JSON"),
    ] {
        let answer = alice.refused_stream(&format!("{name}={value}"))?;
        answer
            .refused_field(400, "invalid_field", name)
            .trying(format!("{name}={value}"))?;
    }
    Ok(())
}

fn unknown_parameters_are_ignored(cx: &Context<'_>) -> Claim {
    cx.alice().listen("v=1&nonsense=1&Topics=x&=&&").map(drop)
}

fn heartbeats_come_as_wished_with_the_time_of_the_hub(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut stream = alice.stream("heartbeat=250")?;
    let connect = stream.system("connect")?;
    same("heartbeatInterval", &connect["heartbeatInterval"], 250)?;
    let mut before = 0;
    for _ in 0..2 {
        let event = stream.heartbeat()?;
        let message = event.message()?;
        same("source", &message["source"], "$hub")?;
        same("type", &message["type"], "heartbeat")?;
        let time = message["payload"]["serverTime"]
            .as_u64()
            .unwrap_or_default();
        ensure!(
            time > 1_600_000_000_000 && time >= before,
            "serverTime is missing or goes back: {message}"
        );
        ensure!(event.has_id(), "a heartbeat has no id");
        before = time;
    }
    Ok(())
}

fn a_heartbeat_moves_the_cursor_of_a_quiet_client_on(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("heartbeat=250")?;
    let elsewhere = alice.publish_at(json!({"topic": cx.topic("elsewhere"), "payload": 1}))?;
    let wanted = Parts::parse(&elsewhere).ok_or("no cursor")?;
    let cursor = loop {
        let cursor = stream.heartbeat()?.cursor;
        let parts = Parts::parse(&cursor).ok_or_else(|| format!("`{cursor}` is no cursor"))?;
        if parts.mailbox >= wanted.mailbox && parts.shared >= wanted.shared {
            break cursor;
        }
    };
    alice.publish(json!({"target": alice.id, "payload": "behind"}))?;
    let (mut stream, connect) = alice.resume(&cursor, "")?;
    same("resumed", &connect["resumed"], true)?;
    stream.expect("behind").map(drop)
}

fn connections_of(cx: &Context<'_>, connection: &Value) -> Result<bool, String> {
    let list = cx.alice().get("/api/connections")?.ok()?;
    let list = list.as_array().ok_or("not a list")?;
    Ok(list.iter().any(|one| &one["connectionId"] == connection))
}

fn a_client_that_closes_its_sending_half_is_gone(cx: &Context<'_>) -> Claim {
    let mut stream = cx.alice().stream("")?;
    let connection = stream.system("connect")?["connectionId"].take();
    ensure!(
        connections_of(cx, &connection)?,
        "an open stream is not in the list"
    );
    stream
        .socket()
        .shutdown(Shutdown::Write)
        .map_err(|error| error.to_string())?;
    while stream.event()?.is_some() {}
    while connections_of(cx, &connection)? {}
    Ok(())
}

fn a_client_that_sends_more_than_64_kib_on_its_stream_is_closed(cx: &Context<'_>) -> Claim {
    let mut stream = cx.alice().stream("")?;
    let connection = stream.system("connect")?["connectionId"].take();
    // The hub closes while this is on its way.
    let _ = stream.socket().write_all(&vec![b'x'; 256 * 1024]);
    while stream.event().is_ok_and(|event| event.is_some()) {}
    while connections_of(cx, &connection)? {}
    Ok(())
}

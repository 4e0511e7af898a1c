//! Nobody may write lines of another's stream.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};
use crate::stream::Stream;

/// What would end a line for some reader: the standard's three, and those of other tools.
const BREAKS: [&str; 7] = ["\n", "\r", "\r\n", "\n\n", "\u{2028}", "\u{2029}", "\u{85}"];
/// What somebody would want to write behind one.
const FORGED: &str =
    "event: system\ndata: {\"source\":\"$hub\",\"payload\":{\"event\":\"disconnect\"}}\n\n";

checks! {
    "Push: GET /sse" {
        Client line_breaks_in_payloads_and_metadata_stay_inside_their_event,
        Client line_breaks_in_text_bodies_stay_inside_their_event,
        Client names_with_control_characters_are_refused_on_every_route,
        Client names_with_separators_of_lines_that_are_no_control_characters_stay_inside_their_event,
        Client a_cursor_with_line_breaks_that_a_client_brings_cannot_forge_an_event,
        Client a_topic_with_line_breaks_cannot_be_subscribed,
    }
}

/// The next event of the check is one of three lines, and is this payload.
fn one_event(stream: &mut Stream, payload: &Value) -> Claim {
    let (event, message) = stream.own()?;
    same("payload", &message["payload"], payload)?;
    same("lines of the event", event.lines.len(), 3)
}

fn line_breaks_in_payloads_and_metadata_stay_inside_their_event(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    for separator in BREAKS {
        let forged = format!("x{separator}{FORGED}");
        let payload = json!({"text": forged, &forged: 1});
        alice.publish(
            json!({"target": alice.id, "payload": payload, "metadata": {&forged: forged}}),
        )?;
        one_event(&mut stream, &payload).trying(format!("{separator:?}"))?;
    }
    Ok(())
}

fn line_breaks_in_text_bodies_stay_inside_their_event(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("text");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    for separator in BREAKS {
        let text = format!("x{separator}{FORGED}");
        let path = alice.acting(&format!("/api/topics/{topic}"));
        alice
            .request(
                "POST",
                &path,
                &[("content-type", "text/plain")],
                text.as_bytes(),
            )?
            .ok()?;
        one_event(&mut stream, &json!({"content": text})).trying(format!("{separator:?}"))?;
    }
    Ok(())
}

fn names_with_control_characters_are_refused_on_every_route(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for control in ["\n", "\r", "\0", "\u{1b}", "\u{7f}", "\u{85}"] {
        let forged = format!("x{control}y");
        refused_everywhere(&alice, &forged).trying(format!("{control:?}"))?;
    }
    Ok(())
}

fn refused_everywhere(client: &Client<'_>, forged: &str) -> Claim {
    for field in ["id", "type", "source", "target", "topic", "excludeClientId"] {
        let mut message = json!({"payload": 1});
        message[field] = json!(forged);
        let refused = |path: &str, body: &Value, field: &str| {
            let answer = client.post(path, body)?;
            answer
                .refused_field(400, "invalid_field", field)
                .trying(path)
        };
        refused("/api/messages", &message, field)?;
        refused("/api/messages", &json!([message]), &format!("[0].{field}"))?;
        refused(
            "/api/broadcast",
            &json!({"message": message}),
            &format!("message.{field}"),
        )?;
    }
    let body = json!({"message": {"payload": 1}, "excludeClientId": forged});
    let answer = client.post("/api/broadcast", &body)?;
    answer.refused_field(400, "invalid_field", "excludeClientId")?;
    let escaped = crate::grammar::percent(forged);
    let topic = client.post_text(&format!("/api/topics/{escaped}"), "1")?;
    topic.refused_field(400, "invalid_field", "topic")?;
    let direct = client.post_text(&format!("/api/direct/{escaped}"), "{\"payload\":1}")?;
    direct.refused(400, "invalid_field").map(drop)
}

fn names_with_separators_of_lines_that_are_no_control_characters_stay_inside_their_event(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("a\u{2028}data: x\u{2029}b");
    let (mut stream, _) = alice.listen(&format!("topics={}", crate::grammar::percent(&topic)))?;
    let id = format!("{}\u{2028}event: system", alice.new_id());
    alice.publish(json!({"id": id, "topic": topic, "payload": 1}))?;
    one_event(&mut stream, &json!(1))
}

fn a_cursor_with_line_breaks_that_a_client_brings_cannot_forge_an_event(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("forged");
    let forged = format!("a-1\n\n{FORGED}");
    let query = format!(
        "topics={topic}&lastEventId={}",
        crate::grammar::percent(&forged)
    );
    let mut stream = alice.stream(&query)?;
    stream.system("connect")?;
    let (event, gap) = stream.system_event("gap")?;
    same("from", &gap["from"], &forged)?;
    ensure!(
        event.values("data").count() == 1,
        "the gap has several data lines: {:?}",
        event.lines
    );
    alice.publish(json!({"topic": topic, "payload": "real"}))?;
    stream.expect("real").map(drop)
}

fn a_topic_with_line_breaks_cannot_be_subscribed(cx: &Context<'_>) -> Claim {
    let answer = cx
        .alice()
        .refused_stream(&format!("topics={}%0A%0Adata:x", cx.topic("x")))?;
    answer.refused_field(400, "invalid_field", "topics")
}

//! What pages of other origins may read.

use serde_json::json;

use crate::answer::Answer;
use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::percent;

/// In open mode, without configured origins, loopback pages are allowed.
const ORIGIN: &str = "http://localhost:3000";

checks! {
    "CORS" {
        Client every_answer_varies_by_origin,
        Open answers_streams_and_refusals_name_an_allowed_origin,
        Open without_an_origin_no_page_is_named,
        Open a_preflight_lists_what_a_page_may_send,
        Token a_page_of_an_origin_nobody_configured_is_not_named,
    }
}

fn header(answer: &Answer, name: &str) -> String {
    answer.header(name).unwrap_or_default().to_ascii_lowercase()
}

fn lists(text: &str, item: &str) -> bool {
    text.split(',').any(|listed| listed.trim() == item)
}

fn every_answer_varies_by_origin(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message = alice
        .signed(json!({"target": alice.id, "payload": 1}))
        .to_string();
    for (method, path, body) in [
        ("GET", "/health", ""),
        ("GET", "/", ""),
        ("GET", "/nothing", ""),
        ("POST", "/api/messages", message.as_str()),
        ("POST", "/api/messages", "nonsense"),
        ("PUT", "/api/messages", ""),
    ] {
        let answer = alice.request(method, path, &[], body.as_bytes())?;
        let vary = header(&answer, "vary");
        ensure!(
            lists(&vary, "origin"),
            "vary of {method} {path} is `{vary}`"
        );
    }
    let vary = alice
        .stream("")?
        .header("vary")
        .unwrap_or_default()
        .to_ascii_lowercase();
    ensure!(lists(&vary, "origin"), "vary of a stream is `{vary}`");
    Ok(())
}

fn answers_streams_and_refusals_name_an_allowed_origin(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let origin = [("origin", ORIGIN)];
    let message = alice
        .signed(json!({"target": alice.id, "payload": 1}))
        .to_string();
    for (method, path, body) in [
        ("GET", "/api/connections", ""),
        ("POST", "/api/messages", message.as_str()),
        ("POST", "/api/messages", "nonsense"),
        ("GET", "/nothing", ""),
        ("GET", "/sse", ""),
    ] {
        let answer = alice.request(method, path, &origin, body.as_bytes())?;
        let what = format!("{method} {path}");
        same(
            &what,
            answer.header("access-control-allow-origin").as_deref(),
            Some(ORIGIN),
        )?;
        let exposed = header(&answer, "access-control-expose-headers");
        ensure!(
            lists(&exposed, "retry-after") && lists(&exposed, "date"),
            "{what} exposes `{exposed}`"
        );
    }
    let stream = alice.stream_with("", &origin)?;
    same(
        "a stream",
        stream.header("access-control-allow-origin").as_deref(),
        Some(ORIGIN),
    )
}

fn without_an_origin_no_page_is_named(cx: &Context<'_>) -> Claim {
    let name = "access-control-allow-origin";
    let with = cx.request("GET", "/health", &[("origin", ORIGIN)], b"")?;
    same("with an origin", with.header(name).as_deref(), Some(ORIGIN))?;
    same("without", cx.get("/health")?.header(name), None)
}

fn a_preflight_lists_what_a_page_may_send(cx: &Context<'_>) -> Claim {
    let asked = "authorization, content-type, tidings-priority, tidings-ttl, x-other";
    let headers = [
        ("origin", ORIGIN),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ];
    let alice = cx.alice();
    for path in [
        "/api/messages",
        "/api/topics/a/b",
        &format!("/sse?clientId={}", percent(&alice.id)),
        "/api/acks",
    ] {
        let answer = cx.request("OPTIONS", path, &headers, b"")?;
        same(&format!("status on {path}"), answer.status, 204)?;
        same(
            path,
            answer.header("access-control-allow-origin").as_deref(),
            Some(ORIGIN),
        )?;
        let methods = header(&answer, "access-control-allow-methods");
        for method in ["get", "head", "post", "put", "delete"] {
            ensure!(
                lists(&methods, method),
                "the methods of {path} are `{methods}`"
            );
        }
        let allowed = header(&answer, "access-control-allow-headers");
        for name in [
            "authorization",
            "last-event-id",
            "content-type",
            "idempotency-key",
            "tidings-priority",
            "tidings-ttl",
        ] {
            ensure!(
                lists(&allowed, name),
                "the headers of {path} are `{allowed}`"
            );
        }
        ensure!(
            !lists(&allowed, "x-other"),
            "the headers of {path} are `{allowed}`"
        );
        same(
            "max-age",
            answer.header("access-control-max-age").as_deref(),
            Some("7200"),
        )?;
    }
    Ok(())
}

fn a_page_of_an_origin_nobody_configured_is_not_named(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let origin = [("origin", "https://nobody-configured.example")];
    let answer = alice.request("GET", "/api/connections", &origin, b"")?;
    same(
        "on an answer",
        answer.header("access-control-allow-origin"),
        None,
    )?;
    let preflight = [origin[0], ("access-control-request-method", "POST")];
    let answer = cx
        .request("OPTIONS", "/api/messages", &preflight, b"")
        .trying("a preflight")?;
    for name in [
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
    ] {
        same(&format!("{name} of a preflight"), answer.header(name), None)?;
    }
    Ok(())
}

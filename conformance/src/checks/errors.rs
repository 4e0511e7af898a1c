//! Refusals of HTTP itself, and what all refusals have in common.

use std::io::Write as _;

use serde_json::json;

use crate::answer::Answer;
use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "Errors" {
        Client an_unknown_path_is_404_not_found_whatever_the_method,
        Client a_wrong_method_is_405_and_allow_lists_the_right_ones,
        Client head_is_answered_as_get_without_a_body,
        Client a_content_type_that_no_route_reads_is_415,
        Client bytes_that_are_not_http_are_400_invalid_request,
        Client a_refusal_names_neither_paths_nor_types_of_the_program,
        Client unavailable_parts_of_the_protocol_are_refused_by_name,
        Client unavailable_routes_are_not_found,
    }
    "Credentials" {
        Client a_request_without_host_or_with_two_is_refused,
    }
    "Conventions" {
        Client one_connection_serves_requests_one_after_the_other,
        Client a_request_of_http_1_0_is_answered_and_the_connection_closed,
        Client a_request_body_in_chunks_is_read,
    }
}

fn an_unknown_path_is_404_not_found_whatever_the_method(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for path in [
        "/nothing",
        "/api",
        "/api/nothing",
        "/api/messages/",
        "/sse/",
        "/healthz",
        "//",
        "/api/acks/x",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = alice.request(method, path, &[], b"{}")?;
            answer
                .refused(404, "not_found")
                .trying(format!("{method} {path}"))?;
        }
    }
    Ok(())
}

fn a_wrong_method_is_405_and_allow_lists_the_right_ones(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = format!("/api/topics/{}", cx.topic("x"));
    for (path, wrong, right) in [
        ("/api/messages", "PUT", "POST"),
        (topic.as_str(), "GET", "POST"),
        ("/api/direct/x", "DELETE", "POST"),
        ("/api/broadcast", "GET", "POST"),
        ("/api/commands", "GET", "POST"),
        ("/api/acks", "PATCH", "POST"),
        ("/api/connections", "POST", "GET"),
        ("/sse", "POST", "GET"),
        ("/health", "POST", "GET"),
        ("/ready", "DELETE", "GET"),
        ("/metrics", "POST", "GET"),
        ("/", "POST", "GET"),
    ] {
        let answer = alice.request(wrong, path, &[], b"")?;
        answer
            .refused(405, "method_not_allowed")
            .trying(format!("{wrong} {path}"))?;
        let allow = answer.header("allow").unwrap_or_default();
        let methods: Vec<&str> = allow.split(',').map(str::trim).collect();
        ensure!(
            methods.contains(&right) && !methods.contains(&wrong),
            "Allow of {path} is `{allow}`"
        );
    }
    Ok(())
}

fn head_is_answered_as_get_without_a_body(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let stream = format!("/sse?clientId={}", percent(&alice.id));
    for (path, media) in [
        ("/health", "application/json"),
        ("/ready", "application/json"),
        ("/api/connections", "application/json"),
        (stream.as_str(), "text/event-stream"),
    ] {
        let answer = alice.request("HEAD", path, &[], b"")?;
        same(&format!("status of HEAD {path}"), answer.status, 200)?;
        same(&format!("body of HEAD {path}"), answer.body.as_str(), "")?;
        let found = answer.header("content-type").unwrap_or_default();
        ensure!(
            found.starts_with(media),
            "content-type of HEAD {path} is `{found}`"
        );
    }
    let answer = alice.request("HEAD", "/sse?clientId=a&clientId=b", &[], b"")?;
    same(
        "status of HEAD on a stream that is refused",
        answer.status,
        400,
    )
}

fn a_content_type_that_no_route_reads_is_415(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = format!("/api/topics/{}", cx.topic("x"));
    for path in [
        "/api/messages",
        topic.as_str(),
        "/api/direct/x",
        "/api/broadcast",
        "/api/commands",
        "/api/acks",
    ] {
        for media in [
            "application/xml",
            "multipart/form-data; boundary=x",
            "image/png",
            "nonsense",
        ] {
            let answer = alice.request("POST", path, &[("content-type", media)], b"{}")?;
            answer
                .refused(415, "unsupported_media_type")
                .trying(format!("{media} on {path}"))?;
        }
    }
    Ok(())
}

fn bytes_that_are_not_http_are_400_invalid_request(cx: &Context<'_>) -> Claim {
    for bytes in [
        &b"hello\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let answer = Answer::exchange(cx.site.connect()?, bytes);
        answer
            .and_then(|answer| answer.refused(400, "invalid_request"))
            .trying(format!("{:?}", String::from_utf8_lossy(bytes)))?;
    }
    Ok(())
}

fn a_refusal_names_neither_paths_nor_types_of_the_program(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for body in [
        "{",
        "[[",
        "{\"payload\":1,\"priority\":{}}",
        "{\"payload\":1,\"target\":5}",
        "\"x\"",
    ] {
        let answer = alice.post_text("/api/messages", body)?;
        same(&format!("status for {body}"), answer.status, 400)?;
        for leak in ["src/", ".rs", "::", "panicked", "serde", "struct ", "enum "] {
            ensure!(
                !answer.body.contains(leak),
                "`{leak}` is in the refusal of {body}: {}",
                answer.body
            );
        }
    }
    Ok(())
}

fn unavailable_parts_of_the_protocol_are_refused_by_name(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for name in ["ticket", "worker", "session", "capacity", "pausable"] {
        let answer = alice.refused_stream(&format!("{name}=1"))?;
        answer
            .refused_field(501, "not_available", name)
            .trying(name)?;
    }
    Ok(())
}

fn unavailable_routes_are_not_found(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for (method, path) in [
        ("GET", "/api/tasks"),
        ("GET", "/api/tasks/t1"),
        ("POST", "/api/tasks/t1/cancel"),
        ("POST", "/api/workers/w1/heartbeat"),
        ("POST", "/api/tickets"),
        ("POST", "/api/connections/c1/token"),
    ] {
        let answer = alice.request(method, path, &[], b"{}")?;
        answer
            .refused(404, "not_found")
            .trying(format!("{method} {path}"))?;
    }
    Ok(())
}

fn a_request_without_host_or_with_two_is_refused(cx: &Context<'_>) -> Claim {
    for request in [
        "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        format!(
            "GET /health HTTP/1.1\r\nconnection: close\r\nhost: {0}\r\nhost: {0}\r\n\r\n",
            cx.site.authority
        ),
    ] {
        let answer = Answer::exchange(cx.site.connect()?, request.as_bytes());
        answer
            .and_then(|answer| answer.refused(400, "invalid_field"))
            .trying(format!("{request:?}"))?;
    }
    Ok(())
}

fn one_connection_serves_requests_one_after_the_other(cx: &Context<'_>) -> Claim {
    let mut socket = cx.site.connect()?;
    let kept = cx
        .site
        .head("GET", "/health", &[("connection", "keep-alive")], None);
    let last = cx.site.head("GET", "/ready", &[], None);
    // The second is on its way before the first is answered.
    let sent = socket.write_all(format!("{kept}{kept}{last}").as_bytes());
    sent.map_err(|error| error.to_string())?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut socket, &mut text).map_err(|error| error.to_string())?;
    same("answers of 200", text.matches("HTTP/1.1 200").count(), 3)
}

fn a_request_of_http_1_0_is_answered_and_the_connection_closed(cx: &Context<'_>) -> Claim {
    let request = format!(
        "GET /health HTTP/1.0\r\nhost: {}\r\n\r\n",
        cx.site.authority
    );
    let mut socket = cx.site.connect()?;
    socket
        .write_all(request.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut socket, &mut text).map_err(|error| error.to_string())?;
    ensure!(
        text.starts_with("HTTP/1.") && text.contains(" 200 ") && text.contains("\"status\""),
        "the answer is {text:?}"
    );
    Ok(())
}

fn a_request_body_in_chunks_is_read(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let body = alice
        .signed(json!({"target": alice.id, "payload": 1}))
        .to_string();
    let bearer = alice.bearer();
    let mut headers = vec![
        ("content-type", "application/json"),
        ("transfer-encoding", "chunked"),
    ];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    let mut request = cx.site.head("POST", "/api/messages", &headers, None);
    for piece in body.as_bytes().chunks(7) {
        request += &format!(
            "{:x}\r\n{}\r\n",
            piece.len(),
            String::from_utf8_lossy(piece)
        );
    }
    request += "0\r\n\r\n";
    Answer::exchange(cx.site.connect()?, request.as_bytes())?.done()?;
    stream.expect(1).map(drop)
}

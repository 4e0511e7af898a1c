//! A hub that asks who is there.

use serde_json::json;

use crate::answer::Answer;
use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};
use crate::grammar::percent;
use crate::stream::Stream;

checks! {
    "Credentials" {
        Token every_route_but_the_public_ones_asks_for_a_token,
        Token a_token_that_is_not_good_is_401_on_every_route,
        Token a_token_whose_claims_were_changed_is_refused,
        Token the_token_may_be_a_parameter_on_every_route,
        Token the_header_counts_when_both_are_there_also_when_it_is_wrong,
        Token a_refusal_never_repeats_the_token,
        Token a_stream_may_leave_the_client_id_out_and_must_not_name_another,
        Token a_source_or_client_id_that_is_not_the_tokens_is_forbidden,
        Token what_is_not_granted_is_forbidden,
        Token a_batch_is_forbidden_whole_and_names_the_item,
        Token patterns_must_be_covered_by_granted_ones,
        Token every_client_reads_and_acks_its_own_mailbox_and_gets_broadcasts,
        Token a_preflight_needs_no_token,
    }
}

/// Routes that need credentials, each with a body that is good.
fn routes(cx: &Context<'_>, client: &Client<'_>) -> Vec<(&'static str, String, String)> {
    let message = || {
        client
            .signed(json!({"target": client.id, "payload": 1}))
            .to_string()
    };
    vec![
        (
            "GET",
            format!("/sse?clientId={}", percent(&client.id)),
            String::new(),
        ),
        ("POST", "/api/messages".into(), message()),
        ("POST", format!("/api/topics/{}", cx.topic("x")), "1".into()),
        (
            "POST",
            format!("/api/direct/{}", percent(&client.id)),
            message(),
        ),
        (
            "POST",
            "/api/broadcast".into(),
            json!({"message": {"payload": 1}}).to_string(),
        ),
        ("POST", "/api/commands".into(), message()),
        (
            "POST",
            "/api/acks".into(),
            json!({"cursor": "a-1"}).to_string(),
        ),
        ("GET", "/api/connections".into(), String::new()),
    ]
}

fn with_parameter(path: &str, token: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}token={token}")
}

fn unauthorised(answer: &Answer, code: &str) -> Claim {
    answer.refused(401, code)?;
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    ensure!(
        challenge.starts_with("Bearer") && challenge.contains("realm=\"tidings\""),
        "www-authenticate is `{challenge}`"
    );
    Ok(())
}

fn every_route_but_the_public_ones_asks_for_a_token(cx: &Context<'_>) -> Claim {
    for (method, path, body) in routes(cx, &cx.alice()) {
        let answer = cx.request(method, &path, &[], body.as_bytes())?;
        unauthorised(&answer, "missing_token").trying(format!("{method} {path}"))?;
    }
    for path in ["/health", "/ready", "/metrics", "/"] {
        same(path, cx.get(path)?.status, 200)?;
    }
    Ok(())
}

fn a_token_that_is_not_good_is_401_on_every_route(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let parts: Vec<&str> = alice.token().split('.').collect();
    let [head, claims, signature] = parts[..] else {
        return Err("the token given with --token has not three parts".into());
    };
    // {"alg":"none"} with and without a signature; a signature cut off; another's signature; no JWT at all.
    let none = "eyJhbGciOiJub25lIn0";
    let tokens = [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{}", "A".repeat(43)),
    ];
    for (method, path, body) in routes(cx, &alice) {
        for token in &tokens {
            let bearer = format!("Bearer {token}");
            let answer = cx.request(
                method,
                &path,
                &[("authorization", &bearer)],
                body.as_bytes(),
            )?;
            unauthorised(&answer, "invalid_token")
                .trying(format!("{method} {path} with {token}"))?;
        }
        let answer = cx.request(
            method,
            &path,
            &[("authorization", "Basic YTpi")],
            body.as_bytes(),
        )?;
        unauthorised(&answer, "invalid_token").trying(format!("{method} {path} with Basic"))?;
        let answer = cx.request(method, &with_parameter(&path, "x"), &[], body.as_bytes())?;
        unauthorised(&answer, "invalid_token")
            .trying(format!("{method} {path} with a parameter"))?;
    }
    Ok(())
}

fn a_token_whose_claims_were_changed_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut bytes = alice.token().as_bytes().to_vec();
    let claims = alice.token().find('.').ok_or("no JWT")? + 10;
    bytes[claims] = if bytes[claims] == b'A' { b'B' } else { b'A' };
    let bearer = format!("Bearer {}", String::from_utf8_lossy(&bytes));
    let answer = cx.request(
        "GET",
        "/api/connections",
        &[("authorization", &bearer)],
        b"",
    )?;
    unauthorised(&answer, "invalid_token")
}

fn the_token_may_be_a_parameter_on_every_route(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for (method, path, body) in routes(cx, &alice) {
        let path = with_parameter(&path, alice.token());
        if path.starts_with("/sse") {
            let query = path.trim_start_matches("/sse?");
            Stream::open(cx.site, query, &[])?.system("connect")?;
        } else {
            let answer = cx.request(method, &path, &[], body.as_bytes())?;
            ensure!(answer.status != 401, "{method} {path}: {}", answer.body);
        }
    }
    Ok(())
}

fn the_header_counts_when_both_are_there_also_when_it_is_wrong(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let good = with_parameter("/api/connections", alice.token());
    for header in ["Bearer x", "Basic YTpi", "Bearer", ""] {
        let answer = cx.request("GET", &good, &[("authorization", header)], b"")?;
        unauthorised(&answer, "invalid_token").trying(format!("header `{header}`"))?;
    }
    alice
        .get(&with_parameter("/api/connections", "x"))?
        .ok()
        .trying("a wrong parameter")
        .map(drop)
}

fn a_refusal_never_repeats_the_token(cx: &Context<'_>) -> Claim {
    let secret = "looks-like.a.secret";
    let bearer = format!("Bearer {secret}");
    for answer in [
        cx.request(
            "GET",
            "/api/connections",
            &[("authorization", &bearer)],
            b"",
        )?,
        cx.get(&with_parameter("/api/connections", secret))?,
        cx.get(&with_parameter("/nothing", secret))?,
    ] {
        ensure!(
            !answer.body.contains("looks-like"),
            "the token is in {}",
            answer.body
        );
    }
    Ok(())
}

fn a_stream_may_leave_the_client_id_out_and_must_not_name_another(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let bearer = alice.bearer().ok_or("no token")?;
    let connect = Stream::open(cx.site, "", &[("authorization", &bearer)])?.system("connect")?;
    same("clientId", &connect["clientId"], &alice.id)?;
    alice
        .get("/sse?clientId=somebody-else")?
        .refused(403, "forbidden")
        .map(drop)
}

fn a_source_or_client_id_that_is_not_the_tokens_is_forbidden(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message = json!({"source": "somebody-else", "topic": cx.topic("x"), "payload": 1});
    alice
        .post("/api/messages", &message)?
        .refused(403, "forbidden")?;
    let message = json!({"source": "somebody-else", "payload": 1});
    let direct = format!("/api/direct/{}", percent(&alice.id));
    alice.post(&direct, &message)?.refused(403, "forbidden")?;
    for name in ["source", "clientId"] {
        let path = format!("/api/topics/{}?{name}=somebody-else", cx.topic("x"));
        alice
            .post_text(&path, "1")?
            .refused(403, "forbidden")
            .trying(name)?;
    }
    let cursor = alice.publish_at(json!({"topic": cx.topic("x"), "payload": 1}))?;
    let ack = json!({"clientId": "somebody-else", "cursor": cursor});
    alice
        .post("/api/acks", &ack)?
        .refused(403, "forbidden")
        .map(drop)
}

fn what_is_not_granted_is_forbidden(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let forbidden = |path: &str, body: serde_json::Value| {
        alice
            .post(path, &body)?
            .refused(403, "forbidden")
            .trying(format!("{body} on {path}"))
    };
    forbidden(
        "/api/messages",
        json!({"topic": "elsewhere/x", "payload": 1}),
    )?;
    forbidden(
        "/api/messages",
        json!({"topic": "conformancex", "payload": 1}),
    )?;
    forbidden(
        "/api/messages",
        json!({"target": "somebody-else", "payload": 1}),
    )?;
    forbidden("/api/messages", json!({"payload": 1}))?;
    forbidden("/api/topics/elsewhere", json!(1))?;
    forbidden("/api/topics/conformance%2F..%2Felsewhere", json!(1))
        .err()
        .ok_or("`..` is a level")?;
    forbidden("/api/direct/somebody-else", json!({"payload": 1}))?;
    forbidden("/api/broadcast", json!({"message": {"payload": 1}}))?;
    forbidden(
        "/api/commands",
        json!({"target": "somebody-else", "payload": {}}),
    )?;
    Ok(())
}

fn a_batch_is_forbidden_whole_and_names_the_item(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let good = alice.signed(json!({"topic": cx.topic("batch"), "payload": 1}));
    let bad = alice.signed(json!({"topic": "elsewhere", "payload": 1}));
    let answer = alice.post("/api/messages", &json!([good, bad]))?;
    let problem = answer.refused(403, "forbidden")?;
    let field = problem["field"].as_str().unwrap_or_default();
    ensure!(
        field.starts_with("[1]"),
        "the refusal does not name the item: {problem}"
    );
    let answer = alice.post("/api/messages", &good)?.ok()?;
    ensure!(
        answer.get("duplicate").is_none(),
        "a part of the batch was kept: {answer}"
    );
    Ok(())
}

fn patterns_must_be_covered_by_granted_ones(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let inside = percent(&cx.topic("#"));
    for pattern in [
        "%23",
        "**",
        "+",
        "+/x",
        "*/%23",
        "elsewhere",
        "conformancex/%23",
        &format!("{inside},elsewhere"),
    ] {
        let answer = alice.refused_stream(&format!("topics={pattern}"))?;
        answer.refused(403, "forbidden").trying(pattern)?;
    }
    for pattern in [
        "conformance",
        "conformance/%23",
        "conformance/**",
        "conformance/+/x",
        &inside,
    ] {
        alice.listen(&format!("topics={pattern}")).trying(pattern)?;
    }
    Ok(())
}

fn every_client_reads_and_acks_its_own_mailbox_and_gets_broadcasts(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, start) = alice.listen("")?;
    alice.publish(json!({"target": alice.id, "payload": 1}))?;
    let cursor = stream.expect(1)?.cursor;
    alice.ack_applied(json!({"cursor": cursor, "from": start}))?;
    if let Some(admin) = cx.site.has_admin().then(|| cx.bob()) {
        admin.publish(json!({"payload": 2}))?;
        stream.expect(2)?;
    }
    Ok(())
}

fn a_preflight_needs_no_token(cx: &Context<'_>) -> Claim {
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
    ];
    let answer = cx.request("OPTIONS", "/api/messages", &headers, b"")?;
    same("status", answer.status, 204)
}

//! A hub without a secret, which web pages from elsewhere must not reach.

use serde_json::json;

use crate::check::{Claim, Trying as _, checks, same};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "Open mode" {
        Open a_foreign_host_is_403_on_every_route,
        Open a_foreign_origin_is_403_on_every_route,
        Open a_request_from_another_site_is_403,
        Open loopback_hosts_and_origins_are_served,
        Open credentials_that_are_sent_all_the_same_are_ignored,
    }
}

const ROUTES: [(&str, &str); 14] = [
    ("GET", "/sse?clientId=x"),
    ("HEAD", "/sse?clientId=x"),
    ("GET", "/sse?clientId=x&v=1"),
    ("POST", "/api/messages"),
    ("POST", "/api/topics/x"),
    ("POST", "/api/direct/x"),
    ("POST", "/api/broadcast"),
    ("POST", "/api/commands"),
    ("POST", "/api/acks"),
    ("GET", "/api/connections"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/"),
    ("GET", "/nothing"),
];

/// Every route refuses a request with these headers.
fn refused_everywhere(cx: &Context<'_>, headers: &[(&str, &str)]) -> Claim {
    for (method, path) in ROUTES {
        let answer = cx.request(method, path, headers, b"{\"payload\":1}")?;
        let what = format!("{method} {path} with {headers:?}");
        if method == "HEAD" {
            same(&what, answer.status, 403)?;
        } else {
            answer.refused(403, "forbidden_origin").trying(what)?;
        }
    }
    Ok(())
}

fn a_foreign_host_is_403_on_every_route(cx: &Context<'_>) -> Claim {
    refused_everywhere(cx, &[("host", "evil.example")])?;
    for host in [
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "192.0.2.1",
        "[2001:db8::1]",
        "0.0.0.0",
        "128.0.0.1",
    ] {
        let answer = cx.request("GET", "/health", &[("host", host)], b"")?;
        // What is no host name at all may also be refused as such.
        if host.contains('@') {
            same(host, matches!(answer.status, 400 | 403), true)?;
        } else {
            answer.refused(403, "forbidden_origin").trying(host)?;
        }
    }
    Ok(())
}

fn a_foreign_origin_is_403_on_every_route(cx: &Context<'_>) -> Claim {
    refused_everywhere(cx, &[("origin", "https://evil.example")])?;
    for origin in [
        "null",
        "http://evil.example:8080",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://192.0.2.1",
        "https://[2001:db8::1]",
    ] {
        let answer = cx.request("GET", "/health", &[("origin", origin)], b"")?;
        answer.refused(403, "forbidden_origin").trying(origin)?;
    }
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    let answer = cx.request("OPTIONS", "/api/messages", &preflight, b"")?;
    answer
        .refused(403, "forbidden_origin")
        .trying("a preflight")
        .map(drop)
}

fn a_request_from_another_site_is_403(cx: &Context<'_>) -> Claim {
    refused_everywhere(cx, &[("sec-fetch-site", "cross-site")])?;
    for site in ["same-origin", "same-site", "none"] {
        let answer = cx.request("GET", "/health", &[("sec-fetch-site", site)], b"")?;
        answer.ok().trying(site)?;
    }
    Ok(())
}

fn loopback_hosts_and_origins_are_served(cx: &Context<'_>) -> Claim {
    let served = |name: &str, value: &str| {
        let answer = cx.request("GET", "/health", &[(name, value)], b"")?;
        same("status", &answer.ok()?["status"], "ok").trying(value)
    };
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.255.255.254:65535",
        "[::1]",
        "[::1]:8080",
    ] {
        served("host", host)?;
    }
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://[::1]:5173",
    ] {
        served("origin", origin)?;
    }
    Ok(())
}

fn credentials_that_are_sent_all_the_same_are_ignored(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for header in ["Bearer rubbish", "Basic YTpi", "nonsense"] {
        let headers = [("authorization", header)];
        let body = alice
            .signed(json!({"target": alice.id, "payload": 1}))
            .to_string();
        let answer = cx.request(
            "POST",
            "/api/messages?token=rubbish",
            &headers,
            body.as_bytes(),
        )?;
        answer.ok().trying(header)?;
        let mut stream = alice
            .stream_with("token=rubbish", &headers)
            .trying(header)?;
        same(
            "clientId",
            &stream.system("connect")?["clientId"],
            &alice.id,
        )?;
    }
    let answer = cx.get(&format!("/api/connections?clientId={}", percent(&alice.id)))?;
    answer.ok().map(drop)
}

//! Credentials and grants on every route, over real sockets.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Called, request};
use crate::harness::Hub;

const SECRET: &str = "a shared secret of at least 32 bytes";
const HOUR: u64 = 3600;

fn keyed() -> Called {
    Called::start_with(&[("JWT_SECRET", SECRET)])
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// A token of our own making: what any issuer with the secret could send.
fn sign(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).expect("signs")
}

/// `grants` is the claim `tidings`.
fn token(sub: &str, grants: &Value) -> String {
    sign(
        SECRET,
        &json!({"sub": sub, "exp": now() + HOUR, "tidings": grants}),
    )
}

/// May do everything but administer.
fn everything() -> Value {
    json!({"publish": ["#"], "subscribe": ["#"], "targets": ["#"]})
}

fn call(hub: &Called, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    hub.call(method, path, &[("Authorization", &bearer)], body.as_bytes())
}

fn post(hub: &Called, token: &str, path: &str, body: &str) -> Answer {
    call(hub, token, "POST", path, body)
}

/// Every route that needs credentials, with a request that is valid otherwise.
const ROUTES: [(&str, &str, &str); 14] = [
    ("GET", "/sse?clientId=alice", ""),
    ("GET", "/sse?clientId=alice&v=1", ""),
    ("GET", "/api/messages", ""),
    ("POST", "/api/messages", r#"{"id":"m","payload":1}"#),
    ("GET", "/api/messages/m", ""),
    ("POST", "/api/topics/news", "1"),
    ("POST", "/api/direct/bob", r#"{"payload":1}"#),
    ("POST", "/api/broadcast", r#"{"message":{"payload":1}}"#),
    ("POST", "/api/commands", r#"{"target":"bob","payload":{}}"#),
    ("POST", "/api/acks", r#"{"cursor":"a-1"}"#),
    ("GET", "/api/connections", ""),
    ("DELETE", "/api/connections/x", ""),
    ("PUT", "/api/connections/x/topics/a", ""),
    ("DELETE", "/api/connections/x/topics/a", ""),
];

#[test]
fn every_route_refuses_a_request_without_a_token() {
    let hub = keyed();
    for (method, path, body) in ROUTES {
        let answer = hub.call(method, path, &[], body.as_bytes());
        assert_eq!(
            answer.refusal(),
            (401, "missing_token".into(), None),
            "{path}"
        );
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"tidings\""),
            "{path}"
        );
    }
}

#[test]
fn every_route_refuses_any_token_that_this_hub_has_not_signed() {
    let hub = keyed();
    let claims = json!({"sub": "alice", "exp": now() + HOUR, "tidings": everything()});
    let foreign = sign("another secret of at least 32 bytes!", &claims);
    for (method, path, body) in ROUTES {
        for token in ["x", "a.b.c", &foreign] {
            let answer = call(&hub, token, method, path, body);
            assert_eq!(
                answer.refusal(),
                (401, "invalid_token".into(), None),
                "{path} {token}"
            );
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
    }
}

#[test]
fn every_route_refuses_an_expired_token() {
    let hub = keyed();
    let claims = json!({"sub": "alice", "exp": now() - HOUR, "tidings": everything()});
    let expired = sign(SECRET, &claims);
    for (method, path, body) in ROUTES {
        let answer = call(&hub, &expired, method, path, body);
        assert_eq!(
            answer.refusal(),
            (401, "token_expired".into(), None),
            "{path}"
        );
    }
}

#[test]
fn the_leeway_for_clocks_is_for_requests_and_not_for_streams() {
    let hub = keyed();
    let claims = json!({"sub": "alice", "exp": now(), "tidings": everything()});
    let just_expired = sign(SECRET, &claims);
    let answer = call(&hub, &just_expired, "GET", "/sse", "");
    assert_eq!(answer.refusal(), (401, "token_expired".into(), None));
}

#[test]
fn health_readiness_metrics_and_page_need_no_token() {
    let hub = keyed();
    for path in ["/health", "/ready", "/metrics", "/", "/page/page.js"] {
        assert_eq!(hub.get(path).status, 200, "{path}");
    }
}

#[test]
fn every_route_takes_the_token_from_the_header_or_the_query() {
    let hub = keyed();
    let token = token("alice", &everything());
    for (method, path, body) in &ROUTES[2..] {
        // There is no connection x; to learn that, one must be let in.
        let expected = if path.contains("/x") { 404 } else { 200 };
        let answer = call(&hub, &token, method, path, body);
        assert_eq!(answer.status, expected, "{path}");
        let with_token = format!("{path}?token={token}");
        let answer = hub.call(method, &with_token, &[], body.as_bytes());
        assert_eq!(answer.status, expected, "{with_token}");
    }
    for path in [
        format!("/sse?token={token}"),
        format!("/sse?clientId=alice&topics=a&token={token}"),
    ] {
        let mut client = hub.connect();
        client.send(&request("GET", &path, &[], b""));
        assert_eq!(client.head().status, 200, "{path}");
    }
}

#[test]
fn a_token_without_grants_may_send_to_nobody() {
    let hub = keyed();
    let token = token("alice", &json!({}));
    for (path, body, field) in [
        (
            "/api/messages",
            r#"{"target":"bob","payload":1}"#,
            Some("target"),
        ),
        (
            "/api/messages",
            r#"{"target":"alice","payload":1}"#,
            Some("target"),
        ),
        (
            "/api/messages",
            r#"{"topic":"news","payload":1}"#,
            Some("topic"),
        ),
        ("/api/messages", r#"{"payload":1}"#, None),
        (
            "/api/messages",
            r#"[{"topic":"news","payload":1}]"#,
            Some("[0].topic"),
        ),
        ("/api/topics/news", "1", Some("topic")),
        ("/api/direct/bob", r#"{"payload":1}"#, Some("target")),
        ("/api/broadcast", r#"{"message":{"payload":1}}"#, None),
        (
            "/api/commands",
            r#"{"target":"bob","payload":{}}"#,
            Some("target"),
        ),
    ] {
        let refusal = post(&hub, &token, path, body).refusal();
        assert_eq!(
            refusal,
            (403, "forbidden".into(), field.map(str::to_owned)),
            "{path} {body}"
        );
    }
}

#[test]
fn a_message_is_shown_to_its_sender_its_target_and_admins_and_hidden_from_others() {
    let hub = keyed();
    let bob = token("bob", &everything());
    let message = r#"{"id":"m","target":"alice","payload":1,"requireAck":true}"#;
    assert_eq!(post(&hub, &bob, "/api/messages", message).status, 200);
    let path = "/api/messages/m?source=bob";
    let admin = json!({"roles": ["admin"]});
    for (client, grants, status) in [
        ("bob", json!({}), 200),
        ("alice", json!({}), 200),
        ("carol", everything(), 404),
        ("root", admin, 200),
    ] {
        let answer = call(&hub, &token(client, &grants), "GET", path, "");
        assert_eq!(answer.status, status, "{client}");
    }
}

#[test]
fn acks_settle_only_what_waits_for_the_tokens_client() {
    let hub = keyed();
    let bob = token("bob", &everything());
    let message = r#"{"id":"m","target":"alice","payload":1,"requireAck":true}"#;
    post(&hub, &bob, "/api/messages", message);
    let told = || call(&hub, &bob, "GET", "/api/messages/m", "").json()["receipts"].clone();
    for (client, receipts) in [("carol", 0), ("alice", 2)] {
        let token = token(client, &json!({}));
        let ack = post(&hub, &token, "/api/acks", r#"{"messageIds":["m"]}"#);
        assert_eq!(ack.status, 200);
        assert_eq!(told().as_array().map(Vec::len), Some(receipts), "{client}");
    }
}

#[test]
fn grants_are_patterns_and_each_counts_for_its_own_kind() {
    let hub = keyed();
    let token = token(
        "alice",
        &json!({"publish": ["orders/#"], "targets": ["team/+"]}),
    );
    for (body, status) in [
        (r#"{"topic":"orders/eu/1","payload":1}"#, 200),
        (r#"{"topic":"news","payload":1}"#, 403),
        (r#"{"topic":"team/bob","payload":1}"#, 403),
        (r#"{"target":"team/bob","payload":1}"#, 200),
        (r#"{"target":"orders/eu","payload":1}"#, 403),
        (r#"{"payload":1}"#, 403),
    ] {
        assert_eq!(
            post(&hub, &token, "/api/messages", body).status,
            status,
            "{body}"
        );
    }
}

#[test]
fn one_message_that_is_not_granted_refuses_the_whole_batch() {
    let hub = keyed();
    let batch = r#"[{"id":"1","topic":"news","payload":1},{"topic":"other","payload":1}]"#;
    let token = token("alice", &json!({"publish": ["news"]}));
    let refusal = post(&hub, &token, "/api/messages", batch).refusal();
    assert_eq!(refusal, (403, "forbidden".into(), Some("[1].topic".into())));
    let first = post(
        &hub,
        &token,
        "/api/messages",
        r#"{"id":"1","topic":"news","payload":1}"#,
    );
    assert_eq!(
        first.json().get("duplicate"),
        None,
        "nothing of the batch was stored"
    );
}

#[test]
fn a_source_cannot_be_forged() {
    let hub = keyed();
    let token = token("alice", &everything());
    let forbidden = |field: &str| (403, "forbidden".to_owned(), Some(field.to_owned()));
    let refused = |path: &str, body: &str| post(&hub, &token, path, body).refusal();
    let message = r#"{"source":"bob","payload":1}"#;
    assert_eq!(refused("/api/messages", message), forbidden("source"));
    assert_eq!(
        refused("/api/messages", &format!("[{message}]")),
        forbidden("[0].source")
    );
    assert_eq!(refused("/api/direct/carol", message), forbidden("source"));
    assert_eq!(
        refused("/api/topics/news?source=bob", "1"),
        forbidden("source")
    );
    assert_eq!(
        refused("/api/broadcast", &format!(r#"{{"message":{message}}}"#)),
        forbidden("source")
    );
    let own = post(
        &hub,
        &token,
        "/api/messages",
        r#"{"source":"alice","payload":1}"#,
    );
    assert_eq!(own.status, 200);
}

#[test]
fn a_client_acts_for_itself_only() {
    let hub = keyed();
    let alice = token("alice", &everything());
    let forbidden = (403, "forbidden".to_owned(), Some("clientId".to_owned()));
    let stream = call(&hub, &alice, "GET", "/sse?clientId=bob", "");
    assert_eq!(stream.refusal(), forbidden);
    for (path, body) in [
        ("/api/acks?clientId=bob", json!({"cursor": "a-1"})),
        ("/api/acks", json!({"cursor": "a-1", "clientId": "bob"})),
    ] {
        assert_eq!(
            post(&hub, &alice, path, &body.to_string()).refusal(),
            forbidden
        );
    }
}

#[test]
fn an_ack_moves_the_cursor_of_the_tokens_client() {
    let hub = keyed();
    let alice = token("alice", &everything());
    let sent = post(&hub, &alice, "/api/direct/alice", r#"{"payload":1}"#).json();
    let body = json!({"cursor": sent["cursor"]}).to_string();
    let acked = post(&hub, &alice, "/api/acks", &body).json();
    assert_eq!(
        acked,
        json!({"success": true, "applied": true, "cursor": sent["cursor"]})
    );
    let bob = token("bob", &json!({}));
    let of_bob = post(
        &hub,
        &bob,
        "/api/acks",
        &json!({"cursor": "00112233445566aa-1"}).to_string(),
    );
    assert_eq!(of_bob.json().get("cursor"), None, "bob has none");
}

#[test]
fn each_pattern_of_a_stream_must_be_covered() {
    let hub = keyed();
    let token = token("alice", &json!({"subscribe": ["news/+", "a"]}));
    for topics in [
        "news/%23",
        "news",
        "%23",
        "+",
        "a,b",
        "a&topics=b",
        "news/%2B/x",
    ] {
        let answer = call(&hub, &token, "GET", &format!("/sse?topics={topics}"), "");
        assert_eq!(
            answer.refusal(),
            (403, "forbidden".into(), Some("topics".into())),
            "{topics}"
        );
    }
    for topics in [
        "news/+",
        "news/*",
        "news/eu",
        "a,news/eu",
        "a&topics=news/us",
        "",
    ] {
        let mut client = hub.connect();
        let path = format!("/sse?topics={topics}");
        let bearer = format!("Bearer {token}");
        client.send(&request("GET", &path, &[("Authorization", &bearer)], b""));
        assert_eq!(client.head().status, 200, "{topics}");
    }
}

#[test]
fn a_client_changes_its_own_connections_within_its_grants_and_an_admin_all() {
    let hub = keyed();
    let alice = token("alice", &json!({"subscribe": ["news/#"]}));
    let bob = token("bob", &everything());
    let mut stream = hub.0.stream(&format!("token={alice}"));
    let detail = stream.expect_system("connect");
    let path = format!(
        "/api/connections/{}",
        detail["connectionId"].as_str().expect("text")
    );
    let topic = |name: &str| format!("{path}/topics/{name}");
    assert_eq!(call(&hub, &bob, "DELETE", &path, "").refusal().0, 404);
    assert_eq!(
        call(&hub, &bob, "PUT", &topic("news/a"), "").refusal().0,
        404
    );
    let beyond = call(&hub, &alice, "PUT", &topic("orders"), "").refusal();
    assert_eq!(beyond, (403, "forbidden".into(), Some("topics".into())));
    assert_eq!(call(&hub, &alice, "PUT", &topic("news/a"), "").status, 200);
    assert_eq!(
        call(&hub, &alice, "DELETE", &topic("news/a"), "").status,
        200
    );
    let admin = token("root", &json!({"roles": ["admin"]}));
    assert_eq!(call(&hub, &admin, "DELETE", &path, "").status, 200);
    assert_eq!(stream.expect_system("disconnect")["reason"], "kicked");
}

#[test]
fn in_open_mode_credentials_are_ignored() {
    let hub = Called::start();
    let answer = call(
        &hub,
        "rubbish",
        "POST",
        "/api/messages?token=rubbish",
        r#"{"payload":1}"#,
    );
    assert_eq!(answer.status, 200);
}

#[test]
fn tokens_are_never_logged_however_much_is() {
    let dir = Arc::new(TempDir::new().expect("a temporary folder"));
    let path = dir.path().join("log");
    let log = File::create(&path).expect("a file for the log");
    let settings = [("JWT_SECRET", SECRET), ("LOG_LEVEL", "trace")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let hub = Called(Hub::start_with_log(dir, settings.to_vec(), log.into()));
    let token = token("alice", &everything());
    for token in [token.as_str(), "not-a-token-but-secret"] {
        post(&hub, token, "/api/messages", r#"{"payload":1}"#);
        hub.get(&format!("/api/connections?token={token}"));
        hub.get(&format!("/sse?token={token}&heartbeat=0"));
        hub.get(&format!("/nothing?token={token}"));
        // As a browser would be sent to a path by mistake.
        hub.get(&format!("/sse%3Ftoken={token}"));
    }
    let log = fs::read_to_string(&path).expect("the log");
    assert!(log.contains("/api/messages"), "requests are logged: {log}");
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(
        !log.contains(signature) && !log.contains("not-a-token-but-secret"),
        "{log}"
    );
}

#[test]
fn history_shows_a_client_its_mailbox_its_topics_and_broadcasts_and_refuses_the_rest() {
    let hub = keyed();
    let sender = token("sender", &everything());
    let batch = r#"[
        {"id":"to-alice","target":"alice","payload":1},
        {"id":"to-bob","target":"bob","payload":1},
        {"id":"news","topic":"news/eu","payload":1},
        {"id":"not-alice","topic":"news/eu","excludeClientId":"alice","payload":1},
        {"id":"secret","topic":"secret","payload":1},
        {"id":"all","payload":1}
    ]"#;
    assert_eq!(post(&hub, &sender, "/api/messages", batch).status, 200);
    let get =
        |token: &str, query: &str| call(&hub, token, "GET", &format!("/api/messages{query}"), "");
    let ids = |token: &str, query: &str| {
        let answer = get(token, query).json();
        let messages = answer["messages"].as_array().expect("messages").clone();
        let ids = messages
            .iter()
            .map(|m| m["id"].as_str().expect("an id").to_owned());
        ids.collect::<Vec<_>>()
    };
    let alice = token("alice", &json!({"subscribe": ["news/#"]}));
    assert_eq!(ids(&alice, ""), ["to-alice", "news", "all"]);
    assert_eq!(ids(&alice, "?clientId=alice"), ["to-alice"]);
    assert_eq!(ids(&alice, "?topic=news/%2B"), ["news"]);
    assert_eq!(
        ids(&alice, "?source=sender&order=desc"),
        ["all", "news", "to-alice"]
    );
    for (query, field) in [
        ("?clientId=bob", "clientId"),
        ("?topic=secret", "topic"),
        ("?topic=%23", "topic"),
    ] {
        let expected = (403, "forbidden".into(), Some(field.into()));
        assert_eq!(get(&alice, query).refusal(), expected, "{query}");
    }
    let admin = token("root", &json!({"roles": ["admin"]}));
    assert_eq!(ids(&admin, "").len(), 6);
    assert_eq!(ids(&admin, "?clientId=bob"), ["to-bob"]);
    assert_eq!(ids(&admin, "?topic=%23"), ["news", "not-alice", "secret"]);
    let nobody = token("nobody", &json!({}));
    assert_eq!(ids(&nobody, ""), ["all"]);
}

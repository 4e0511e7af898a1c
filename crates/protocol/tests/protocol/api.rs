//! The JSON of answers and of the hub's own payloads: names that SDKs rely on.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_protocol::api::{
    AckAnswer, BatchAnswer, BroadcastAnswer, ConnectDetail, ConnectionInfo, DisconnectDetail,
    DisconnectReason, GapDetail, GapReason, HeartbeatPayload, IdempotencyWindow, MaintenanceDetail,
    PublishAnswer, RecommendedAction, SystemEvent, SystemPayload,
};
use tidings_protocol::{ClientId, MessageId, limits, parse_integer};

/// Checks that a value is written as the text and reads back from it.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, json: &str) {
    assert_eq!(
        serde_json::to_string(value).expect("an answer is always JSON"),
        json
    );
    assert_eq!(
        &serde_json::from_str::<T>(json).expect("readers read it"),
        value
    );
}

fn id(text: &str) -> MessageId {
    MessageId::parse(text, "id").expect("an id")
}

fn client(text: &str) -> ClientId {
    ClientId::parse(text, "clientId").expect("a client id")
}

fn published() -> PublishAnswer {
    PublishAnswer {
        success: true,
        message_id: id("m"),
        cursor: Some("e-1".into()),
        recipients: 2,
        duplicate: false,
    }
}

#[test]
fn the_answer_to_a_message_has_a_cursor_unless_live_only_and_tells_a_duplicate() {
    check(
        &published(),
        r#"{"success":true,"messageId":"m","cursor":"e-1","recipients":2}"#,
    );
    check(
        &PublishAnswer {
            duplicate: true,
            ..published()
        },
        r#"{"success":true,"messageId":"m","cursor":"e-1","recipients":2,"duplicate":true}"#,
    );
    check(
        &PublishAnswer {
            cursor: None,
            ..published()
        },
        r#"{"success":true,"messageId":"m","recipients":2}"#,
    );
}

#[test]
fn the_answer_to_a_batch_has_its_results_in_order() {
    check(
        &BatchAnswer {
            success: true,
            results: vec![published()],
        },
        r#"{"success":true,"results":[{"success":true,"messageId":"m","cursor":"e-1","recipients":2}]}"#,
    );
}

#[test]
fn the_answers_to_broadcasts_and_acks_are_as_agreed() {
    check(
        &BroadcastAnswer {
            success: true,
            sent_count: 3,
            message_id: id("m"),
            duplicate: false,
        },
        r#"{"success":true,"sentCount":3,"messageId":"m"}"#,
    );
    check(
        &AckAnswer {
            success: true,
            applied: false,
            cursor: None,
        },
        r#"{"success":true,"applied":false}"#,
    );
    check(
        &AckAnswer {
            success: true,
            applied: true,
            cursor: Some("e-1".into()),
        },
        r#"{"success":true,"applied":true,"cursor":"e-1"}"#,
    );
}

#[test]
fn a_connection_is_listed_with_camel_case_names() {
    check(
        &ConnectionInfo {
            client_id: client("alice"),
            connection_id: "c1".into(),
            created_at: 1,
            last_active_at: 2,
            uptime: 3,
            topics: vec!["a/#".into()],
            queued: 4,
            remote_addr: "127.0.0.1:5".into(),
        },
        r#"{"clientId":"alice","connectionId":"c1","createdAt":1,"lastActiveAt":2,"uptime":3,"topics":["a/#"],"queued":4,"remoteAddr":"127.0.0.1:5"}"#,
    );
}

#[test]
fn connect_tells_all_that_a_client_must_know() {
    let detail = ConnectDetail {
        client_id: client("alice"),
        connection_id: "c1".into(),
        cursor: "e-1".into(),
        resumed: true,
        topics: vec!["a".into()],
        heartbeat_interval: 25_000,
        max_event_bytes: limits::EVENT_BYTES_MAX,
        idempotency_window: IdempotencyWindow {
            ms: limits::IDEMPOTENCY_MS,
            ids: limits::IDEMPOTENCY_IDS,
        },
    };
    check(
        &SystemPayload::new(SystemEvent::Connect, detail),
        r#"{"event":"connect","detail":{"clientId":"alice","connectionId":"c1","cursor":"e-1","resumed":true,"topics":["a"],"heartbeatInterval":25000,"maxEventBytes":1052672,"idempotencyWindow":{"ms":600000,"ids":1000000}}}"#,
    );
}

#[test]
fn a_gap_says_from_where_to_where_and_why() {
    let gap = |reason| GapDetail {
        from: "a".into(),
        to: "b".into(),
        reason,
    };
    check(
        &gap(GapReason::Expired),
        r#"{"from":"a","to":"b","reason":"expired"}"#,
    );
    check(
        &gap(GapReason::UnknownEpoch),
        r#"{"from":"a","to":"b","reason":"unknown_epoch"}"#,
    );
}

#[test]
fn each_reason_to_disconnect_says_whether_to_come_back() {
    for (reason, json) in [
        (
            DisconnectReason::Replaced,
            r#"{"reason":"replaced","reconnect":false}"#,
        ),
        (
            DisconnectReason::Kicked,
            r#"{"reason":"kicked","reconnect":false}"#,
        ),
        (
            DisconnectReason::Revoked,
            r#"{"reason":"revoked","reconnect":false}"#,
        ),
        (
            DisconnectReason::TokenExpired,
            r#"{"reason":"token_expired","reconnect":true}"#,
        ),
        (
            DisconnectReason::Lifetime,
            r#"{"reason":"lifetime","reconnect":true}"#,
        ),
    ] {
        check(&DisconnectDetail::from(reason), json);
    }
}

#[test]
fn maintenance_advises_to_reconnect() {
    let payload = SystemPayload {
        recommended_action: Some(RecommendedAction::Reconnect),
        ..SystemPayload::new(
            SystemEvent::Maintenance,
            MaintenanceDetail { retry_after_ms: 5 },
        )
    };
    check(
        &payload,
        r#"{"event":"maintenance","detail":{"retryAfterMs":5},"recommendedAction":"reconnect"}"#,
    );
}

#[test]
fn a_heartbeat_tells_the_time_of_the_hub() {
    check(&HeartbeatPayload { server_time: 7 }, r#"{"serverTime":7}"#);
}

#[test]
fn a_name_is_checked_wherever_it_is_read() {
    serde_json::from_str::<ClientId>(r#""$hub""#).expect_err("a name of the hub");
    serde_json::from_str::<MessageId>(r#""""#).expect_err("empty");
    serde_json::from_str::<BroadcastAnswer>(r#"{"success":true,"sentCount":1,"messageId":"a\nb"}"#)
        .expect_err("a line break");
}

#[test]
fn a_whole_number_is_digits_up_to_what_every_reader_keeps_exact() {
    assert_eq!(parse_integer("0", "Tidings-Ttl"), Ok(0));
    assert_eq!(
        parse_integer("9007199254740991", "Tidings-Ttl"),
        Ok(limits::INTEGER_MAX)
    );
    for text in [
        "",
        "-1",
        "+1",
        "1.0",
        "1e3",
        " 1",
        "1 ",
        "9007199254740992",
        "99999999999999999999",
        "x",
    ] {
        let invalid = parse_integer(text, "Tidings-Ttl").expect_err(text);
        assert_eq!(
            invalid.to_string(),
            "`Tidings-Ttl` must be a whole number from 0 to 9007199254740991"
        );
    }
}

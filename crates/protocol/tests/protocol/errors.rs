//! The public list of error codes and the body of an error answer: what clients rely on.

use tidings_protocol::{ErrorCode, Invalid, Problem};

const CODES: &str = "\
body_timeout 408
forbidden 403
forbidden_origin 403
head_timeout 408
head_too_large 431
id_conflict 409
internal 500
invalid_cursor 400
invalid_field 400
invalid_json 400
invalid_request 400
invalid_token 401
message_too_large 413
method_not_allowed 405
missing_token 401
not_available 501
not_connected 404
not_found 404
overloaded 503
reserved_type 403
shutting_down 503
store_failed 503
store_full 503
token_expired 401
too_many_connections 503
unsupported_combination 422
unsupported_media_type 415
";

#[test]
fn codes_and_their_statuses_are_those_of_the_fixture() {
    let list: String = ErrorCode::ALL
        .iter()
        .map(|code| format!("{code} {}\n", code.status()))
        .collect();
    assert_eq!(list, CODES);
}

#[test]
fn codes_are_in_alphabetical_order_without_repeats() {
    assert!(ErrorCode::ALL.is_sorted_by(|a, b| a.as_str() < b.as_str()));
}

#[test]
fn each_code_has_a_title_of_its_own() {
    let mut titles: Vec<_> = ErrorCode::ALL.iter().map(|code| code.title()).collect();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), ErrorCode::ALL.len());
}

#[track_caller]
fn check_json(problem: &Problem, expected: &str) {
    assert_eq!(
        serde_json::to_string_pretty(problem).expect("a problem is always JSON"),
        expected
    );
}

#[test]
fn a_problem_of_a_field_names_it_in_field_and_text() {
    let invalid = Invalid::field("priority", "must be a whole number from 0 to 3").within("[3]");
    check_json(
        &invalid.into(),
        r#"{
  "type": "urn:tidings:error:invalid_field",
  "title": "Invalid field",
  "status": 400,
  "detail": "`[3].priority` must be a whole number from 0 to 3",
  "code": "invalid_field",
  "error": "`[3].priority` must be a whole number from 0 to 3",
  "field": "[3].priority"
}"#,
    );
}

#[test]
fn a_problem_to_try_again_says_when() {
    check_json(
        &Problem::new(ErrorCode::Overloaded, "the write queue is full").retry_after_ms(1500),
        r#"{
  "type": "urn:tidings:error:overloaded",
  "title": "Hub overloaded",
  "status": 503,
  "detail": "the write queue is full",
  "code": "overloaded",
  "error": "the write queue is full",
  "retryAfterMs": 1500
}"#,
    );
}

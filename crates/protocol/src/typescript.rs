//! The wire types as the TypeScript SDK reads them: `packages/sdk/src/wire/`, written by `cargo xtask types`.
//!
//! Numbers stay below 2^53, so they are `number` there and never `bigint`.

use std::fmt::Write as _;
use std::path::PathBuf;

use ts_rs::{Config, TS};

use crate::api::{
    AckAnswer, AckRequest, BatchAnswer, BroadcastAnswer, ConnectDetail, ConnectionInfo,
    DisconnectDetail, DisconnectReason, Done, GapDetail, GapReason, HeartbeatPayload,
    HistoryAnswer, IdempotencyWindow, MaintenanceDetail, MessageAnswer, MessageRef, PublishAnswer,
    Receipt, ReceiptPayload, ReceiptStatus, RecommendedAction, SystemEvent, SystemPayload,
    TopicAnswer,
};
use crate::{
    ClientId, ErrorCode, Incoming, Message, MessageId, MessageType, Priority, Problem, Topic,
    limits,
};

/// Set by `cargo xtask types`: write the files instead of comparing them.
const WRITE: &str = "TIDINGS_WRITE_TYPES";

/// What a sender adds to a message for its readers, carried untouched.
#[derive(TS)]
#[ts(type = "{ [key: string]: unknown }")]
pub(crate) struct Metadata;

// `Problem` is serialized by hand; this says its shape.
/// The body of every refusal, `application/problem+json`.
#[derive(TS)]
#[ts(rename = "Problem", rename_all = "camelCase", optional_fields)]
#[expect(dead_code, reason = "only its declaration is used")]
struct ProblemDocument {
    /// `urn:tidings:error:` and the code.
    r#type: String,
    title: String,
    status: u16,
    /// For people; may change.
    detail: String,
    /// Stable: what programs compare.
    #[ts(type = "ErrorCode")]
    code: String,
    /// The same text as `detail`.
    error: String,
    field: Option<String>,
    retry_after_ms: Option<u64>,
}

macro_rules! declarations {
    ($($kind:ty),+ $(,)?) => { [$(declaration::<$kind>(),)+].join("\n") };
}

#[test]
fn the_types_of_the_typescript_sdk_are_those_of_this_crate() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packages/sdk/src/wire");
    for (file, text) in [
        ("api.ts", api()),
        ("errors.ts", errors()),
        ("events.ts", events()),
        ("limits.ts", limits()),
        ("message.ts", message()),
    ] {
        let path = folder.join(file);
        let text = format!("// Written by `cargo xtask types` from crates/protocol.\n\n{text}");
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, &text).unwrap_or_else(|error| panic!("write {file}: {error}"));
        }
        let committed =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {file}: {error}"));
        assert!(
            committed == text,
            "{file} is not what crates/protocol says: run `cargo xtask types` and commit what it writes"
        );
    }
}

#[test]
fn the_declared_problem_has_the_fields_of_a_real_one() {
    let problem = Problem {
        field: Some("priority".to_owned()),
        ..Problem::new(ErrorCode::InvalidField, "a rule").retry_after_ms(1)
    };
    let real = serde_json::to_value(problem).expect("a problem is JSON");
    let declared = declaration::<ProblemDocument>();
    let declared: Vec<&str> = declared
        .lines()
        .filter(|line| !line.contains("/**"))
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name.trim().trim_end_matches('?'))
        .collect();
    let mut real: Vec<&str> = real
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let mut sorted = declared;
    sorted.sort_unstable();
    real.sort_unstable();
    assert_eq!(sorted, real);
}

fn message() -> String {
    declarations![
        ClientId,
        MessageId,
        Topic,
        MessageType,
        Priority,
        Metadata,
        Message,
        Incoming
    ]
}

fn api() -> String {
    let imports = "import type { ReceiptStatus } from \"./events.ts\";\n\
         import type { ClientId, Message, MessageId } from \"./message.ts\";\n\n";
    let types = declarations![
        PublishAnswer,
        BatchAnswer,
        BroadcastAnswer,
        AckRequest,
        MessageRef,
        AckAnswer,
        Done,
        TopicAnswer,
        HistoryAnswer,
        MessageAnswer,
        Receipt,
        ConnectionInfo
    ];
    format!("{imports}{types}")
}

fn events() -> String {
    let imports = "import type { ClientId, MessageId } from \"./message.ts\";\n\n";
    // Every generic instance has the same declaration.
    let types = declarations![
        SystemPayload<ConnectDetail>,
        SystemEvent,
        RecommendedAction,
        ConnectDetail,
        IdempotencyWindow,
        GapDetail,
        GapReason,
        MaintenanceDetail,
        DisconnectDetail,
        DisconnectReason,
        ReceiptPayload,
        ReceiptStatus,
        HeartbeatPayload
    ];
    format!("{imports}{types}")
}

fn errors() -> String {
    let mut text =
        String::from("/** Every code that a hub answers with; the list only grows. */\n");
    text.push_str("export type ErrorCode =\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(text, "  | \"{code}\"");
    }
    text.pop();
    text.push_str(";\n\n/** The HTTP status and the title of each code. */\n");
    text.push_str("export const ERRORS: { readonly [C in ErrorCode]: readonly [status: number, title: string] } = {\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(text, "  {code}: [{}, \"{}\"],", code.status(), code.title());
    }
    text.push_str("};\n\n");
    text + &declaration::<ProblemDocument>()
}

fn limits() -> String {
    let number = |name: &str, value: u64| format!("export const {name} = {value};\n");
    [
        number("ID_BYTES_MAX", limits::ID_BYTES_MAX as u64),
        number("MESSAGE_BYTES_MAX", limits::MESSAGE_BYTES_MAX as u64),
        number("BODY_BYTES_MAX", limits::BODY_BYTES_MAX as u64),
        number("EVENT_BYTES_MAX", limits::EVENT_BYTES_MAX as u64),
        number("BATCH_MAX", limits::BATCH_MAX as u64),
        number("TOPICS_MAX", limits::TOPICS_MAX as u64),
        number("SINCE_LAST_MAX", limits::SINCE_LAST_MAX as u64),
        number("HISTORY_LIMIT", limits::HISTORY_LIMIT as u64),
        number("HISTORY_LIMIT_MAX", limits::HISTORY_LIMIT_MAX as u64),
        number("HEARTBEAT_MS_MIN", limits::HEARTBEAT_MS_MIN),
        number("HEARTBEAT_MS_MAX", limits::HEARTBEAT_MS_MAX),
        number("IDEMPOTENCY_MS", limits::IDEMPOTENCY_MS),
        number("IDEMPOTENCY_IDS", limits::IDEMPOTENCY_IDS),
    ]
    .concat()
}

/// `export type Name = ...;` with its documentation, one field on a line.
fn declaration<T: TS>() -> String {
    let config = Config::new().with_large_int("number");
    let mut text = T::docs().map(|docs| comment(&docs, "")).unwrap_or_default();
    let raw = T::decl(&config);
    let Some((head, fields)) = raw
        .strip_suffix(", };")
        .and_then(|raw| raw.split_once(" = { "))
    else {
        let _ = writeln!(text, "export {raw}");
        return text;
    };
    let _ = writeln!(text, "export {head} = {{");
    let mut rest = fields.trim_start();
    while !rest.is_empty() {
        if let Some((docs, behind)) = rest
            .strip_prefix("/**")
            .and_then(|rest| rest.split_once("*/"))
        {
            text.push_str(&comment(docs, "  "));
            rest = behind.trim_start();
        }
        let end = field_end(rest);
        let _ = writeln!(text, "  {};", &rest[..end]);
        rest = rest[end..].trim_start_matches([',', ' ', '\n']);
    }
    text.push_str("};\n");
    text
}

/// The comma behind the first field, past those inside brackets.
fn field_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (place, character) in text.char_indices() {
        match character {
            '{' | '<' | '[' => depth += 1,
            '}' | '>' | ']' => depth -= 1,
            ',' if depth == 0 => return place,
            _ => {}
        }
    }
    text.len()
}

/// A documentation comment in the form that editors show.
fn comment(docs: &str, indent: &str) -> String {
    let lines: Vec<&str> = docs
        .lines()
        .map(|line| {
            line.trim()
                .trim_start_matches("/**")
                .trim_start_matches("*/")
                .trim_start_matches('*')
                .trim()
        })
        .collect();
    let text = lines.join("\n");
    let lines: Vec<&str> = text.trim().lines().collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        _ => {
            let mut text = format!("{indent}/**\n");
            for line in lines {
                let _ = writeln!(text, "{}", format!("{indent} * {line}").trim_end());
            }
            text + indent + " */\n"
        }
    }
}

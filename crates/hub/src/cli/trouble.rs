//! Why requests fail, and whether waiting helps.

use std::time::Duration;

use reqwest::header::{HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::failure::Failure;
use super::remote::Remote;

/// A refusal's text is a few hundred bytes; a page from some proxy is of no use beyond its status.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Why a request had no success.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing was sent.
    NotConnected(String),
    /// Whether the request was carried out is not known.
    NotAnswered(String),
    Refused(Refusal),
}

impl Trouble {
    pub(super) fn of(remote: &Remote, error: &reqwest::Error) -> Self {
        let (hub, cause) = (remote.shown(), root_cause(error));
        if error.is_connect() {
            Self::NotConnected(format!("cannot connect to {hub}: {cause}"))
        } else {
            Self::NotAnswered(format!("no answer from {hub}: {cause}"))
        }
    }

    pub(super) fn retryable(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::NotAnswered(_) => true,
            Self::Refused(refusal) => refusal.retryable(),
        }
    }

    /// How long the hub asked us to wait.
    pub(super) fn asked(&self) -> Option<Duration> {
        match self {
            Self::NotConnected(_) | Self::NotAnswered(_) => None,
            Self::Refused(refusal) => refusal.retry_after,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::NotConnected(text) | Self::NotAnswered(text) => text,
            Self::Refused(refusal) => &refusal.text,
        }
    }
}

/// The layers above it only repeat that there was an error.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) if refusal.status.is_client_error() => {
                Self::Refused(refusal.text)
            }
            other => Self::Failed(other.text().to_owned()),
        }
    }
}

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The hub's own words, with status and code.
    pub(super) text: String,
    retry_after: Option<Duration>,
}

/// The parts of `application/problem+json` that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    field: Option<String>,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    pub(super) async fn read(mut response: Response) -> Self {
        let status = response.status();
        let text_of = |name| {
            let value: &HeaderValue = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (location, seconds) = (text_of(LOCATION), text_of(RETRY_AFTER));
        let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > REFUSAL_BYTES_MAX {
                break;
            }
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        Self {
            status,
            text: refusal_text(status, &problem, location.as_deref()),
            retry_after: problem
                .retry_after_ms
                .map(Duration::from_millis)
                .or(seconds.map(Duration::from_secs)),
        }
    }

    /// An answer that only something else than a hub can give.
    pub(super) fn foreign(status: StatusCode) -> Self {
        Self {
            status,
            text: refusal_text(status, &Problem::default(), None),
            retry_after: None,
        }
    }

    /// Whether the same request may succeed later. 501 and the rest of 4xx do not change by waiting.
    pub(super) fn retryable(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 425 | 429 | 500 | 502..=504 | 520..=529)
    }
}

fn refusal_text(status: StatusCode, problem: &Problem, location: Option<&str>) -> String {
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        return format!("the address answers with a redirect to {location}; give that as --url");
    }
    let Some(detail) = &problem.detail else {
        return format!("the address answers {status}; is it a hub's?");
    };
    let code = problem.code.as_deref().unwrap_or("no code");
    let field = problem.field.as_deref().unwrap_or_default();
    let named = if detail.contains(field) {
        String::new()
    } else {
        format!("{field}: ")
    };
    format!("{named}{detail} ({} {code})", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_hubs_own_words() {
        let check = |status: StatusCode, detail: Option<&str>, field: &str, location, expected| {
            let problem = Problem {
                code: Some("invalid_field".to_owned()),
                detail: detail.map(str::to_owned),
                field: Some(field.to_owned()).filter(|field| !field.is_empty()),
                retry_after_ms: None,
            };
            assert_eq!(refusal_text(status, &problem, location), expected);
        };
        let (bad, empty) = (StatusCode::BAD_REQUEST, Some("topic must not be empty"));
        check(
            bad,
            empty,
            "topic",
            None,
            "topic must not be empty (400 invalid_field)",
        );
        check(
            bad,
            empty,
            "",
            None,
            "topic must not be empty (400 invalid_field)",
        );
        let indexed = "[3].topic: topic must not be empty (400 invalid_field)";
        check(bad, empty, "[3].topic", None, indexed);
        let foreign = "the address answers 502 Bad Gateway; is it a hub's?";
        check(StatusCode::BAD_GATEWAY, None, "", None, foreign);
        let redirect = "the address answers with a redirect to https://h/; give that as --url";
        check(StatusCode::FOUND, None, "", Some("https://h/"), redirect);
    }
}

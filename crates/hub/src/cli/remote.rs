//! The hub at the other end of `publish` and `subscribe`: where it is, who we are, and what its refusals mean.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::failure::Failure;
use super::text::chain;
use crate::config::Secret;

/// A TCP or TLS handshake that takes longer is not going to end well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Finds a peer that vanished without a word, below HTTP.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A refusal's text is a few hundred bytes; a page from some proxy is of no use beyond its status.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// Address of the hub
    #[arg(long, env = "TIDINGS_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,

    /// Token to show to the hub, see `tidings token`; the variable is safer, since others can read a command line
    #[arg(long, env = "TIDINGS_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<Secret>,
}

fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

#[derive(Debug, Clone)]
pub(super) struct Remote {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

impl Remote {
    pub(super) fn new(access: Access) -> Result<Self, Failure> {
        if !matches!(access.url.scheme(), "http" | "https") {
            let text = format!("--url {} must begin with http:// or https://", access.url);
            return Err(Failure::Usage(text));
        }
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_nodelay(true)
            // A redirect to another host must not get the token, and one to another path means a wrong --url.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&access.url) {
            client = client.no_proxy();
        }
        let http = client
            .build()
            .map_err(|error| Failure::Failed(chain(&error)))?;
        let authorization = match &access.token {
            Some(token) => authorization(token)?,
            None => None,
        };
        Ok(Self {
            http,
            base: base(access.url),
            authorization,
        })
    }

    /// The hub's address as the user knows it.
    pub(super) fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether a token says who we are.
    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.authorized(self.http.get(url))
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.authorized(self.http.post(url))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Both the hub's address and that of its stream are understood.
fn base(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/sse").unwrap_or(path).to_owned();
    url.set_path(&path);
    url
}

/// An empty token is none: that is what an unset variable looks like after a shell has passed it on.
fn authorization(token: &Secret) -> Result<Option<HeaderValue>, Failure> {
    let token = token.expose().trim();
    if token.is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::Usage("the token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

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

    fn remote(url: &str) -> Result<Remote, Failure> {
        let url = Url::parse(url).expect("a URL");
        Remote::new(Access { url, token: None })
    }

    #[test]
    fn the_address_of_the_hub_or_of_its_stream_is_understood() {
        for (given, messages) in [
            ("http://h:1", "http://h:1/api/messages"),
            ("http://h:1/", "http://h:1/api/messages"),
            ("http://h:1/sse", "http://h:1/api/messages"),
            ("https://h/hub/", "https://h/hub/api/messages"),
            ("https://h/hub/sse?x=1#y", "https://h/hub/api/messages"),
        ] {
            let url = remote(given).expect("a remote").url("/api/messages");
            assert_eq!(url.as_str(), messages, "{given}");
        }
        assert!(matches!(remote("ftp://h/"), Err(Failure::Usage(_))));
    }

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

    #[test]
    fn an_empty_token_is_none_and_a_broken_one_is_refused_without_being_shown() {
        assert_eq!(authorization(&Secret::new(" \n")), Ok(None));
        let refused = authorization(&Secret::new("a\nb")).expect_err("a refusal");
        let text = "the token has characters that no token has".to_owned();
        assert_eq!(refused, Failure::Usage(text));
    }
}

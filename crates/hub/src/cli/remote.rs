//! The hub at the other end of `publish` and `subscribe`: where it is, and who we are.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::text::chain;
use super::trouble::{Refusal, Trouble};
use crate::config::Secret;

/// A TCP or TLS handshake that takes longer is not going to end well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads of a few milliseconds; more is a hub that does not work.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Finds a peer that vanished without a word, below HTTP.
const KEEPALIVE: Duration = Duration::from_secs(30);

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

    pub(super) fn url_with<'a>(
        &self,
        path: &str,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Url {
        let pairs: Vec<String> = parameters
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect();
        let mut url = self.url(path);
        url.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
        url
    }

    /// One question with a short answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, url: Url) -> Result<T, Trouble> {
        let trouble = |error: reqwest::Error| Trouble::of(self, &error);
        let response = self.get(url).timeout(ANSWER_TIMEOUT).send().await;
        let response = response.map_err(trouble)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Trouble::Refused(Refusal::read(response).await));
        }
        let answer = response.bytes().await.map_err(trouble)?;
        serde_json::from_slice(&answer).map_err(|_| Trouble::Refused(Refusal::foreign(status)))
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

/// The hub keeps `+` as `+`, so the encoding of forms will not do.
fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b',' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
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
    fn an_empty_token_is_none_and_a_broken_one_is_refused_without_being_shown() {
        assert_eq!(authorization(&Secret::new(" \n")), Ok(None));
        let refused = authorization(&Secret::new("a\nb")).expect_err("a refusal");
        let text = "the token has characters that no token has".to_owned();
        assert_eq!(refused, Failure::Usage(text));
    }
}

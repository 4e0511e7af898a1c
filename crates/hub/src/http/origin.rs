//! From where the hub may be called: the rules of open mode, and CORS.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, Version};
use tidings_protocol::{ErrorCode, Problem};

use super::problem;
use crate::config::Config;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is allowed to call.
#[derive(Debug)]
pub(crate) struct Origins {
    open: bool,
    /// Host names besides loopback, without port.
    hosts: Vec<String>,
    /// As browsers send them.
    origins: Vec<String>,
}

impl Origins {
    pub(crate) fn of(config: &Config) -> Self {
        let server = &config.server;
        Self::new(
            config.is_open(),
            &server.allowed_hosts,
            &server.allowed_origins,
        )
    }

    fn new(open: bool, hosts: &[String], origins: &[String]) -> Self {
        Self {
            open,
            hosts: hosts.to_vec(),
            origins: origins.to_vec(),
        }
    }

    /// Refuses requests without a proper `Host`, and in open mode those that a web page elsewhere could have caused: there,
    /// being able to reach the hub is the only credential, and a browser on the same machine reaches it for every page.
    pub(super) fn check(
        &self,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let host = one_host(headers, version)?;
        if !self.open {
            return Ok(());
        }
        let named = uri
            .authority()
            .map(Authority::as_str)
            .into_iter()
            .chain(host);
        for authority in named {
            if !self.host_allowed(host_of(authority)) {
                return Err(forbidden(
                    "this hub has no keys and answers under loopback names only, or those in `server.allowed_hosts`",
                ));
            }
        }
        self.check_origin(headers, host)
    }

    fn check_origin(&self, headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
        let origin = headers.get(ORIGIN);
        if let Some(origin) = origin
            && !self.origin_allowed(origin, host)
        {
            return Err(forbidden(
                "this hub has no keys and answers loopback pages only, or those in `server.allowed_origins`",
            ));
        }
        let listed = origin.is_some_and(|origin| self.listed(origin));
        if !listed
            && headers
                .get(SEC_FETCH_SITE)
                .is_some_and(|site| site == "cross-site")
        {
            return Err(forbidden(
                "this hub has no keys and does not answer requests that a page of another site makes; \
                 a page on localhost must call it as localhost, not as 127.0.0.1",
            ));
        }
        Ok(())
    }

    /// The origin to name in `Access-Control-Allow-Origin`.
    pub(super) fn shared_with<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let by_default = || self.open && self.origins.is_empty() && is_loopback_origin(origin);
        (self.listed(origin) || by_default()).then_some(origin)
    }

    fn host_allowed(&self, host: &str) -> bool {
        is_loopback(host)
            || self
                .hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn origin_allowed(&self, origin: &HeaderValue, host: Option<&str>) -> bool {
        // The hub's own page, under a host that was found allowed.
        let own = || host.is_some() && authority_of(origin) == host;
        self.listed(origin) || is_loopback_origin(origin) || own()
    }

    fn listed(&self, origin: &HeaderValue) -> bool {
        self.origins
            .iter()
            .any(|allowed| origin == allowed.as_str())
    }
}

/// HTTP/1.1 asks for exactly one `Host` (RFC 9112, 3.2); of two, a proxy could check one and we the other.
fn one_host(headers: &HeaderMap, version: Version) -> Result<Option<&str>, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let malformed = |detail| Err(problem::invalid_field("Host", detail));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => match host.to_str() {
            Ok(host) => Ok(Some(host)),
            Err(_) => malformed("the Host header is not a host name"),
        },
        (None, _) if version < Version::HTTP_11 => Ok(None),
        (None, _) => malformed("HTTP/1.1 requests have a Host header"),
        (_, Some(_)) => malformed("there is more than one Host header"),
    }
}

fn is_loopback_origin(origin: &HeaderValue) -> bool {
    authority_of(origin).is_some_and(|authority| is_loopback(host_of(authority)))
}

/// `host:port` of an http or https origin.
fn authority_of(origin: &HeaderValue) -> Option<&str> {
    let origin = origin.to_str().ok()?;
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

/// The host of `host:port`; IPv6 addresses keep their brackets.
fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority
            .find(']')
            .map_or(authority, |end| split_port(authority, end + 1));
    }
    split_port(authority, authority.find(':').unwrap_or(authority.len()))
}

/// The part before `at` if a port or nothing follows there, else everything, which is then no known host.
fn split_port(authority: &str, at: usize) -> &str {
    let (host, rest) = authority.split_at(at);
    let port = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    if rest.is_empty() || rest.strip_prefix(':').is_some_and(port) {
        host
    } else {
        authority
    }
}

fn is_loopback(host: &str) -> bool {
    let v6 = || {
        host.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: Ipv4Addr| address.is_loopback())
        || v6().is_some_and(|address| address.is_loopback())
}

fn forbidden(detail: &str) -> Problem {
    problem::new(ErrorCode::ForbiddenOrigin, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header value"),
            )
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn open() -> Origins {
        let hosts = ["hub.example.org".to_owned()];
        Origins::new(true, &hosts, &["https://app.example.org".to_owned()])
    }

    fn refused(origins: &Origins, uri: &str, pairs: &[(&'static str, &str)]) -> Option<ErrorCode> {
        let uri = uri.parse().expect("a URI");
        origins
            .check(&uri, Version::HTTP_11, &headers(pairs))
            .err()
            .map(|problem| problem.code)
    }

    #[test]
    fn in_open_mode_only_loopback_and_allowed_hosts_are_answered() {
        for host in [
            "localhost",
            "LocalHost:8434",
            "127.0.0.1",
            "127.8.9.10:1",
            "[::1]",
            "[::1]:8434",
            "hub.example.org",
            "hub.example.org:80",
        ] {
            assert_eq!(refused(&open(), "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "[::1",
            "[::1]x",
            "localhost:80@evil.example",
            "evil.example:80",
            "",
            "127.1",
            "localhost:x",
        ] {
            assert_eq!(
                refused(&open(), "/", &[("host", host)]),
                Some(ErrorCode::ForbiddenOrigin),
                "{host}"
            );
        }
    }

    #[test]
    fn an_absolute_request_target_does_not_hide_a_foreign_host() {
        let host = [("host", "localhost")];
        assert_eq!(
            refused(&open(), "http://evil.example/", &host),
            Some(ErrorCode::ForbiddenOrigin)
        );
        assert_eq!(refused(&open(), "http://localhost/", &host), None);
    }

    #[test]
    fn in_open_mode_only_loopback_listed_and_own_origins_are_answered() {
        for (host, origin) in [
            ("localhost:8434", "http://localhost:3000"),
            ("localhost:8434", "https://127.0.0.1"),
            ("localhost:8434", "http://[::1]:5173"),
            ("localhost:8434", "https://app.example.org"),
            ("hub.example.org:8434", "http://hub.example.org:8434"),
        ] {
            assert_eq!(
                refused(&open(), "/", &[("host", host), ("origin", origin)]),
                None,
                "{origin}"
            );
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://app.example.org",
            "https://app.example.org.evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "file://",
            "http://hub.example.org",
        ] {
            let headers = [("host", "localhost:8434"), ("origin", origin)];
            assert_eq!(
                refused(&open(), "/", &headers),
                Some(ErrorCode::ForbiddenOrigin),
                "{origin}"
            );
        }
    }

    #[test]
    fn in_open_mode_requests_of_other_sites_are_refused_unless_their_origin_is_listed() {
        let site = |site| [("host", "localhost"), ("sec-fetch-site", site)];
        assert_eq!(
            refused(&open(), "/", &site("cross-site")),
            Some(ErrorCode::ForbiddenOrigin)
        );
        for site_name in ["none", "same-origin", "same-site"] {
            assert_eq!(refused(&open(), "/", &site(site_name)), None, "{site_name}");
        }
        let from = |origin| {
            [
                ("host", "localhost"),
                ("sec-fetch-site", "cross-site"),
                ("origin", origin),
            ]
        };
        assert_eq!(
            refused(&open(), "/", &from("https://app.example.org")),
            None
        );
        assert_eq!(
            refused(&open(), "/", &from("http://localhost:3000")),
            Some(ErrorCode::ForbiddenOrigin)
        );
    }

    #[test]
    fn with_keys_every_origin_is_answered_and_none_but_listed_ones_is_shared_with() {
        let keyed = Origins::new(false, &[], &["https://app.example.org".to_owned()]);
        let foreign = [("host", "hub"), ("origin", "https://evil.example")];
        assert_eq!(refused(&keyed, "/", &foreign), None);
        assert!(keyed.shared_with(&headers(&foreign)).is_none());
        assert!(
            keyed
                .shared_with(&headers(&[("origin", "http://localhost")]))
                .is_none()
        );
        assert!(
            keyed
                .shared_with(&headers(&[("origin", "https://app.example.org")]))
                .is_some()
        );
    }

    #[test]
    fn in_open_mode_loopback_origins_are_shared_with_unless_a_list_replaces_them() {
        let loopback = headers(&[("origin", "http://localhost:3000")]);
        assert!(
            Origins::new(true, &[], &[])
                .shared_with(&loopback)
                .is_some()
        );
        assert!(open().shared_with(&loopback).is_none());
        assert!(
            Origins::new(false, &[], &[])
                .shared_with(&loopback)
                .is_none()
        );
    }

    #[test]
    fn a_request_has_one_host() {
        let keyed = Origins::new(false, &[], &[]);
        assert_eq!(refused(&keyed, "/", &[]), Some(ErrorCode::InvalidField));
        let two = [("host", "a"), ("host", "b")];
        assert_eq!(refused(&keyed, "/", &two), Some(ErrorCode::InvalidField));
        let uri = "/".parse().expect("a URI");
        assert!(keyed.check(&uri, Version::HTTP_10, &headers(&[])).is_ok());
    }
}

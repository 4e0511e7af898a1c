//! CORS: which answers pages of other origins may read.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::defaults::PREFLIGHT_MAX_AGE;
use super::origin::Origins;

const ALLOWED_HEADERS: [&str; 4] = [
    "authorization",
    "last-event-id",
    "content-type",
    "idempotency-key",
];
const ALLOWED_HEADER_PREFIX: &str = "tidings-";
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Retry-After, Date");

pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What every answer carries, streams included.
pub(super) fn headers(origins: &Origins, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(3);
    // Also where nothing is shared: a cache must not give this answer to another origin.
    headers.push((VARY, HeaderValue::from_static("Origin")));
    if let Some(origin) = origins.shared_with(request) {
        headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        headers.push((ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS));
    }
    headers
}

/// What the answer to a preflight carries besides.
pub(super) fn preflight_headers(
    origins: &Origins,
    request: &HeaderMap,
) -> Vec<(HeaderName, HeaderValue)> {
    if origins.shared_with(request).is_none() {
        return Vec::new();
    }
    let mut headers = vec![
        (ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (
            ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(PREFLIGHT_MAX_AGE),
        ),
    ];
    if let Ok(allowed) = HeaderValue::from_str(&allowed_headers(request)) {
        headers.push((ACCESS_CONTROL_ALLOW_HEADERS, allowed));
    }
    headers
}

/// CORS knows no `Tidings-*`, so of those the ones asked for are named.
fn allowed_headers(request: &HeaderMap) -> String {
    let asked = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = asked
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','));
    let ours = names
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| name.starts_with(ALLOWED_HEADER_PREFIX));
    let always = ALLOWED_HEADERS.into_iter().map(str::to_owned);
    always.chain(ours).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preflight_allows_our_headers_and_no_others() {
        let mut request = HeaderMap::new();
        let asked = HeaderValue::from_static("Tidings-Ttl, content-type,X-Other, tidings-priority");
        request.insert(ACCESS_CONTROL_REQUEST_HEADERS, asked);
        assert_eq!(
            allowed_headers(&request),
            "authorization, last-event-id, content-type, idempotency-key, tidings-ttl, tidings-priority"
        );
    }

    #[test]
    fn a_plain_options_request_is_no_preflight() {
        let mut request = HeaderMap::new();
        request.insert(ORIGIN, HeaderValue::from_static("http://localhost"));
        assert!(!is_preflight(&Method::OPTIONS, &request));
        request.insert(
            ACCESS_CONTROL_REQUEST_METHOD,
            HeaderValue::from_static("POST"),
        );
        assert!(is_preflight(&Method::OPTIONS, &request));
        assert!(!is_preflight(&Method::POST, &request));
    }
}

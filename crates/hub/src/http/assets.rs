//! The page at `/`.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use xxhash_rust::xxh3::xxh3_64;

use crate::page::{self, ASSETS, Asset};

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let etag = HeaderValue::from_str(&format!("\"{:016x}\"", xxh3_64(asset.body.as_bytes())))
            .expect("hexadecimal digits are a header value");
        router.route(
            asset.path,
            get(async move |headers: HeaderMap| answer(asset, &etag, &headers)),
        )
    })
}

fn answer(asset: &'static Asset, etag: &HeaderValue, request: &HeaderMap) -> Response {
    let known = request
        .get(IF_NONE_MATCH)
        .is_some_and(|known| names(known, etag));
    let mut response = Response::new(if known {
        Body::empty()
    } else {
        Body::from(asset.body)
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, etag.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(page::CONTENT_SECURITY_POLICY),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The address of the page may carry a token.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Whether an `If-None-Match` names the tag. Proxies that compress make tags weak.
fn names(known: &HeaderValue, etag: &HeaderValue) -> bool {
    let tags = known.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || etag == tag)
}

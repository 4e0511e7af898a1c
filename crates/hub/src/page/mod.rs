//! The page at `/`, compiled into the binary: plain HTML, CSS and JavaScript modules, no build step.
//!
//! Everything it loads comes from the hub itself, and nothing is inline, so that
//! [`CONTENT_SECURITY_POLICY`] can forbid the rest.

/// One file of the page and the path it is served at.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
}

/// Every file of the page. They change only with the binary, and no name carries a version: serve them with
/// `Cache-Control: no-cache`.
pub(crate) const ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        content_type: HTML,
        body: include_str!("index.html"),
    },
    Asset {
        path: "/page/page.css",
        content_type: CSS,
        body: include_str!("page.css"),
    },
    Asset {
        path: "/page/page.js",
        content_type: JAVASCRIPT,
        body: include_str!("page.js"),
    },
    Asset {
        path: "/page/client.js",
        content_type: JAVASCRIPT,
        body: include_str!("client.js"),
    },
    Asset {
        path: "/page/log.js",
        content_type: JAVASCRIPT,
        body: include_str!("log.js"),
    },
    Asset {
        path: "/page/message.js",
        content_type: JAVASCRIPT,
        body: include_str!("message.js"),
    },
    Asset {
        path: "/page/stream.js",
        content_type: JAVASCRIPT,
        body: include_str!("stream.js"),
    },
    Asset {
        path: "/page/hub.js",
        content_type: JAVASCRIPT,
        body: include_str!("hub.js"),
    },
];

/// Sent with every asset as `Content-Security-Policy`: a payload that slipped through as markup still could not
/// run or load anything.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

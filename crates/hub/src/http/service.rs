//! One request, from its head to its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use tidings_protocol::{ErrorCode, Problem};
use tower::ServiceExt;

use super::exchange::Exchange;
use super::origin::Origins;
use super::problem::{self, Refused};
use super::seats::Seats;
use super::{cors, paths, stream};
use crate::hub::Hub;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) hub: Arc<Hub>,
    pub(super) seats: Seats,
    pub(super) router: Router,
    pub(super) head_timeout: Duration,
}

/// The requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    site: Arc<Site>,
    peer: SocketAddr,
    /// The connection came above the limit.
    full: bool,
    exchange: Arc<Exchange>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.exchange.request_began();
        let this = self.clone();
        Box::pin(async move {
            let response = this.answer(request).await;
            this.exchange.answered();
            Ok(response)
        })
    }
}

impl Requests {
    pub(super) fn new(
        site: Arc<Site>,
        peer: SocketAddr,
        full: bool,
        exchange: Arc<Exchange>,
    ) -> Self {
        Self {
            site,
            peer,
            full,
            exchange,
        }
    }

    /// Never completes when the request opens a stream: the driver then takes the socket away.
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let method = request.method().clone();
        let route = paths::route(request.uri().path());
        let origins = self.site.hub.origins();
        let cors = cors::headers(&origins, request.headers());
        let mut response = match self.admit(&origins, &request) {
            Ok(()) if cors::is_preflight(&method, request.headers()) => {
                preflight(&origins, request.headers())
            }
            Ok(()) if route == paths::STREAM => self.stream(request, &cors).await,
            Ok(()) => self.route(request).await,
            Err(problem) if route == paths::STREAM => {
                stream::refusal(problem, request.uri(), &self.site.hub)
            }
            Err(problem) => Refused(problem).into_response(),
        };
        response.headers_mut().extend(cors);
        let code = response.extensions().get::<ErrorCode>().copied();
        self.site
            .hub
            .metrics
            .http
            .answered(route, response.status(), code);
        // The path only: a query may hold a token.
        tracing::debug!(peer = %self.peer, %method, route, status = response.status().as_u16());
        response
    }

    /// What holds for every route.
    fn admit(&self, origins: &Origins, request: &Request<Incoming>) -> Result<(), Problem> {
        if self.full {
            let detail = "the hub has as many connections as it can hold";
            return Err(problem::new(ErrorCode::TooManyConnections, detail));
        }
        origins.check(request.uri(), request.version(), request.headers())
    }

    async fn stream(
        &self,
        request: Request<Incoming>,
        cors: &[(HeaderName, HeaderValue)],
    ) -> Response {
        let (head, _) = request.into_parts();
        match stream::open(&self.site.hub, &head, self.peer, cors).await {
            Ok(stream::Answer::Stream(opening)) => {
                self.site
                    .hub
                    .metrics
                    .http
                    .answered(paths::STREAM, StatusCode::OK, None);
                self.exchange.leave_opening(*opening);
                std::future::pending().await
            }
            Ok(stream::Answer::Response(response)) => response,
            Err(problem) => stream::refusal(problem, &head.uri, &self.site.hub),
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Response {
        let answered = self
            .site
            .router
            .clone()
            .oneshot(request.map(Body::new))
            .await;
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn preflight(origins: &Origins, request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .extend(cors::preflight_headers(origins, request));
    response
}

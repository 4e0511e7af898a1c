//! One request, from its head to its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tidings_protocol::{ErrorCode, Problem};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::answer::Json;
use super::exchange::Exchange;
use super::origin::Origins;
use super::problem::{self, Refused};
use super::seats::Seats;
use super::{cors, paths, publish, stream};
use crate::fanout::Opening;
use crate::hub::Hub;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) hub: Arc<Hub>,
    pub(super) seats: Seats,
    pub(super) router: Router,
    pub(super) head_timeout: Duration,
    /// The turns to open a stream.
    pub(super) openings: Semaphore,
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

/// What a plain request is answered with.
pub(super) enum Reply {
    Stream(Box<Opening>),
    /// With status 200 and these headers beside those of every such answer.
    Json(Vec<u8>, Vec<(HeaderName, HeaderValue)>),
    Response(Response),
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
        let (head, body) = request.into_parts();
        let mut response = match self.admit(&origins, &head) {
            Ok(()) if cors::is_preflight(&method, &head.headers) => {
                preflight(&origins, &head.headers)
            }
            Ok(()) if route == paths::STREAM => match self.stream(&head, &cors).await {
                Ok(opening) => {
                    self.exchange.leave_opening(*opening);
                    return std::future::pending().await;
                }
                Err(response) => response,
            },
            Ok(()) => self.route(Request::from_parts(head, body)).await,
            Err(problem) => self.refuse(problem, route, &head),
        };
        response.headers_mut().extend(cors);
        self.count(&method, route, &response);
        response
    }

    /// One request that was read already, for a stream or for a route that takes messages.
    pub(super) async fn plain(&self, head: &Parts, body: Result<Bytes, Refused>) -> Reply {
        let route = paths::route(head.uri.path());
        let origins = self.site.hub.origins();
        let cors = cors::headers(&origins, &head.headers);
        let refused = match (self.admit(&origins, head), body) {
            (Ok(()), Ok(_)) if route == paths::STREAM => match self.stream(head, &cors).await {
                Ok(opening) => return Reply::Stream(opening),
                Err(response) => response,
            },
            (Ok(()), Ok(body)) => {
                match Box::pin(publish::whole(&self.site.hub, head, body)).await {
                    Ok(Json(json)) => {
                        let http = &self.site.hub.metrics.http;
                        http.answered(route, StatusCode::OK, None);
                        self.log(&head.method, route, StatusCode::OK);
                        return Reply::Json(json, cors);
                    }
                    Err(refused) => refused.into_response(),
                }
            }
            (Ok(()), Err(refused)) => refused.into_response(),
            (Err(problem), _) => self.refuse(problem, route, head),
        };
        let mut response = refused;
        response.headers_mut().extend(cors);
        self.count(&head.method, route, &response);
        Reply::Response(response)
    }

    /// How long a body may take.
    pub(super) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.site.hub.config().server.body_timeout_ms)
    }

    fn count(&self, method: &Method, route: &'static str, response: &Response) {
        let code = response.extensions().get::<ErrorCode>().copied();
        let http = &self.site.hub.metrics.http;
        http.answered(route, response.status(), code);
        self.log(method, route, response.status());
    }

    /// The path only: a query may hold a token.
    fn log(&self, method: &Method, route: &'static str, status: StatusCode) {
        tracing::debug!(peer = %self.peer, %method, route, status = status.as_u16());
    }

    fn refuse(&self, problem: Problem, route: &'static str, head: &Parts) -> Response {
        if route == paths::STREAM {
            stream::refusal(problem, &head.uri, &self.site.hub)
        } else {
            Refused(problem).into_response()
        }
    }

    /// What holds for every route.
    fn admit(&self, origins: &Origins, head: &Parts) -> Result<(), Problem> {
        if self.full {
            let detail = "the hub has as many connections as it can hold";
            return Err(problem::new(ErrorCode::TooManyConnections, detail));
        }
        origins.check(&head.uri, head.version, &head.headers)
    }

    /// The stream that is asked for, or the answer that says why there is none.
    async fn stream(
        &self,
        head: &Parts,
        cors: &[(HeaderName, HeaderValue)],
    ) -> Result<Box<Opening>, Response> {
        // Closed by nobody.
        let _turn = self.site.openings.acquire().await;
        // In a box: ten thousand may wait for their turn, without room for what comes after it.
        match Box::pin(stream::open(&self.site.hub, head, self.peer, cors)).await {
            Ok(stream::Answer::Stream(opening)) => {
                let http = &self.site.hub.metrics.http;
                http.answered(paths::STREAM, StatusCode::OK, None);
                Ok(opening)
            }
            Ok(stream::Answer::Response(response)) => Err(response),
            Err(problem) => Err(stream::refusal(problem, &head.uri, &self.site.hub)),
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

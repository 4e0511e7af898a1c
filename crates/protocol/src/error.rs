//! One list of error codes, the refusal of an input, and the body of an error answer (RFC 9457).

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// Why a request failed: a stable word that programs may compare, with its HTTP status beside it.
        ///
        /// The list is alphabetical and only grows; [`as_str`](Self::as_str) is what travels.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorCode {
            /// Every code, in alphabetical order.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)+];

            /// The code as it travels: snake_case, never changed once released.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)+ }
            }

            /// The HTTP status that answers with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)+ }
            }

            /// A short sentence for people, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(ErrorCode::$name => $title,)+ }
            }
        }
    };
}

error_codes! {
    /// The request body did not arrive in time.
    BodyTimeout = "body_timeout", 408, "The request body took too long";
    /// The credentials are valid but do not allow this.
    Forbidden = "forbidden", 403, "Not allowed with these credentials";
    /// The request comes from a web page or a host name that this hub does not serve.
    ForbiddenOrigin = "forbidden_origin", 403, "Origin or host not allowed";
    /// The request line and headers did not arrive in time.
    HeadTimeout = "head_timeout", 408, "The request head took too long";
    /// The request line and headers are larger than the hub reads.
    HeadTooLarge = "head_too_large", 431, "Request head too large";
    /// The same source and id came before with another body.
    IdConflict = "id_conflict", 409, "Id already used for another message";
    /// A defect or a failure inside the hub; the log says more.
    Internal = "internal", 500, "Internal error";
    /// A cursor that no hub has written.
    InvalidCursor = "invalid_cursor", 400, "Invalid cursor";
    /// A field breaks its rule.
    InvalidField = "invalid_field", 400, "Invalid field";
    /// The body is not JSON that every reader could read.
    InvalidJson = "invalid_json", 400, "Invalid JSON";
    /// The bytes of the request are not HTTP as the hub speaks it.
    InvalidRequest = "invalid_request", 400, "Invalid request";
    /// The token is malformed, wrongly signed or not for this hub.
    InvalidToken = "invalid_token", 401, "Invalid token";
    /// The body, or the message as the hub encodes it, is too large.
    MessageTooLarge = "message_too_large", 413, "Message too large";
    /// The path exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed";
    /// This route needs credentials and none were sent.
    MissingToken = "missing_token", 401, "Missing token";
    /// The hub knows this request but cannot do it in this version or configuration.
    NotAvailable = "not_available", 501, "Not available on this hub";
    /// A live-only message for a client that is not connected.
    NotConnected = "not_connected", 404, "Client not connected";
    /// Nothing is at this path, or nothing has this id.
    NotFound = "not_found", 404, "Not found";
    /// A queue of the hub is full; the same request may be sent again.
    Overloaded = "overloaded", 503, "Hub overloaded";
    /// Only the hub may send messages of this kind.
    ReservedType = "reserved_type", 403, "Reserved for the hub";
    /// The hub is about to stop; another one, or the next start, will answer.
    ShuttingDown = "shutting_down", 503, "Hub shutting down";
    /// A write to the store failed; the hub refuses writes until it is restarted.
    StoreFailed = "store_failed", 503, "Store failed";
    /// The disk is full; writes work again once there is room.
    StoreFull = "store_full", 503, "Store full";
    /// The token was valid and has expired.
    TokenExpired = "token_expired", 401, "Token expired";
    /// The hub serves as many connections as it can.
    TooManyConnections = "too_many_connections", 503, "Too many connections";
    /// Each field is fine, together they ask for something impossible.
    UnsupportedCombination = "unsupported_combination", 422, "Unsupported combination";
    /// The body has a content type that this route does not read.
    UnsupportedMediaType = "unsupported_media_type", 415, "Unsupported media type";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An input that breaks a rule of the protocol.
///
/// `detail` says the rule. Where a field is at fault it continues a sentence that begins with the field, as
/// [`Display`](fmt::Display) and [`Problem`] put it: `` `priority` must be a whole number from 0 to 3``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub code: ErrorCode,
    /// The path of the field as a client wrote it: `topic`, `[3].priority`, `message.payload`.
    pub field: Option<String>,
    pub detail: String,
}

impl Invalid {
    /// A field that breaks its rule: `detail` continues "`field` ...".
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidField, Some(field.into()), detail)
    }

    /// Any refusal; without a field, `detail` is a sentence of its own.
    pub fn new(code: ErrorCode, field: Option<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            field,
            detail: detail.into(),
        }
    }

    /// The same refusal seen from outside: `priority` within `[3]` becomes `[3].priority`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = Some(match self.field {
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
            None => outer.to_owned(),
        });
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "`{field}` ")?;
        }
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Invalid {}

/// The body of every error answer, `application/problem+json`.
///
/// It travels as `type`, `title`, `status`, `detail`, `code`, `error` (the same text as `detail`), and where they
/// apply `field` and `retryAfterMs`. Everything in it is for the client: nothing internal belongs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: ErrorCode,
    pub detail: String,
    pub field: Option<String>,
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    /// A problem without a field.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            retry_after_ms: None,
        }
    }

    /// The same problem, telling the client when to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = invalid.to_string();
        Self {
            code: invalid.code,
            detail,
            field: invalid.field,
            retry_after_ms: None,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional =
            usize::from(self.field.is_some()) + usize::from(self.retry_after_ms.is_some());
        let mut body = serializer.serialize_struct("Problem", 6 + optional)?;
        body.serialize_field("type", &format_args!("urn:tidings:error:{}", self.code))?;
        body.serialize_field("title", self.code.title())?;
        body.serialize_field("status", &self.code.status())?;
        body.serialize_field("detail", &self.detail)?;
        body.serialize_field("code", self.code.as_str())?;
        body.serialize_field("error", &self.detail)?;
        if let Some(field) = &self.field {
            body.serialize_field("field", field)?;
        }
        if let Some(ms) = self.retry_after_ms {
            body.serialize_field("retryAfterMs", &ms)?;
        }
        body.end()
    }
}

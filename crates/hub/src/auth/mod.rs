//! Who is asking, and what they may do.
//!
//! A request becomes an [`Identity`] here, and every route asks that identity before it acts. In open mode (no keys) there
//! is only one identity, which may do everything.

mod grants;
mod token;

pub(crate) use grants::Identity;
pub use token::WeakSecret;
pub(crate) use token::{Claims, Grants, mint};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tidings_protocol::{ErrorCode, Problem};

use token::Keys;

/// Decides who is asking.
#[derive(Debug)]
pub(crate) struct Auth {
    /// `None` is open mode.
    keys: Option<Keys>,
}

impl Auth {
    /// Everyone may do everything; credentials are not looked at.
    pub(crate) fn open() -> Self {
        Self { keys: None }
    }

    /// Tokens are signed with HS256 and this secret.
    pub(crate) fn with_secret(secret: &[u8]) -> Result<Self, WeakSecret> {
        Ok(Self {
            keys: Some(Keys::new(secret)?),
        })
    }

    /// `token_parameter` is the query's `token`; the header is used when both are there.
    pub(crate) fn identify(
        &self,
        headers: &HeaderMap,
        token_parameter: impl FnOnce() -> Result<Option<String>, Problem>,
    ) -> Result<Identity, Problem> {
        let Some(keys) = &self.keys else {
            return Ok(Identity::anyone());
        };
        match bearer(headers)? {
            Some(token) => keys.verify(token),
            None => match token_parameter()? {
                Some(token) => keys.verify(&token),
                None => Err(Problem::new(
                    ErrorCode::MissingToken,
                    "a token is needed: `Authorization: Bearer <token>`, or the query parameter `token`",
                )),
            },
        }
    }
}

/// The token of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = || {
        Problem::new(
            ErrorCode::InvalidToken,
            "the Authorization header is not one `Bearer <token>`",
        )
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn token() -> String {
        let claims = Claims::new("alice", u64::MAX / 2, Grants::default());
        mint(SECRET, &claims).expect("mints")
    }

    fn identify(
        auth: &Auth,
        header: Option<&str>,
        parameter: Option<&str>,
    ) -> Result<Identity, ErrorCode> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(
                AUTHORIZATION,
                HeaderValue::from_str(header).expect("a header"),
            );
        }
        auth.identify(&headers, || Ok(parameter.map(str::to_owned)))
            .map_err(|problem| problem.code)
    }

    #[test]
    fn a_missing_token_is_refused() {
        let auth = Auth::with_secret(SECRET).expect("strong");
        assert_eq!(
            identify(&auth, None, None).expect_err("refused"),
            ErrorCode::MissingToken
        );
    }

    #[test]
    fn any_non_empty_token_is_not_enough() {
        let auth = Auth::with_secret(SECRET).expect("strong");
        for header in [
            "Bearer x",
            "Bearer ",
            "Bearer a.b.c",
            "Basic YTpi",
            "Bearer",
        ] {
            let refusal = identify(&auth, Some(header), None).expect_err(header);
            assert_eq!(refusal, ErrorCode::InvalidToken, "{header}");
        }
        assert_eq!(
            identify(&auth, None, Some("x")).expect_err("refused"),
            ErrorCode::InvalidToken
        );
    }

    #[test]
    fn the_token_is_taken_from_the_header_in_any_case_else_from_the_query() {
        let auth = Auth::with_secret(SECRET).expect("strong");
        assert!(identify(&auth, Some(&format!("Bearer {}", token())), None).is_ok());
        assert!(identify(&auth, Some(&format!("bearer  {}", token())), Some("x")).is_ok());
        assert!(identify(&auth, None, Some(&token())).is_ok());
    }

    #[test]
    fn in_open_mode_credentials_are_ignored() {
        let auth = Auth::open();
        assert!(identify(&auth, Some("Bearer rubbish"), Some("rubbish")).is_ok());
        assert!(identify(&auth, Some("Basic YTpi"), None).is_ok());
    }
}

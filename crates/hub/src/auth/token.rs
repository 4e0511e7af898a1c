//! Tokens: JWTs signed with HS256 and a shared secret.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Deserializer, Serialize};
use tidings_protocol::{ClientId, ErrorCode, Problem};

use super::grants::{Identity, Permits};

/// An HS256 key shorter than the hash can be guessed from one token (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Difference allowed between our clock and the issuer's.
const LEEWAY_SECONDS: u64 = 5;

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The client id.
    pub(crate) sub: String,
    /// Seconds since 1970, as JWTs have it; a fraction is allowed.
    pub(crate) exp: serde_json::Number,
    #[serde(default, deserialize_with = "from_object")]
    pub(crate) tidings: Grants,
}

/// What a token's holder may do. A missing list means nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Grants {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) publish: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) subscribe: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) commands: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) worker: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
}

/// The secret could be guessed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secret has {0} bytes; HS256 needs at least {SECRET_BYTES_MIN}, such as `openssl rand -hex 32` makes"
)]
pub struct WeakSecret(usize);

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    #[error(transparent)]
    WeakSecret(#[from] WeakSecret),
    #[error("{0}")]
    Claims(String),
    #[error("cannot sign the token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

impl Claims {
    /// `exp` in seconds since 1970.
    pub(crate) fn new(sub: impl Into<String>, exp: u64, tidings: Grants) -> Self {
        Self {
            sub: sub.into(),
            exp: exp.into(),
            tidings,
        }
    }
}

/// A struct would also be read from an array, its fields in order; nobody means that.
fn from_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Grants, D::Error> {
    let object = serde_json::Map::deserialize(deserializer)?;
    Grants::deserialize(serde_json::Value::Object(object)).map_err(serde::de::Error::custom)
}

/// Makes a token that a hub with the same secret accepts; claims that it would refuse are refused here.
pub(crate) fn mint(secret: &[u8], claims: &Claims) -> Result<String, MintError> {
    check_strength(secret)?;
    permits(claims).map_err(|problem| MintError::Claims(problem.detail))?;
    encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(secret),
    )
    .map_err(MintError::Signing)
}

/// What tokens are checked with.
pub(super) struct Keys {
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    pub(super) fn new(secret: &[u8]) -> Result<Self, WeakSecret> {
        check_strength(secret)?;
        // The algorithm is ours to choose; what the token names is only compared.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_exp = true;
        // Off by default.
        validation.validate_nbf = true;
        // There is no audience to compare with; a token made for several services is not refused.
        validation.validate_aud = false;
        Ok(Self {
            key: DecodingKey::from_secret(secret),
            validation,
        })
    }

    pub(super) fn verify(&self, token: &str) -> Result<Identity, Problem> {
        let decoded = decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| refusal(&error))?;
        permits(&decoded.claims).map(Identity::holder)
    }
}

fn check_strength(secret: &[u8]) -> Result<(), WeakSecret> {
    if secret.len() < SECRET_BYTES_MIN {
        Err(WeakSecret(secret.len()))
    } else {
        Ok(())
    }
}

fn permits(claims: &Claims) -> Result<Permits, Problem> {
    let client = ClientId::parse(&claims.sub, "sub")
        .map_err(|invalid| invalid_claim("sub", &invalid.detail))?;
    let exp = claims
        .exp
        .as_f64()
        .ok_or_else(|| invalid_claim("exp", "must be a time"))?;
    Permits::new(client, exp, &claims.tidings)
}

pub(super) fn invalid_claim(claim: &str, rule: &str) -> Problem {
    Problem::new(
        ErrorCode::InvalidToken,
        format!("the token's claim `{claim}` {rule}"),
    )
}

fn refusal(error: &jsonwebtoken::errors::Error) -> Problem {
    match error.kind() {
        ErrorKind::ExpiredSignature => {
            Problem::new(ErrorCode::TokenExpired, "the token has expired")
        }
        ErrorKind::ImmatureSignature => {
            Problem::new(ErrorCode::InvalidToken, "the token is not valid yet")
        }
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            invalid_claim(claim, "is missing or of the wrong type")
        }
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Problem::new(
            ErrorCode::InvalidToken,
            "the token is not signed with HS256",
        ),
        ErrorKind::InvalidSignature => Problem::new(
            ErrorCode::InvalidToken,
            "the token is not signed with this hub's secret",
        ),
        _ => Problem::new(
            ErrorCode::InvalidToken,
            "the token is not a JWT with the claims that a hub needs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::get_current_timestamp;
    use serde_json::{Value, json};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"another secret of sufficient size";
    const HOUR: u64 = 3600;

    fn signed(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret);
        encode(&Header::new(algorithm), claims, &key).expect("signs")
    }

    fn check(claims: &Value, expected: Result<(), ErrorCode>) {
        let token = signed(Algorithm::HS256, SECRET, claims);
        let verified = Keys::new(SECRET).expect("strong").verify(&token);
        assert_eq!(
            verified.map(|_| ()).map_err(|problem| problem.code),
            expected,
            "{claims}"
        );
    }

    #[test]
    fn a_token_that_was_minted_is_accepted() {
        let grants = Grants {
            publish: vec!["news/#".into()],
            ..Grants::default()
        };
        let token = mint(
            SECRET,
            &Claims::new("alice", get_current_timestamp() + HOUR, grants),
        );
        let identity = Keys::new(SECRET)
            .expect("strong")
            .verify(&token.expect("mints"));
        assert_eq!(
            identity.expect("accepted").named().map(ClientId::as_str),
            Some("alice")
        );
    }

    #[test]
    fn exp_is_required_and_checked_and_nbf_is_checked_with_a_small_leeway() {
        let now = get_current_timestamp();
        let invalid = Err(ErrorCode::InvalidToken);
        check(&json!({"sub": "a", "exp": now + HOUR}), Ok(()));
        check(
            &json!({"sub": "a", "exp": (now + HOUR) as f64 + 0.5}),
            Ok(()),
        );
        check(&json!({"sub": "a"}), invalid);
        check(
            &json!({"sub": "a", "exp": now - 60}),
            Err(ErrorCode::TokenExpired),
        );
        check(
            &json!({"sub": "a", "exp": now + HOUR, "nbf": now + 60}),
            invalid,
        );
        check(&json!({"sub": "a", "exp": now + HOUR, "nbf": now}), Ok(()));
    }

    #[test]
    fn claims_of_the_wrong_type_are_refused_and_not_taken_as_absent() {
        let exp = get_current_timestamp() + HOUR;
        for claims in [
            json!({"sub": "a", "exp": exp.to_string()}),
            json!({"sub": "a", "exp": null}),
            json!({"sub": "a", "exp": [exp]}),
            json!({"sub": "a", "exp": -1}),
            json!({"sub": "a", "exp": exp, "nbf": "0"}),
            json!({"sub": "a", "exp": exp, "nbf": null}),
            json!({"sub": 7, "exp": exp}),
            json!({"sub": "a", "exp": exp, "tidings": []}),
            json!({"sub": "a", "exp": exp, "tidings": {"publish": "#"}}),
            json!({"sub": "a", "exp": exp, "tidings": {"targets": [1]}}),
            json!({"sub": "a", "exp": exp, "tidings": {"roles": "admin"}}),
        ] {
            check(&claims, Err(ErrorCode::InvalidToken));
        }
    }

    #[test]
    fn a_sub_that_is_no_client_id_is_refused() {
        let exp = get_current_timestamp() + HOUR;
        for sub in ["", "$hub", "a\nb", &"x".repeat(257)] {
            check(
                &json!({"sub": sub, "exp": exp}),
                Err(ErrorCode::InvalidToken),
            );
        }
        check(&json!({"exp": exp}), Err(ErrorCode::InvalidToken));
    }

    #[test]
    fn a_grant_that_is_no_pattern_is_refused() {
        let exp = get_current_timestamp() + HOUR;
        check(
            &json!({"sub": "a", "exp": exp, "tidings": {"publish": ["a/#/b"]}}),
            Err(ErrorCode::InvalidToken),
        );
    }

    #[test]
    fn only_hs256_with_this_secret_is_accepted() {
        let keys = Keys::new(SECRET).expect("strong");
        let claims = json!({"sub": "a", "exp": get_current_timestamp() + HOUR});
        let valid = signed(Algorithm::HS256, SECRET, &claims);
        let body = valid.split('.').nth(1).expect("three parts");
        // {"alg":"none"} and {"alg":"None"}, without and with a signature.
        let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
        let signed_by_none = format!(
            "eyJhbGciOiJOb25lIn0.{body}.{}",
            valid.split('.').nth(2).expect("three")
        );
        for token in [
            signed(Algorithm::HS384, SECRET, &claims),
            signed(Algorithm::HS512, SECRET, &claims),
            signed(Algorithm::HS256, OTHER, &claims),
            unsigned,
            signed_by_none,
            format!("{valid}x"),
            valid.rsplit_once('.').expect("parts").0.to_owned(),
        ] {
            let refusal = keys.verify(&token).expect_err(&token);
            assert_eq!(refusal.code, ErrorCode::InvalidToken, "{token}");
        }
        assert!(keys.verify(&valid).is_ok());
    }

    #[test]
    fn a_refusal_does_not_repeat_the_token() {
        let refusal = Keys::new(SECRET)
            .expect("strong")
            .verify("secret-looking.token.text");
        assert!(
            !refusal
                .expect_err("refused")
                .detail
                .contains("secret-looking")
        );
    }

    #[test]
    fn a_secret_shorter_than_32_bytes_is_refused() {
        let error = Keys::new(&SECRET[..31]).expect_err("weak").to_string();
        assert!(
            error.contains("31 bytes") && error.contains("32"),
            "{error}"
        );
        assert!(Keys::new(SECRET).is_ok());
        assert!(mint(&SECRET[..31], &Claims::new("a", 0, Grants::default())).is_err());
    }

    #[test]
    fn what_a_hub_would_refuse_is_not_minted() {
        let broken = Grants {
            subscribe: vec![String::new()],
            ..Grants::default()
        };
        assert!(mint(SECRET, &Claims::new("a", 0, broken)).is_err());
        assert!(mint(SECRET, &Claims::new("$hub", 0, Grants::default())).is_err());
    }
}

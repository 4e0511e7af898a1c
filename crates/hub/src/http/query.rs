//! Query strings and paths, percent-decoded with `+` kept as it is: `+` is a wildcard in topics.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tidings_protocol::Problem;

use super::problem::{self, Refused};

/// The decoded parameters of a request, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name, "query")?, decode(value, name)?))
            });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The value of a parameter that may be given once; empty counts as given.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => {
                let detail = format!("the parameter `{name}` is given more than once");
                Err(problem::invalid_field(name, detail))
            }
        }
    }

    /// As [`Query::one`], without empty values.
    pub(crate) fn one_non_empty(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.one(name)?.filter(|value| !value.is_empty()))
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("" | "0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => {
                let detail = format!("the parameter `{name}` is 1 or 0");
                Err(problem::invalid_field(name, detail))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default())?)
    }
}

/// Percent-decodes; escapes that are none stay as they are, bytes that are no UTF-8 are refused.
pub(crate) fn decode(text: &str, field: &str) -> Result<String, Problem> {
    let decoded = match unescape(text.as_bytes()) {
        Cow::Borrowed(_) => return Ok(text.to_owned()),
        Cow::Owned(bytes) => String::from_utf8(bytes),
    };
    decoded.map_err(|_| problem::invalid_field(field, format!("`{field}` is not UTF-8")))
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &rest[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Cow::Owned(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        Query::parse(query).expect("valid").0
    }

    #[test]
    fn values_are_percent_decoded_and_a_plus_stays_a_plus() {
        for (query, name, value) in [
            ("topics=a/+/b", "topics", "a/+/b"),
            ("topics=a%2F%2B", "topics", "a/+"),
            ("clientId=%C3%A9", "clientId", "é"),
            ("a=100%", "a", "100%"),
            ("a=%zz%4", "a", "%zz%4"),
            ("v", "v", ""),
            ("a==b", "a", "=b"),
            ("&&a=1&", "a", "1"),
        ] {
            assert_eq!(
                pairs(query),
                [(name.to_owned(), value.to_owned())],
                "{query}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_naming_the_parameter() {
        let problem = Query::parse("clientId=%ff").expect_err("not UTF-8");
        assert_eq!(problem.field.as_deref(), Some("clientId"));
    }

    #[test]
    fn a_single_parameter_given_twice_is_refused() {
        let query = Query::parse("clientId=a&clientId=b&topics=x&topics=y").expect("valid");
        assert!(query.one("clientId").is_err());
        assert_eq!(query.all("topics").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn a_flag_is_1_or_0() {
        let query = Query::parse("on=1&off=0&empty=&other=yes").expect("valid");
        assert!(query.flag("on").expect("a flag"));
        assert!(!query.flag("off").expect("a flag"));
        assert!(!query.flag("empty").expect("a flag"));
        assert!(!query.flag("absent").expect("a flag"));
        assert!(query.flag("other").is_err());
    }
}

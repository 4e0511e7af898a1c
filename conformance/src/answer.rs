//! An answer of HTTP, byte by byte.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::check::{Claim, ensure, same};

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order of the answer.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Sends all bytes and reads the answer until the hub closes.
    pub(crate) fn exchange(mut socket: TcpStream, request: &[u8]) -> Result<Self, String> {
        // The hub may answer and close before it has read all of a request that it refuses.
        let _ = socket.write_all(request);
        Self::read(&mut socket)
    }

    pub(crate) fn read(socket: &mut TcpStream) -> Result<Self, String> {
        let bytes = read_all(socket)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let broken = || format!("no answer of HTTP: {:?}", String::from_utf8_lossy(bytes));
        let end = find(bytes, b"\r\n\r\n").ok_or_else(broken)?;
        let (status, headers) = parse_head(&bytes[..end]).ok_or_else(broken)?;
        let mut answer = Self {
            status,
            headers,
            body: String::new(),
        };
        let mut body = bytes[end + 4..].to_vec();
        if answer.header("transfer-encoding").as_deref() == Some("chunked") {
            body = unchunk(&body).ok_or_else(broken)?;
        }
        answer.body = String::from_utf8(body).map_err(|_| broken())?;
        Ok(answer)
    }

    /// All values of the header, as if they were one; `None` when it is not there.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        joined(&self.headers, name)
    }

    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.body).map_err(|error| {
            format!(
                "{}: the body is no JSON ({error}): {:?}",
                self.status, self.body
            )
        })
    }

    /// The body of an answer of success.
    pub(crate) fn ok(&self) -> Result<Value, String> {
        ensure!(
            self.status == 200,
            "status {}, expected 200: {}",
            self.status,
            self.body
        );
        let media = self.header("content-type").unwrap_or_default();
        ensure!(
            media.split(';').next() == Some("application/json"),
            "content-type is `{media}`, expected application/json"
        );
        self.json()
    }

    /// As [`Self::ok`], and the hub says that it did what was asked.
    pub(crate) fn done(&self) -> Result<Value, String> {
        let answer = self.ok()?;
        same("success", &answer["success"], true)?;
        Ok(answer)
    }

    /// A refusal with this status and code, as a whole problem document.
    pub(crate) fn refused(&self, status: u16, code: &str) -> Result<Value, String> {
        let problem = self.problem()?;
        ensure!(
            self.status == status && problem["code"] == code,
            "status {} and code {}, expected {status} and {code}: {}",
            self.status,
            problem["code"],
            self.body
        );
        Ok(problem)
    }

    /// As [`Self::refused`], and the refusal names the field at fault; headers in any case.
    pub(crate) fn refused_field(&self, status: u16, code: &str, field: &str) -> Claim {
        let problem = self.refused(status, code)?;
        let found = problem["field"].as_str().unwrap_or_default();
        ensure!(
            found.eq_ignore_ascii_case(field),
            "the refusal names the field `{found}`, expected `{field}`: {}",
            self.body
        );
        Ok(())
    }

    fn problem(&self) -> Result<Value, String> {
        let media = self.header("content-type").unwrap_or_default();
        ensure!(
            media.split(';').next() == Some("application/problem+json"),
            "status {} with content-type `{media}` and body {:?}, expected a problem document",
            self.status,
            self.body
        );
        let problem = self.json()?;
        same("`status`", &problem["status"], self.status)?;
        let code = problem["code"].as_str().unwrap_or_default();
        ensure!(
            !code.is_empty()
                && code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "`code` is not snake_case: {problem}"
        );
        same(
            "`type`",
            &problem["type"],
            &json!(format!("urn:tidings:error:{code}")),
        )?;
        for member in ["title", "detail"] {
            ensure!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "`{member}` is missing: {problem}"
            );
        }
        same("`error`", &problem["error"], &problem["detail"])?;
        let field = &problem["field"];
        ensure!(
            field.is_null() || field.is_string(),
            "`field` is no text: {problem}"
        );
        if self.status == 503 {
            ensure!(
                problem["retryAfterMs"].is_u64(),
                "`retryAfterMs` is missing: {problem}"
            );
            ensure!(
                self.header("retry-after").is_some(),
                "Retry-After is missing: {problem}"
            );
        }
        Ok(problem)
    }
}

/// The status and the headers of an answer, without the empty line.
pub(crate) fn parse_head(head: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.1 ")?
        .get(..3)?
        .parse()
        .ok()?;
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some((status, headers.collect::<Option<_>>()?))
}

pub(crate) fn joined(headers: &[(String, String)], name: &str) -> Option<String> {
    let values: Vec<&str> = headers
        .iter()
        .filter(|(given, _)| given == name)
        .map(|(_, value)| value.as_str())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Everything until the hub closes. A reset behind an answer is as good as an end.
fn read_all(socket: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::ConnectionReset && !bytes.is_empty() => Ok(bytes),
        Err(error) => Err(format!(
            "the answer does not end ({error}) after {:?}",
            String::from_utf8_lossy(&bytes)
        )),
    }
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_length_or_in_chunks() {
        let plain = b"HTTP/1.1 200 OK\r\nVary: a\r\nvary: b\r\n\r\nhello";
        let chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let plain = Answer::parse(plain).expect("an answer");
        assert_eq!((plain.status, plain.body.as_str()), (200, "hello"));
        assert_eq!(plain.header("vary").as_deref(), Some("a, b"));
        let chunked = Answer::parse(chunked).expect("an answer");
        assert_eq!((chunked.status, chunked.body.as_str()), (404, "hello"));
        assert!(Answer::parse(b"hello").is_err());
        assert!(Answer::parse(b"HTTP/1.1 200 OK\r\nx\r\n\r\n").is_err());
    }

    #[test]
    fn a_refusal_without_one_of_its_members_is_not_taken_for_one() {
        let whole = serde_json::json!({"type": "urn:tidings:error:not_found", "title": "Not found", "status": 404,
            "detail": "nothing is here", "error": "nothing is here", "code": "not_found"});
        let answer = |problem: &Value| Answer {
            status: 404,
            headers: vec![("content-type".into(), "application/problem+json".into())],
            body: problem.to_string(),
        };
        answer(&whole).refused(404, "not_found").expect("whole");
        for member in ["type", "title", "status", "detail", "error", "code"] {
            let mut problem = whole.clone();
            problem.as_object_mut().expect("an object").remove(member);
            assert!(
                answer(&problem).refused(404, "not_found").is_err(),
                "without {member}"
            );
        }
    }
}

//! The hub under test: where it is and who may talk to it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::answer::Answer;
use crate::stream::Stream;

/// Longer than any answer takes, the slowest being the one to a body that does not come (30 s). It only turns a hang
/// into a failure.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A hub.
#[derive(Debug)]
pub(crate) struct Site {
    /// `host:port`, for the `Host` header.
    pub(crate) authority: String,
    address: SocketAddr,
    /// What makes the names of this run its own.
    pub(crate) run: String,
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    client: Holder,
    admin: Option<Holder>,
}

/// A client with credentials.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Site {
    pub(crate) fn new(
        url: &str,
        token: Option<&str>,
        admin_token: Option<&str>,
    ) -> Result<Self, String> {
        let authority = authority(url)?;
        let address = authority
            .to_socket_addrs()
            .map_err(|error| format!("resolve `{authority}`: {error}"))?
            .next()
            .ok_or_else(|| format!("`{authority}` has no address"))?;
        let mut site = Self {
            authority,
            address,
            run: format!("{:08x}", RandomState::new().build_hasher().finish() >> 32),
            tokens: None,
        };
        site.connect()?;
        let holder = |token: &str| -> Result<Holder, String> {
            Ok(Holder {
                id: site.holder_of(token)?,
                token: token.to_owned(),
            })
        };
        let tokens = match token {
            None => None,
            Some(token) => Some(Tokens {
                client: holder(token)?,
                admin: admin_token.map(holder).transpose()?,
            }),
        };
        site.tokens = tokens;
        Ok(site)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.tokens.is_none()
    }

    pub(crate) fn has_admin(&self) -> bool {
        self.admin().is_some()
    }

    pub(crate) fn client(&self) -> Option<&Holder> {
        self.tokens.as_ref().map(|tokens| &tokens.client)
    }

    pub(crate) fn admin(&self) -> Option<&Holder> {
        self.tokens.as_ref()?.admin.as_ref()
    }

    pub(crate) fn connect(&self) -> Result<TcpStream, String> {
        let open = || {
            let socket = TcpStream::connect_timeout(&self.address, HANG)?;
            socket.set_read_timeout(Some(HANG))?;
            socket.set_write_timeout(Some(HANG))?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        open().map_err(|error: std::io::Error| format!("connect to {}: {error}", self.address))
    }

    /// One request on a connection of its own. A `host` or `connection` among the headers replaces the usual one.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let head = self.head(method, path, headers, Some(body.len()));
        Answer::exchange(self.connect()?, &[head.as_bytes(), body].concat())
            .map_err(|error| format!("{method} {path}: {error}"))
    }

    pub(crate) fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> String {
        let given = |name: &str| headers.iter().any(|(given, _)| *given == name);
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !given("host") {
            head += &format!("host: {}\r\n", self.authority);
        }
        if !given("connection") {
            head += "connection: close\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = length {
            head += &format!("content-length: {length}\r\n");
        }
        head + "\r\n"
    }

    /// Whom the hub takes the bearer for.
    fn holder_of(&self, token: &str) -> Result<String, String> {
        let bearer = format!("Bearer {token}");
        let mut stream = Stream::open(self, "", &[("authorization", &bearer)])?;
        let connect = stream.system("connect")?;
        connect["clientId"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("connect names no client: {connect}"))
    }
}

fn authority(url: &str) -> Result<String, String> {
    let wrong = || format!("`{url}` is not a URL like http://127.0.0.1:8080");
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
        return Err(wrong());
    }
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    Ok(if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    })
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn a_url_names_host_and_port() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("http://localhost:1/", Ok("localhost:1")),
            ("http://[::1]:8080", Ok("[::1]:8080")),
            ("http://[::1]", Ok("[::1]:80")),
            ("http://hub", Ok("hub:80")),
            ("https://hub", Err(())),
            ("http://hub/sse", Err(())),
            ("http://", Err(())),
            ("hub:8080", Err(())),
        ] {
            let found = authority(url);
            assert_eq!(found.as_deref().map_err(|_| ()), expected, "{url}");
        }
    }
}

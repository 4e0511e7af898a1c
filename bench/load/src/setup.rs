//! Requests that a server needs before it has anything to subscribe to.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::dialect::Setup;

/// One request on a connection of its own; an answer that is no 2xx is an error.
pub(crate) fn request(
    address: SocketAddrV4,
    setup: &Setup,
    fill: impl Fn(&str) -> String,
) -> Result<(), String> {
    let path = fill(&setup.path);
    let headers: String = setup.headers.iter().map(|h| format!("{h}\r\n")).collect();
    let text = format!(
        "{} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n",
        setup.method
    );
    let mut answer = Vec::new();
    let exchange = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(text.as_bytes())?;
        stream.read_to_end(&mut answer)?;
        Ok(())
    };
    let mut exchange = exchange;
    exchange().map_err(|error| format!("{} {path}: {error}", setup.method))?;
    if answer.get(9) == Some(&b'2') {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&answer);
        Err(format!("{} {path}: {said}", setup.method))
    }
}

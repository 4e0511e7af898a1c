//! The limit of this machine: a single-threaded epoll server that writes each event to each socket with one `send`.
//!
//! It parses no JSON, keeps no history and syncs nothing. Its events have the size of the hub's, so that a delivery
//! costs the kernel as much.
#![allow(
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod server;

use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address: Option<SocketAddrV4> = arguments.next().and_then(|text| text.parse().ok());
    let heartbeat = arguments
        .next()
        .map(|ms| ms.parse().map(Duration::from_millis));
    let (Some(address), Ok(heartbeat)) = (address, heartbeat.transpose()) else {
        eprintln!("Usage: peer-raw <address:port> [<ms between heartbeats>]");
        return ExitCode::from(2);
    };
    match server::serve(address, heartbeat) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("peer-raw: {error}");
            ExitCode::FAILURE
        }
    }
}

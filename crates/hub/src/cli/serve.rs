use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::settings::Args;
use super::text::chain;
use crate::config::{Changes, Config};
use crate::hub::{Hub, Running};
use crate::logging::{self, Level};
use crate::memory;

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = args.clone().load()?;
    let level = logging::start(&loaded.config.log);
    for variable in &loaded.unknown_env {
        tracing::warn!(
            variable,
            "there is no such setting; the variable is ignored"
        );
    }
    memory::purge_soon();
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(loaded.config, args, &level));
    // After a second signal nothing is waited for.
    runtime.shutdown_background();
    ended
}

/// Runs the hub until a signal asks it to stop or its store fails.
async fn serve(config: Config, args: &Args, level: &Level) -> Result<(), Failure> {
    // Before anything is open, so that a signal during the start is not the end without a drain.
    let mut signals = Signals::new()?;
    let (data, open) = (config.server.data.clone(), config.is_open());
    let running = Hub::start(config)
        .await
        .map_err(|error| Failure::Failed(chain(&error)))?;
    // Nobody may be reading; the hub runs all the same.
    let _ = std::io::stdout().write_all(greeting(running.address(), &data, open).as_bytes());
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Reload => reload(args, &running, level),
                Asked::Stop(signal) => {
                    tracing::info!(signal, "stopping; a second signal stops at once");
                    break;
                }
            },
            () = running.failed() => {
                return Err(Failure::Failed("the store failed; see the log".to_owned()));
            }
        }
    }
    tokio::select! {
        () = running.drain() => Ok(()),
        name = signals.stop() => Err(Failure::Failed(format!("stopped at once by a second {name}"))),
    }
}

/// Reads the configuration again, from where it was read at the start. One with an error changes nothing.
fn reload(args: &Args, running: &Running, level: &Level) {
    let loaded = match args.clone().load() {
        Ok(loaded) => loaded,
        Err(failure) => {
            for refusal in failure.text().lines() {
                tracing::error!("the configuration stays as it was: {refusal}");
            }
            return;
        }
    };
    let Changes { taken, waiting } = running.reload(&loaded.config);
    level.set(&running.config().log.level);
    if !waiting.is_empty() {
        let settings = waiting.join(", ");
        tracing::warn!(settings, "these settings change only with a restart");
    }
    let settings = taken.join(", ");
    tracing::info!(settings, "the configuration was read again");
}

/// What a signal asks for.
enum Asked {
    Reload,
    /// By the signal of that name.
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
        }
    }

    /// The next one that asks for an end.
    async fn stop(&mut self) -> &'static str {
        loop {
            if let Asked::Stop(signal) = self.next().await {
                return signal;
            }
        }
    }
}

/// What runs where, and the lines that a user pastes next.
fn greeting(address: SocketAddr, data: &Path, open: bool) -> String {
    let url = format!("http://{}", reachable(address));
    let version = env!("CARGO_PKG_VERSION");
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let data = data.display();
    let facts = |mode: &str| {
        format!("tidings {version} listens on {address}\n  data  {data}\n  mode  {mode}\n\n")
    };
    if open {
        let facts = facts(
            "open: no keys are set, everyone who reaches the address may read and send everything",
        );
        format!(
            "{facts}\
             Receive:  curl -N '{url}/sse?clientId=alice&topics=news'\n\
             Send:     curl -d 'hello' {url}/api/topics/news\n\
             Or open   {url}/\n"
        )
    } else {
        let facts = facts("tokens required");
        format!(
            "{facts}\
             Token:    export TIDINGS_TOKEN=$(tidings token --sub alice --publish '#' --subscribe '#')\n\
             Receive:  curl -N -H \"Authorization: Bearer $TIDINGS_TOKEN\" '{url}/sse?topics=news'\n\
             Send:     curl -H \"Authorization: Bearer $TIDINGS_TOKEN\" -d 'hello' {url}/api/topics/news\n\
             Or open   {url}/\n"
        )
    }
}

/// An address of this machine for one that means all of them.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, open: bool, lines: &[&str]) {
        let address = address.parse().expect("an address");
        let greeting = greeting(address, Path::new("/data"), open);
        for line in lines {
            assert!(greeting.contains(line), "{line}:\n{greeting}");
        }
    }

    #[test]
    fn the_greeting_has_address_data_mode_and_lines_that_work_where_it_runs() {
        check(
            "127.0.0.1:8080",
            true,
            &[
                "listens on 127.0.0.1:8080\n",
                "  data  /data\n",
                "  mode  open: ",
                "curl -N 'http://127.0.0.1:8080/sse?clientId=alice&topics=news'\n",
                "curl -d 'hello' http://127.0.0.1:8080/api/topics/news\n",
            ],
        );
        check(
            "0.0.0.0:80",
            false,
            &[
                "listens on 0.0.0.0:80\n",
                "  mode  tokens required\n",
                "tidings token --sub alice",
                "-d 'hello' http://127.0.0.1:80/api/topics/news\n",
            ],
        );
        check("[::]:80", true, &["http://[::1]:80/\n"]);
    }
}

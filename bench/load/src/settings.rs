//! The command line.

use std::net::SocketAddrV4;

pub(crate) const HELP: &str = "\
Usage: load --workload <name> --peer <name> --url http://127.0.0.1:<port> [--pid <server>]... [options]

Workloads:
  fan1k-o1 fan1k-w16 fan1k-w64   fan-out to 1,000: one message at a time, 16 and 64 outstanding
  fan10k-o1 fan10k-w8            fan-out to 10,000: one message at a time, 8 outstanding
  rate50                         50 messages a second to 1,000, each with a due time
  unicast                        each message to one of 1,000 clients
  publish-single publish-batch   publish to nobody: 256 connections; 16 connections with 100 messages in a request
  idle10k idle18k                open and hold
  connect10k                     a burst of 10,000 connections
  reconnect                      1,000 clients come back after each missed 100 messages
  slow-tenth                     900 fast readers alone, then with 100 slow ones
  catch-up                       1,000 live readers alone, then beside 20 that read 100 MB of history each
  after-load                     saturated fan-out to 1,000 and to 10,000, then memory of the idle connections
  memory-twice                   1,000,000 messages and 10,000 connects and disconnects, twice

Options:
  --pid <id>           A process of the server; with those it started, its CPU time and memory are measured.
  --seconds <s>        Measured time (2.5 unless told).
  --warmup <s>         Time under load before it (0.5).
  --payload <bytes>    Size of a payload (200).
  --clients <n>  --publishers <n>  --pipeline <n>  --outstanding <n>  --rate <per second>  --batch <n>
                       Instead of what the workload says.
  --heartbeat <ms>     Ask for heartbeats of this period (idle workloads).
  --at-once <n>        Connections that are being opened at one time (256; connect10k: 1024).
  --patience <s>       A run in which nothing moves for so long is over (10).
";

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) workload: String,
    pub(crate) peer: String,
    pub(crate) address: SocketAddrV4,
    pub(crate) pids: Vec<u32>,
    pub(crate) seconds: f64,
    pub(crate) warmup: f64,
    pub(crate) payload: usize,
    pub(crate) clients: Option<usize>,
    pub(crate) publishers: Option<usize>,
    pub(crate) pipeline: Option<usize>,
    pub(crate) outstanding: Option<usize>,
    pub(crate) rate: Option<f64>,
    pub(crate) batch: Option<usize>,
    pub(crate) heartbeat_ms: Option<u64>,
    pub(crate) at_once: Option<usize>,
    pub(crate) patience: f64,
}

impl Settings {
    /// None when help is asked for.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut settings = Self {
            workload: String::new(),
            peer: String::new(),
            address: SocketAddrV4::new([127, 0, 0, 1].into(), 0),
            pids: Vec::new(),
            seconds: 2.5,
            warmup: 0.5,
            payload: 200,
            clients: None,
            publishers: None,
            pipeline: None,
            outstanding: None,
            rate: None,
            batch: None,
            heartbeat_ms: None,
            at_once: None,
            patience: 10.0,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "-h" | "--help" | "help") {
                return Ok(None);
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            settings.set(&name, &value)?;
        }
        for (name, missing) in [
            ("--workload", settings.workload.is_empty()),
            ("--peer", settings.peer.is_empty()),
            ("--url", settings.address.port() == 0),
        ] {
            if missing {
                return Err(format!("{name} is needed"));
            }
        }
        Ok(Some(settings))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--workload" => value.clone_into(&mut self.workload),
            "--peer" => value.clone_into(&mut self.peer),
            "--url" => {
                let address = value.trim_start_matches("http://").trim_end_matches('/');
                self.address = number(name, address)?;
            }
            "--pid" => self.pids.push(number(name, value)?),
            "--seconds" => self.seconds = number(name, value)?,
            "--warmup" => self.warmup = number(name, value)?,
            "--payload" => self.payload = number(name, value)?,
            "--clients" => self.clients = Some(number(name, value)?),
            "--publishers" => self.publishers = Some(number(name, value)?),
            "--pipeline" => self.pipeline = Some(number(name, value)?),
            "--outstanding" => self.outstanding = Some(number(name, value)?),
            "--rate" => self.rate = Some(number(name, value)?),
            "--batch" => self.batch = Some(number(name, value)?),
            "--heartbeat" => self.heartbeat_ms = Some(number(name, value)?),
            "--at-once" => self.at_once = Some(number(name, value)?),
            "--patience" => self.patience = number(name, value)?,
            _ => return Err(format!("no such option: {name}")),
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} does not take `{value}`"))
}

use std::io::Write as _;

use serde_json::value::RawValue;
use tidings_protocol::api::ConnectionInfo;

use super::failure::Failure;
use super::remote::{self, Remote};
use super::render::date_and_clock;
use super::text::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print every connection as the hub describes it, one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    access: remote::Access,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let remote = Remote::new(args.access)?;
    super::block_on(async {
        let url = remote.url("/api/connections");
        let connections: Vec<Box<RawValue>> = remote.ask(url).await.map_err(Failure::from)?;
        let mut out = std::io::stdout().lock();
        for connection in connections {
            if args.json {
                writeln!(out, "{connection}")?;
            } else {
                let info = serde_json::from_str(connection.get()).map_err(|_| not_understood())?;
                writeln!(out, "{}", line(&info))?;
            }
        }
        Ok(())
    })
}

fn not_understood() -> Failure {
    Failure::Failed(
        "the hub describes a connection in a way that this version cannot read".to_owned(),
    )
}

fn line(info: &ConnectionInfo) -> String {
    let topics = match info.topics.as_slice() {
        [] => String::new(),
        topics => format!(", topics {}", topics.join(", ")),
    };
    let waiting = match info.queued {
        0 => String::new(),
        queued => format!(", {queued} waiting"),
    };
    printable(&format!(
        "{} {} from {} since {}{topics}{waiting}",
        info.connection_id,
        info.client_id,
        info.remote_addr,
        date_and_clock(info.created_at),
    ))
}

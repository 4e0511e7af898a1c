use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use tidings_protocol::api::HistoryAnswer;
use tidings_protocol::limits::HISTORY_LIMIT_MAX;

use super::failure::Failure;
use super::remote::{self, Remote};
use super::render::{Received, dated_line};
use super::units::duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only messages to this client
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Only messages to this topic or pattern: `+` or `*` is one level, `#` or `**` the rest
    #[arg(long, conflicts_with = "client_id")]
    topic: Option<String>,

    /// Only messages of these types: text, json, command, progress, error, ack
    #[arg(long = "type", value_name = "TYPE,...")]
    types: Option<String>,

    /// Only messages from this source
    #[arg(long, value_name = "ID")]
    source: Option<String>,

    /// Only messages that were stored at this time or later: in milliseconds since 1970, or as long ago as 90s, 15m, 12h
    /// or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,

    /// Only messages that were stored before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,

    /// How many messages to print
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,

    /// The newest first
    #[arg(long)]
    desc: bool,

    /// Print every message as the hub sent it, one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    access: remote::Access,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let parameters = parameters(&args);
    let remote = Remote::new(args.access)?;
    super::block_on(async {
        let (mut left, mut after) = (args.limit, None::<String>);
        while left > 0 {
            let limit = left.min(HISTORY_LIMIT_MAX).to_string();
            let place = after.as_deref().map(|after| ("after", after));
            let pairs = parameters
                .iter()
                .map(|(name, value)| (*name, value.as_str()));
            let pairs = pairs.chain([("limit", limit.as_str())]).chain(place);
            let url = remote.url_with("/api/messages", pairs);
            let page: HistoryAnswer = remote.ask(url).await.map_err(Failure::from)?;
            left = left.saturating_sub(page.messages.len());
            print(&page.messages, args.json)?;
            // A page may come short where few of many messages are asked for.
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        Ok(())
    })
}

fn parameters(args: &Args) -> Vec<(&'static str, String)> {
    let parameters = [
        ("clientId", args.client_id.clone()),
        ("topic", args.topic.clone()),
        ("type", args.types.clone()),
        ("source", args.source.clone()),
        ("since", args.since.map(|time| time.to_string())),
        ("until", args.until.map(|time| time.to_string())),
        ("order", args.desc.then(|| "desc".to_owned())),
    ];
    let given = |(name, value): (_, Option<String>)| Some((name, value?));
    parameters.into_iter().filter_map(given).collect()
}

fn print(messages: &[Box<RawValue>], json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for message in messages {
        // What cannot be read as a message is shown as it is.
        match serde_json::from_str::<Received<'_>>(message.get()) {
            Ok(message) if !json => writeln!(out, "{}", dated_line(&message))?,
            _ => writeln!(out, "{message}")?,
        }
    }
    Ok(())
}

fn time(text: &str) -> Result<u64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let ago = duration(text).map_err(|_| {
        "a time is in milliseconds since 1970, or as long ago as 90s, 15m, 12h or 7d".to_owned()
    })?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(u64::try_from(now.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX))
}

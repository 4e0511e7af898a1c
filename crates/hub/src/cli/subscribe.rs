use reqwest::Url;

use super::backoff::Backoff;
use super::connection::{End, Reached};
use super::failure::Failure;
use super::outgoing::new_id;
use super::remote::{self, Remote};
use super::stream::Stream;
use super::text::say;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose messages to receive; with a token its client is meant [default: a new name]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Topics and patterns, separated by commas: `+` or `*` is one level, `#` or `**` the rest
    #[arg(long, value_name = "TOPIC,...", value_delimiter = ',')]
    topics: Vec<String>,

    /// Only these types of messages to topics and to all: text, json, command, progress, error
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    types: Vec<String>,

    /// Where to begin: `now`, `earliest`, `last:N`, or a time in milliseconds since 1970 [default: the client's own
    /// messages from where it last acknowledged, all others from now]
    #[arg(long)]
    since: Option<String>,

    /// Acknowledge what was printed: the next subscription of this client goes on behind it
    #[arg(long)]
    ack: bool,

    /// Print every message as the hub sent it, one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    access: remote::Access,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    super::block_on(async { follow(args).await })
}

/// Keeps a stream open until the hub says that it is over.
async fn follow(args: Args) -> Result<(), Failure> {
    let (since, json, ack) = (args.since.clone(), args.json, args.ack);
    let parameters = Parameters::new(&args);
    let remote = Remote::new(args.access)?;
    let parameters = parameters.with_client(&remote);
    let mut stream = Stream::new(remote, json, ack);
    let mut backoff = Backoff::new();
    // What was said last about an outage: said again only when it changes.
    let mut told = String::new();
    loop {
        let url = parameters.url(stream.remote(), stream.cursor(), since.as_deref());
        let end = stream.connect(url).await?;
        if let Some(base_ms) = stream.retry_ms() {
            backoff.set_base(base_ms);
        }
        match end {
            End::Stop(failure) => return Err(failure),
            End::Lost {
                reason,
                asked,
                reached,
            } => {
                if reached == Reached::Good {
                    backoff.reset();
                }
                if reached != Reached::Nothing || told != reason {
                    say(&format!("{reason}; connecting again"));
                    told = reason;
                }
                tokio::time::sleep(backoff.next(asked)).await;
            }
            End::Silent => {
                backoff.reset();
                say("nothing came for too long; connecting again");
            }
        }
    }
}

/// The query that is the same at every attempt.
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn new(args: &Args) -> Self {
        // `v=1`: refusals come as plain statuses, not in the form that browsers need.
        let mut parameters = vec![("v", "1".to_owned())];
        parameters.extend(args.client_id.clone().map(|client| ("clientId", client)));
        for (name, values) in [("topics", &args.topics), ("types", &args.types)] {
            if !values.is_empty() {
                parameters.push((name, values.join(",")));
            }
        }
        Self(parameters)
    }

    /// Without a token the hub needs a name. Another one each time, so that no one else's mailbox is read by chance.
    fn with_client(mut self, remote: &Remote) -> Self {
        if !remote.has_token() && self.0.iter().all(|(name, _)| *name != "clientId") {
            let id = new_id();
            self.0
                .push(("clientId", format!("cli-{}", &id[id.len() - 12..])));
        }
        self
    }

    fn url(&self, remote: &Remote, cursor: Option<&str>, since: Option<&str>) -> Url {
        let start = match cursor {
            Some(cursor) => Some(("lastEventId", cursor)),
            None => since.map(|since| ("since", since)),
        };
        let pairs = self.0.iter().map(|(name, value)| (*name, value.as_str()));
        remote.url_with("/sse", pairs.chain(start))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn url(flags: &[&str], cursor: Option<&str>) -> String {
        let args = Line::parse_from([&["subscribe", "--url", "http://h"], flags].concat()).args;
        let (since, parameters) = (args.since.clone(), Parameters::new(&args));
        let remote = Remote::new(args.access).expect("a remote");
        let parameters = parameters.with_client(&remote);
        parameters.url(&remote, cursor, since.as_deref()).into()
    }

    #[test]
    fn a_query_keeps_wildcards_spaces_and_foreign_letters() {
        assert_eq!(
            url(
                &[
                    "--client-id",
                    "é 1",
                    "--topics",
                    "a/+/b,c/#",
                    "--since",
                    "last:5"
                ],
                None
            ),
            "http://h/sse?v=1&clientId=%C3%A9%201&topics=a/%2B/b,c/%23&since=last%3A5"
        );
    }

    #[test]
    fn a_cursor_takes_the_place_of_since() {
        assert_eq!(
            url(&["--client-id", "a", "--since", "earliest"], Some("ff-7+9")),
            "http://h/sse?v=1&clientId=a&lastEventId=ff-7%2B9"
        );
    }

    #[test]
    fn without_a_name_each_run_is_a_new_client_unless_the_token_names_it() {
        let (one, two) = (url(&[], None), url(&[], None));
        assert!(one.starts_with("http://h/sse?v=1&clientId=cli-"), "{one}");
        assert_ne!(one, two);
        assert_eq!(url(&["--token", "t"], None), "http://h/sse?v=1");
    }
}

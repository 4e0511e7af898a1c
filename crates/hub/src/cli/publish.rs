use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::feed::feed;
use super::outgoing::{Content, Template, new_id};
use super::remote::{self, Remote};
use super::text::say;
use super::trouble::{Refusal, Trouble};

/// A commit that takes longer has failed in all but name; a repeat with the same ids is harmless.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Text to send
    #[arg(conflicts_with_all = ["json", "stdin"])]
    text: Option<String>,

    /// JSON to send; without a value and with --stdin every line is JSON
    #[arg(long, num_args = 0..=1, allow_negative_numbers = true)]
    json: Option<Option<String>>,

    /// Send standard input, every line as a message, as soon as it is read. While the hub is away it waits and repeats,
    /// so that nothing is lost, doubled or out of order
    #[arg(long)]
    stdin: bool,

    /// Id of the message; the same one again is not sent twice [default: a new one]
    #[arg(long, conflicts_with = "stdin")]
    id: Option<String>,

    #[command(flatten)]
    template: Template,

    #[command(flatten)]
    access: remote::Access,
}

enum Job {
    One(Vec<u8>, String),
    Stdin { json: bool },
}

pub(super) fn run(mut args: Args) -> Result<(), Failure> {
    let job = args.job().map_err(Failure::Usage)?;
    let remote = Remote::new(args.access)?;
    super::block_on(async {
        match job {
            Job::One(message, id) => one(&remote, &args.template, message, &id).await,
            Job::Stdin { json } => {
                let sent = feed(&remote, &args.template, json).await?;
                say(&format!(
                    "{sent} messages to {}",
                    args.template.destination()
                ));
                Ok(())
            }
        }
    })
}

impl Args {
    fn job(&mut self) -> Result<Job, String> {
        let id = self.id.take().unwrap_or_else(new_id);
        let content = match (&self.text, &self.json, self.stdin) {
            (_, Some(Some(_)), true) => {
                return Err(
                    "with --stdin the JSON is read from there: give --json no value".to_owned(),
                );
            }
            (_, json, true) => {
                return Ok(Job::Stdin {
                    json: json.is_some(),
                });
            }
            (_, Some(Some(json)), false) => Content::Json(parsed(json)?),
            (_, Some(None), false) => return Err("--json needs a value, or --stdin".to_owned()),
            (Some(text), None, false) => Content::Text(text),
            (None, None, false) => {
                return Err("nothing to send: give a text, --json or --stdin".to_owned());
            }
        };
        let message = self.template.message(&id, content)?;
        Ok(Job::One(message, id))
    }
}

fn parsed(json: &str) -> Result<&RawValue, String> {
    serde_json::from_str(json).map_err(|error| format!("--json is not JSON: {error}"))
}

async fn one(
    remote: &Remote,
    template: &Template,
    message: Vec<u8>,
    id: &str,
) -> Result<(), Failure> {
    let answer = match post(remote, message.into(), false).await {
        Ok(answer) => answer,
        Err(Trouble::NotAnswered(text)) => {
            return Err(Failure::Failed(format!(
                "{text}; to repeat it without sending it twice: --id {id}"
            )));
        }
        Err(trouble) => return Err(trouble.into()),
    };
    let repeated = if answer.duplicate {
        ", was sent before"
    } else {
        ""
    };
    let id = answer.message_id.as_deref().unwrap_or(id);
    writeln!(
        std::io::stdout(),
        "{id} to {}, {} connected now{repeated}",
        template.destination(),
        answer.recipients
    )?;
    Ok(())
}

/// The parts of an answer that are used here; a batch has them in `results`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    success: bool,
    message_id: Option<String>,
    #[serde(default)]
    recipients: u64,
    #[serde(default)]
    duplicate: bool,
}

/// Sends one message or a batch; `repeated` when an earlier attempt may have been accepted.
pub(super) async fn post(remote: &Remote, body: Bytes, repeated: bool) -> Result<Answer, Trouble> {
    let mut url = remote.url("/api/messages");
    if repeated {
        // The outage may have been longer than the hub remembers ids by itself.
        url.set_query(Some("resend=1"));
    }
    let trouble = |error: reqwest::Error| Trouble::of(remote, &error);
    let response = remote
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .timeout(ANSWER_TIMEOUT)
        .body(body)
        .send()
        .await
        .map_err(trouble)?;
    let status = response.status();
    if !status.is_success() {
        return Err(Trouble::Refused(Refusal::read(response).await));
    }
    let text = response.bytes().await.map_err(trouble)?;
    match serde_json::from_slice::<Answer>(&text) {
        Ok(answer) if answer.success => Ok(answer),
        _ => Err(Trouble::Refused(Refusal::foreign(status))),
    }
}

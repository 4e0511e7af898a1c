//! `tidings backup` and `tidings restore`.

use std::io::Write as _;
use std::path::PathBuf;

use tidings_store::{Class, CopyError, Survey};

use super::failure::Failure;
use super::folder::{self, bytes};
use super::text::chain;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to make; an existing one is not overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    folder: folder::Location,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// A file that `tidings backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    folder: folder::Location,

    /// Also into a folder that is not empty: the store in it is lost
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let survey = args.folder.folder()?.backup(&args.file)?;
    say(&args.file.display().to_string(), &survey)
}

pub(super) fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let restored = args.folder.folder()?.restore(&args.file, args.force);
    let survey = restored.map_err(|error| match error {
        CopyError::NotEmpty { .. } => Failure::Failed(format!(
            "{}; with --force its store is replaced, and lost",
            chain(&error)
        )),
        other => other.into(),
    })?;
    say("restored", &survey)
}

fn say(what: &str, survey: &Survey) -> Result<(), Failure> {
    let entries: u64 = Class::ALL
        .into_iter()
        .map(|class| survey.classes[class].entries)
        .sum();
    writeln!(
        std::io::stdout(),
        "{what}: {entries} entries up to position {}, {}",
        survey.last,
        bytes(survey.bytes)
    )?;
    Ok(())
}

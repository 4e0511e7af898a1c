//! `tidings store`: a data folder looked at and looked after from outside of the hub.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};
use tidings_store::{Class, PerClass, Store, Survey, Trimmed};

use super::failure::Failure;
use super::folder::{self, bytes, time};
use super::text::{chain, say};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Count what is kept; also while the hub runs
    Stats {
        #[command(flatten)]
        folder: folder::Location,

        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Read everything and compare it with what was written; also while the hub runs
    Check {
        #[command(flatten)]
        folder: folder::Location,
    },
    /// Remove what the configuration does not keep, as a running hub does by itself; no hub may run on the folder
    Trim {
        #[command(flatten)]
        folder: folder::Location,
    },
    /// Give free room in the file back to the disk, which needs room for a copy meanwhile; no hub may run on the folder
    Vacuum {
        #[command(flatten)]
        folder: folder::Location,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Stats { folder, json } => stats(folder, json),
        Command::Check { folder } => check(folder),
        Command::Trim { folder } => super::block_on(trim(folder)),
        Command::Vacuum { folder } => vacuum(folder),
    }
}

fn stats(folder: folder::Location, json: bool) -> Result<(), Failure> {
    let survey = folder.folder()?.survey()?;
    let text = if json {
        format!("{}\n", as_json(&survey))
    } else {
        as_text(&survey)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn check(folder: folder::Location) -> Result<(), Failure> {
    let checkup = folder.folder()?.check()?;
    let mut out = std::io::stdout();
    for fault in &checkup.faults {
        writeln!(out, "{fault}")?;
    }
    let (entries, faults) = (checkup.entries, checkup.faults_count);
    if checkup.is_sound() {
        writeln!(
            out,
            "sound: {entries} entries are as they were written, and so is what is derived from them"
        )?;
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "damaged: faults in {entries} entries and what belongs to them: {faults}; what is not damaged can still be served, and a backup can be \
         restored"
    )))
}

async fn trim(folder: folder::Location) -> Result<(), Failure> {
    let config = folder.load()?.config;
    // Opening would make a folder that is not there.
    tidings_store::Folder::new(&config.server.data).survey()?;
    let store = Store::open(config.store.options(config.server.data), Vec::new())?;
    let trimmed = store.trim().await;
    store.close();
    let trimmed = trimmed.map_err(|error| Failure::Failed(chain(&error)))?;
    if trimmed.age_waits {
        say("nothing was removed by age: the clock of this machine and the stored times disagree");
    }
    writeln!(std::io::stdout(), "{}", removed(&trimmed))?;
    Ok(())
}

fn vacuum(folder: folder::Location) -> Result<(), Failure> {
    let vacuumed = folder.folder()?.vacuum()?;
    let (before, after) = (vacuumed.bytes_before, vacuumed.bytes_after);
    writeln!(
        std::io::stdout(),
        "{} before, {} now",
        bytes(before),
        bytes(after)
    )?;
    Ok(())
}

fn removed(trimmed: &Trimmed) -> String {
    let PerClass {
        mailbox,
        topic,
        broadcast,
    } = trimmed.entries;
    format!(
        "removed {mailbox} entries of mailboxes, {topic} of topics, {broadcast} broadcasts, {} in all; and {} cells",
        bytes(trimmed.bytes),
        trimmed.cells
    )
}

fn name(class: Class) -> &'static str {
    match class {
        Class::Mailbox => "mailbox",
        Class::Topic => "topic",
        Class::Broadcast => "broadcast",
    }
}

fn as_text(survey: &Survey) -> String {
    let mut text = String::new();
    let epoch = survey.epoch.as_deref().unwrap_or("none yet");
    let kept = match survey.stored_at {
        Some((oldest, newest)) => format!("from {} to {}", time(oldest), time(newest)),
        None => "nothing".to_owned(),
    };
    let _ = writeln!(text, "format     {}", survey.format);
    let _ = writeln!(text, "epoch      {epoch}, {} known", survey.epochs);
    let _ = writeln!(
        text,
        "files      {}, {} of it free; write-ahead log {}",
        bytes(survey.bytes),
        bytes(survey.bytes_free),
        bytes(survey.log_bytes)
    );
    let _ = writeln!(text, "position   {}", survey.last);
    let _ = writeln!(text, "kept       {kept}");
    for class in Class::ALL {
        let of_class = survey.classes[class];
        let _ = writeln!(
            text,
            "{:10} {} entries, {}; trimmed to {}",
            name(class),
            of_class.entries,
            bytes(of_class.bytes),
            of_class.trimmed_to
        );
    }
    let _ = writeln!(text, "subjects   {}", survey.subjects);
    let _ = writeln!(text, "cells      {}", survey.cells);
    let _ = writeln!(
        text,
        "unmerged   {} entries have their index in memory",
        survey.unmerged
    );
    text
}

fn as_json(survey: &Survey) -> Value {
    let mut classes = serde_json::Map::new();
    for class in Class::ALL {
        let of_class = survey.classes[class];
        classes.insert(
            name(class).to_owned(),
            json!({
                "entries": of_class.entries, "bytes": of_class.bytes, "trimmedTo": of_class.trimmed_to.0,
            }),
        );
    }
    json!({
        "format": survey.format,
        "epoch": survey.epoch,
        "epochs": survey.epochs,
        "position": survey.last.0,
        "oldestStoredAt": survey.stored_at.map(|(oldest, _)| oldest),
        "newestStoredAt": survey.stored_at.map(|(_, newest)| newest),
        "classes": classes,
        "subjects": survey.subjects,
        "cells": survey.cells,
        "unmerged": survey.unmerged,
        "bytes": survey.bytes,
        "bytesFree": survey.bytes_free,
        "logBytes": survey.log_bytes,
    })
}

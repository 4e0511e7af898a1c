//! Patterns over topics, for subscriptions and for what credentials allow.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Invalid;
use crate::names::{WILDCARDS, check_id, check_level, name};

name! {
    /// A topic in which a whole level may be a wildcard: `+` or `*` stands for exactly one level, `#` or `**`, only
    /// as the last level, for all the rest, also for nothing (`news/#` matches `news`).
    ///
    /// The text stays as it was given; two spellings of one pattern are not equal but cover each other.
    TopicPattern, "topics", check_pattern
}

impl TopicPattern {
    /// The topic itself when there is no wildcard in the pattern.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.contains(WILDCARDS)).then(|| self.as_str())
    }

    /// What every topic that it matches begins with: its levels before the first wildcard.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.find(WILDCARDS) {
            // `news/#` also matches `news`, so the `/` before a wildcard does not count.
            Some(at) => self[..at].trim_end_matches('/'),
            None => self,
        }
    }

    /// Whether the pattern matches a topic.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in self.split('/').map(Level::of) {
            match (wanted, levels.next()) {
                (Level::Rest, _) => return true,
                (Level::One, Some(_)) => {}
                (Level::Named(name), Some(level)) if name == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether every topic that `other` matches is matched by this pattern too.
    #[must_use]
    pub fn covers(&self, other: &TopicPattern) -> bool {
        let mut ours = self.split('/').map(Level::of);
        // A topic has at least one level, so a bare `#` means the same as `+/#`, which this pattern may cover.
        let theirs: &str = if matches!(other.as_str(), "#" | "**") {
            "+/#"
        } else {
            other
        };
        let mut theirs = theirs.split('/').map(Level::of);
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Level::Rest), _) | (None, None) => return true,
                (Some(Level::One), Some(Level::One | Level::Named(_))) => {}
                (Some(Level::Named(our)), Some(Level::Named(their))) if our == their => {}
                _ => return false,
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Level<'a> {
    Named(&'a str),
    One,
    Rest,
}

impl<'a> Level<'a> {
    fn of(text: &'a str) -> Self {
        match text {
            "+" | "*" => Level::One,
            "#" | "**" => Level::Rest,
            name => Level::Named(name),
        }
    }
}

fn check_pattern(text: &str) -> Result<(), &'static str> {
    check_id(text)?;
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        match Level::of(level) {
            Level::Rest if levels.peek().is_some() => {
                return Err("must have `#` or `**` only as its last level");
            }
            Level::Rest | Level::One => {}
            Level::Named(name) if name.contains(WILDCARDS) => {
                return Err("must have `+`, `*` and `#` only as whole levels");
            }
            Level::Named(name) => check_level(name)?,
        }
    }
    Ok(())
}

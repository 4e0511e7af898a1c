//! The low-level form: what was given where, before types and rules.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::{ConfigError, Refusal};
use super::secret::SHOWN;
use super::settings::Config;
use super::value::{Raw, Setting};

const ENV_PREFIX: &str = "TIDINGS_";

/// Shorter names that the protocol promises for the secret, beside `TIDINGS_AUTH_...`.
const ENV_SHORT: [(&str, &str); 2] = [
    ("TIDINGS_JWT_SECRET", "auth.jwt_secret"),
    ("TIDINGS_JWT_SECRET_FILE", "auth.jwt_secret_file"),
];

/// Where a value came from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl Origin {
    /// Whether two values stand in the same layer, so that neither wins over the other.
    pub(super) fn same_layer(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    pub flag: &'static str,
    /// `section.key`.
    pub key: &'static str,
    pub value: String,
}

/// The merged layers, and what was found wrong while they were read.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<String, (Raw, Origin)>,
    pub(super) refusals: Vec<Refusal>,
    /// Variables that look like settings and are none.
    pub(super) unknown_env: Vec<String>,
}

impl Given {
    pub(super) fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_of = |at: usize| 1 + text[..at].matches('\n').count();
        let malformed = |error: &toml::de::Error, message: &str| ConfigError::Malformed {
            path: path.to_owned(),
            line: line_of(error.span().map_or(0, |span| span.start)),
            message: message.to_owned(),
        };
        toml::from_str::<toml::Table>(text).map_err(|error| malformed(&error, error.message()))?;
        // The message of this one would quote the value, which may be a secret.
        let file: File = toml::from_str(text)
            .map_err(|error| malformed(&error, "settings stand in sections such as [server]"))?;
        for (section, entries) in file {
            for (key, value) in entries {
                let origin = Origin::File {
                    path: path.to_owned(),
                    line: line_of(key.span().start),
                };
                let key = format!("{section}.{}", key.into_inner());
                self.add(key, Raw::Typed(value), origin);
            }
        }
        Ok(())
    }

    pub(super) fn add_env(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let known = known_keys();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else {
                continue;
            };
            let key = ENV_SHORT
                .iter()
                .find_map(|(short, key)| (*short == name).then(|| (*key).to_owned()))
                .or_else(|| known.iter().find(|key| env_name(key) == name).cloned());
            match key {
                Some(key) => self.add_variable(key, name, value),
                None if looks_like_setting(name, &known) => self.unknown_env.push(name.to_owned()),
                None => {}
            }
        }
    }

    fn add_variable(&mut self, key: String, name: &str, value: OsString) {
        let origin = Origin::Environment(name.to_owned());
        let earlier = self.origin(&key);
        let rule = match value.into_string() {
            Ok(_) if earlier.same_layer(&origin) => {
                format!("is given by {earlier} too; give one of the two")
            }
            Ok(value) => return self.add(key, Raw::Text(value), origin),
            Err(_) => "must be UTF-8".to_owned(),
        };
        self.refusals.push(Refusal {
            key,
            value: None,
            origin,
            rule,
        });
    }

    pub(super) fn add_flags(&mut self, flags: Vec<Flag>) {
        for Flag { flag, key, value } in flags {
            self.add(key.to_owned(), Raw::Text(value), Origin::Flag(flag));
        }
    }

    fn add(&mut self, key: String, value: Raw, origin: Origin) {
        self.values.insert(key, (value, origin));
    }

    /// Takes one setting out; `None` when it was not given or was refused.
    pub(super) fn take<T: Setting>(
        &mut self,
        key: &str,
        rule: impl FnOnce(&T) -> Result<(), String>,
    ) -> Option<T> {
        let (raw, origin) = self.values.get(key)?;
        let checked = T::read(raw).and_then(|value| rule(&value).map(|()| value));
        match checked {
            Ok(value) => Some(value),
            Err(rule) => {
                let shown = if T::SECRET {
                    SHOWN.to_owned()
                } else {
                    raw.shown()
                };
                self.refusals.push(Refusal {
                    key: key.to_owned(),
                    value: Some(shown),
                    origin: origin.clone(),
                    rule,
                });
                None
            }
        }
    }

    /// Refuses what no section has asked for.
    pub(super) fn refuse_unknown(&mut self) {
        let known = known_keys();
        for (key, (_, origin)) in &self.values {
            if !known.contains(key) {
                self.refusals.push(Refusal {
                    key: key.clone(),
                    value: None,
                    origin: origin.clone(),
                    rule: unknown_rule(key, &known),
                });
            }
        }
    }

    pub(super) fn origin(&self, key: &str) -> Origin {
        self.values
            .get(key)
            .map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    pub(super) fn into_origins(self) -> BTreeMap<String, Origin> {
        self.values
            .into_iter()
            .map(|(key, (_, origin))| (key, origin))
            .collect()
    }
}

type File = BTreeMap<String, BTreeMap<Spanned<String>, toml::Value>>;

/// `TIDINGS_SECTION_KEY` of a setting.
pub(super) fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn known_keys() -> Vec<String> {
    let config = Config::default();
    let sections = config.sections();
    let keys = sections.iter().flat_map(|section| {
        section
            .entries
            .iter()
            .map(|entry| format!("{}.{}", section.name, entry.key))
    });
    keys.collect()
}

/// Only variables that begin like a section: others, such as those that Kubernetes adds for a service named "tidings",
/// are none of ours.
fn looks_like_setting(name: &str, known: &[String]) -> bool {
    let rest = name.trim_start_matches(ENV_PREFIX).to_lowercase();
    known.iter().any(|key| {
        let section = key.split('.').next().unwrap_or_default();
        rest.strip_prefix(section)
            .is_some_and(|rest| rest.starts_with('_'))
    })
}

fn unknown_rule(key: &str, known: &[String]) -> String {
    let section = key.split('.').next().unwrap_or_default();
    let nearest = known
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    if let Some((_, candidate)) = nearest {
        return format!("there is no such setting; did you mean {candidate}?");
    }
    let of_section: Vec<&str> = known
        .iter()
        .filter(|known| known.split('.').next() == Some(section))
        .map(String::as_str)
        .collect();
    if of_section.is_empty() {
        "there is no such section".to_owned()
    } else {
        format!(
            "there is no such setting; known are {}",
            of_section.join(", ")
        )
    }
}

/// Levenshtein's, for the suggestion.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

//! The configuration as text: the resolved one with the origin of each value, and the documented example.

use std::fmt::Write as _;

use super::layers::{Origin, env_name};
use super::load::Loaded;
use super::settings::{Config, Entry, Section};

const EXAMPLE_HEAD: &str = "\
# Configuration of a Tidings hub: `tidings serve --config tidings.toml`.
#
# Every setting is optional and stands here, commented out, with its default and the environment variable that sets it too.
# Flags win over the environment, the environment wins over this file.
# `tidings config print --origin` shows what holds and where it came from.
# SIGHUP makes a running hub read it again; settings that say so change then, the others with the next start.
";

impl Loaded {
    /// TOML that gives the same configuration again (but for secrets, which are never shown), on request with the place
    /// that each value comes from.
    pub fn print(&self, with_origins: bool) -> String {
        let mut text = String::new();
        for section in self.config.sections() {
            let _ = writeln!(text, "{}[{}]", separator(&text), section.name);
            for entry in &section.entries {
                let key = format!("{}.{}", section.name, entry.key);
                let origin = self.origins.get(&key).unwrap_or(&Origin::Default);
                let _ = match &entry.value {
                    Some(value) if with_origins => {
                        writeln!(text, "{} = {value}  # {origin}", entry.key)
                    }
                    Some(value) => writeln!(text, "{} = {value}", entry.key),
                    None => writeln!(text, "# {} is not set", entry.key),
                };
            }
        }
        text
    }
}

const LIVE: &str = "# Changes on SIGHUP.\n";

/// The text of `tidings.example.toml`.
pub fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    for section in Config::default().sections() {
        let _ = writeln!(text, "\n{}[{}]", comment(section.docs), section.name);
        for entry in &section.entries {
            text.push_str(&example_entry(&section, entry));
        }
    }
    text
}

fn example_entry(section: &Section, entry: &Entry) -> String {
    let Entry {
        key,
        docs,
        live,
        value,
    } = entry;
    let live = if *live { LIVE } else { "" };
    let value = value.as_deref().unwrap_or("\"...\"");
    let variable = env_name(&format!("{}.{key}", section.name));
    format!("\n{}{live}# {variable}\n#{key} = {value}\n", comment(docs))
}

fn comment(docs: &[&str]) -> String {
    docs.iter().map(|line| format!("#{line}\n")).collect()
}

fn separator(before: &str) -> &'static str {
    if before.is_empty() { "" } else { "\n" }
}

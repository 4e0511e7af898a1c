//! The types of settings: how each is read from a raw value, and how it is shown.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::secret::{SHOWN, Secret};

/// A value as it was given: typed in a file, text in the environment and in flags.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Typed(toml::Value),
    Text(String),
}

impl Raw {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Typed(toml::Value::String(text)) => Some(text),
            Self::Typed(_) => None,
        }
    }

    fn integer(&self) -> Option<u64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Typed(value) => value.as_integer()?.try_into().ok(),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Typed(value) => value.to_string(),
        }
    }
}

/// A type that a setting can have.
pub(super) trait Setting: Sized {
    /// Reads the value, or says in words what it must be.
    fn read(raw: &Raw) -> Result<Self, String>;

    /// The value as TOML; `None` when there is none.
    fn toml(&self) -> Option<String>;

    /// Whether the value must not be shown in an error.
    const SECRET: bool = false;
}

/// What a `200` on a message means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk.
    Disk,
    /// Handed to the operating system.
    Os,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Setting for SocketAddr {
    fn read(raw: &Raw) -> Result<Self, String> {
        let rule = || {
            "must be an IP address and a port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"
                .to_owned()
        };
        let text = raw.text().ok_or_else(rule)?;
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| rule())?;
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
        text.parse().map_err(|_| rule())
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or("must be a path in quotes")?;
        Ok(Self::from(text))
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self.display()))
    }
}

impl Setting for Option<PathBuf> {
    fn read(raw: &Raw) -> Result<Self, String> {
        PathBuf::read(raw).map(Some)
    }

    fn toml(&self) -> Option<String> {
        self.as_ref()?.toml()
    }
}

impl Setting for Option<Secret> {
    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or("must be text in quotes")?;
        Ok(Some(Secret::new(text)))
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().map(|_| quoted(SHOWN))
    }

    const SECRET: bool = true;
}

impl Setting for String {
    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or("must be text in quotes")?;
        Ok(text.to_owned())
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for Vec<String> {
    fn read(raw: &Raw) -> Result<Self, String> {
        let rule = "must be a list of texts";
        match raw {
            Raw::Text(text) => Ok(text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()),
            Raw::Typed(value) => value
                .as_array()
                .ok_or(rule)?
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or(rule.to_owned()))
                .collect(),
        }
    }

    fn toml(&self) -> Option<String> {
        let items: Vec<String> = self.iter().map(quoted).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

impl Setting for bool {
    fn read(raw: &Raw) -> Result<Self, String> {
        let value = match raw {
            Raw::Typed(value) => value.as_bool(),
            Raw::Text(text) => text.parse().ok(),
        };
        value.ok_or("must be true or false".to_owned())
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for u64 {
    fn read(raw: &Raw) -> Result<Self, String> {
        // A TOML integer ends at i64::MAX; the same bound for all sources keeps the printed form readable again.
        let number = raw
            .integer()
            .filter(|&number| i64::try_from(number).is_ok());
        number.ok_or("must be a whole number, 0 or more".to_owned())
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for usize {
    fn read(raw: &Raw) -> Result<Self, String> {
        let number = u64::read(raw)?;
        Self::try_from(number).map_err(|_| "is too large for this machine".to_owned())
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for Durability {
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("disk") => Ok(Self::Disk),
            Some("os") => Ok(Self::Os),
            _ => Err(r#"must be "disk" or "os""#.to_owned()),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(match self {
            Self::Disk => "disk",
            Self::Os => "os",
        }))
    }
}

impl Setting for LogFormat {
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => Err(r#"must be "text" or "json""#.to_owned()),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        }))
    }
}

pub(super) fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

//! Which data folder a command is for, and what is said of it.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tidings_store::{CopyError, Folder, OpenError};

use super::failure::Failure;
use super::settings::load;
use super::text::chain;
use crate::config::{Flag, Loaded};

#[derive(Debug, clap::Args)]
pub(super) struct Location {
    /// Folder of the messages; otherwise where the hub has it: TIDINGS_SERVER_DATA or the configuration
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Configuration file of the hub
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
    config: Option<PathBuf>,
}

impl Location {
    /// Given by name, the rest of the configuration does not matter.
    pub(super) fn folder(self) -> Result<Folder, Failure> {
        let dir = match self.data {
            Some(dir) => dir,
            None => self.load()?.config.server.data,
        };
        Ok(Folder::new(dir))
    }

    /// The configuration of the hub that the folder belongs to.
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        let data = self.data.map(|dir| Flag {
            flag: "--data",
            key: "server.data",
            value: dir.to_string_lossy().into_owned(),
        });
        load(self.config, data.into_iter().collect())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self::Failed(chain(&error))
    }
}

/// In the largest unit that leaves a whole.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut size = bytes as f64;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} bytes")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

/// A stored time, in words.
pub(super) fn time(ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms.min(TIME_MAX)))
}

/// The end of the year 9999, beyond which dates have no form.
const TIME_MAX: u64 = 253_402_300_799_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_is_read_best() {
        for (number, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn every_stored_time_can_be_told() {
        assert_eq!(time(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(time(u64::MAX).contains("9999"));
    }
}

//! Flags that are settings of a hub.

use std::path::PathBuf;

use super::failure::Failure;
use super::text::chain;
use crate::config::{Config, Flag, Inputs, Loaded};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080] [env: TIDINGS_SERVER_LISTEN]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// Folder of the messages [default: ./tidings-data] [env: TIDINGS_SERVER_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// Configuration file; `tidings config example` prints one with every setting
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
    config: Option<PathBuf>,

    /// Let a hub without keys listen beyond loopback: everyone who reaches it may read and send everything
    #[arg(long)]
    allow_anonymous: bool,
}

impl Args {
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        let allow_anonymous = self.allow_anonymous.then(|| "true".to_owned());
        let flags = [
            ("--listen", "server.listen", self.listen),
            ("--data", "server.data", self.data),
            (
                "--allow-anonymous",
                "server.allow_anonymous",
                allow_anonymous,
            ),
        ];
        let flags = flags.into_iter().filter_map(|(flag, key, value)| {
            Some(Flag {
                flag,
                key,
                value: value?,
            })
        });
        load(self.config, flags.collect())
    }
}

/// The configuration from file, environment and flags.
pub(super) fn load(file: Option<PathBuf>, flags: Vec<Flag>) -> Result<Loaded, Failure> {
    let inputs = Inputs {
        file,
        environment: std::env::vars_os().collect(),
        flags,
    };
    Config::load(inputs).map_err(|error| Failure::Usage(chain(&error)))
}

//! From the layers to the checked configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::error::{ConfigError, Refusal};
use super::layers::{Flag, Given, Origin};
use super::rules::secret_length;
use super::secret::Secret;
use super::settings::Config;
use super::value::Setting;

/// Everything that a configuration is made of.
#[derive(Debug, Default)]
pub struct Inputs {
    pub file: Option<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
    pub flags: Vec<Flag>,
}

/// A checked configuration, and where its values came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Of the settings that were given; all others have their defaults.
    pub origins: BTreeMap<String, Origin>,
    /// Environment variables that look like settings and are none: worth a warning, no reason to stop, because others
    /// put variables there too.
    pub unknown_env: Vec<String>,
}

impl Config {
    /// Reads, merges and checks: defaults, then the file, then the environment, then flags.
    pub fn load(inputs: Inputs) -> Result<Loaded, ConfigError> {
        let mut given = Given::default();
        if let Some(path) = inputs.file {
            let text =
                std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
            given.add_file(&path, &text)?;
        }
        given.add_env(inputs.environment);
        given.add_flags(inputs.flags);

        let mut config = Config::resolve(&mut given);
        given.refuse_unknown();
        resolve_secret(&mut config, &mut given);
        if given.refusals.is_empty() {
            refuse_open_beyond_loopback(&config, &mut given);
        }
        if !given.refusals.is_empty() {
            return Err(ConfigError::Refused(given.refusals));
        }
        Ok(Loaded {
            config,
            unknown_env: std::mem::take(&mut given.unknown_env),
            origins: given.into_origins(),
        })
    }

    /// Whether the hub lets in everyone, because there are no keys.
    pub fn is_open(&self) -> bool {
        self.auth.jwt_secret.is_none()
    }
}

/// Of the secret and the file of the secret, the one given in the later layer holds.
fn resolve_secret(config: &mut Config, given: &mut Given) {
    let Some(path) = &config.auth.jwt_secret_file else {
        return;
    };
    let (key, file_key) = ("auth.jwt_secret", "auth.jwt_secret_file");
    let (origin, file_origin) = (given.origin(key), given.origin(file_key));
    if config.auth.jwt_secret.is_some() {
        if origin.same_layer(&file_origin) {
            given.refusals.push(Refusal {
                key: file_key.to_owned(),
                value: config.auth.jwt_secret_file.toml(),
                origin: file_origin,
                rule: format!("{key} is given too ({origin}); give one of the two"),
            });
            return;
        }
        if origin > file_origin {
            return;
        }
    }
    let read = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot be read: {error}"))
        .map(|text| Some(Secret::new(text.trim())))
        .and_then(|secret| secret_length(&secret).map(|()| secret));
    match read {
        Ok(secret) => config.auth.jwt_secret = secret,
        Err(rule) => given.refusals.push(Refusal {
            key: file_key.to_owned(),
            value: config.auth.jwt_secret_file.toml(),
            origin: file_origin,
            rule,
        }),
    }
}

fn refuse_open_beyond_loopback(config: &Config, given: &mut Given) {
    let server = &config.server;
    if config.is_open() && !server.listen.ip().is_loopback() && !server.allow_anonymous {
        given.refusals.push(Refusal {
            key: "server.listen".to_owned(),
            value: server.listen.toml(),
            origin: given.origin("server.listen"),
            rule: "without keys everyone who reaches this address could read and send everything; set \
                   TIDINGS_JWT_SECRET, or listen on 127.0.0.1, or say --allow-anonymous"
                .to_owned(),
        });
    }
}

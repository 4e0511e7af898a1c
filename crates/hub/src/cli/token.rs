use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::failure::Failure;
use super::settings::load;
use super::text::chain;
use super::units::duration;
use crate::auth::{Claims, Grants, mint};
use crate::config::Flag;

const TTL: &str = "1h";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The client that the token names
    #[arg(long, value_name = "CLIENT")]
    sub: String,

    /// Topics that it may publish to, with wildcards; `#` also lets it send to all. May be repeated
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,

    /// Topics that it may subscribe to, with wildcards. May be repeated
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,

    /// Clients that it may send to, with wildcards as in topics. May be repeated
    #[arg(long, value_name = "PATTERN")]
    targets: Vec<String>,

    /// May also see and end everyone's connections
    #[arg(long)]
    admin: bool,

    /// How long it is valid, such as 90s, 15m, 12h or 7d
    #[arg(long, value_name = "DURATION", default_value = TTL, value_parser = duration)]
    ttl: Duration,

    /// File with the hub's secret; otherwise it is taken from where the hub takes it: TIDINGS_JWT_SECRET,
    /// TIDINGS_JWT_SECRET_FILE or the configuration
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,

    /// Configuration file of the hub
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let secret_file = args.secret_file.map(|path| Flag {
        flag: "--secret-file",
        key: "auth.jwt_secret_file",
        value: path,
    });
    let loaded = load(args.config, secret_file.into_iter().collect())?;
    let secret = loaded.config.auth.jwt_secret.ok_or_else(|| {
        Failure::Usage(
            "there is no secret to sign with: set TIDINGS_JWT_SECRET as for the hub, or give --secret-file; \
             `openssl rand -hex 32` makes one"
                .to_owned(),
        )
    })?;
    let grants = Grants {
        publish: args.publish,
        subscribe: args.subscribe,
        targets: args.targets,
        roles: args.admin.then(|| "admin".to_owned()).into_iter().collect(),
        ..Grants::default()
    };
    let claims = Claims::new(args.sub, seconds_now() + args.ttl.as_secs().max(1), grants);
    let token =
        mint(secret.expose().as_bytes(), &claims).map_err(|error| Failure::Usage(chain(&error)))?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

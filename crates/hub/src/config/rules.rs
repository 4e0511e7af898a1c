//! The rules that values obey, beyond their type. Each says in words what the value must be.

use std::fmt::Display;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::secret::Secret;
use super::value::quoted;

/// HS256 keys are at least as long as the hash (RFC 7518, 3.2); shorter ones can be guessed from one token.
const SECRET_BYTES_MIN: usize = 32;

type Checked = Result<(), String>;

pub(super) fn any<T>(_: &T) -> Checked {
    Ok(())
}

pub(super) fn within<T: PartialOrd + Display>(min: T, max: T) -> impl Fn(&T) -> Checked {
    move |value| {
        require(*value >= min && *value <= max, || {
            format!("must be from {min} to {max}")
        })
    }
}

pub(super) fn zero_or_within(min: u64, max: u64) -> impl Fn(&u64) -> Checked {
    move |value| {
        require(*value == 0 || (min..=max).contains(value), || {
            format!("must be 0 or from {min} to {max}")
        })
    }
}

pub(super) fn at_least<T: PartialOrd + Display>(min: T) -> impl Fn(&T) -> Checked {
    move |value| require(*value >= min, || format!("must be at least {min}"))
}

pub(super) fn at_most<T: PartialOrd + Display>(max: T) -> impl Fn(&T) -> Checked {
    move |value| require(*value <= max, || format!("must be at most {max}"))
}

pub(super) fn not_empty(path: &impl AsRef<Path>) -> Checked {
    require(path.as_ref() != Path::new(""), || {
        "must not be empty".to_owned()
    })
}

pub(super) fn hosts(hosts: &impl AsRef<[String]>) -> Checked {
    let name = |host: &&String| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._[:]".contains(c))
    };
    let plain = |host: &&String| name(host) && (host.starts_with('[') || !host.contains(':'));
    match hosts.as_ref().iter().find(|host| !plain(host)) {
        Some(host) => Err(format!(
            "{} must be a host name without scheme and port, such as hub.example.org",
            quoted(host)
        )),
        None => Ok(()),
    }
}

pub(super) fn origins(origins: &impl AsRef<[String]>) -> Checked {
    match origins.as_ref().iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(format!(
            "{} must be an origin as browsers send it: scheme and host, a port if it is not the usual one, \
             no path, such as https://app.example.org",
            quoted(origin)
        )),
        None => Ok(()),
    }
}

fn is_origin(origin: &str) -> bool {
    reqwest::Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin
    })
}

pub(super) fn secret_length(secret: &Option<Secret>) -> Checked {
    let bytes = secret.as_ref().map_or(0, |secret| secret.expose().len());
    require(bytes >= SECRET_BYTES_MIN, || {
        format!(
            "must have at least {SECRET_BYTES_MIN} bytes, has {bytes}; `openssl rand -hex 32` makes one"
        )
    })
}

pub(super) fn filter(level: &impl AsRef<str>) -> Checked {
    let level = level.as_ref();
    require(
        !level.trim().is_empty() && EnvFilter::try_new(level).is_ok(),
        || {
            "must be error, warn, info, debug, trace or off, also per module such as info,tidings::http=debug"
            .to_owned()
        },
    )
}

fn require(holds: bool, rule: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(rule()) }
}

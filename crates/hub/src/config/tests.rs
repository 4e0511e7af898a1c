use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Durability, Flag, Inputs, Loaded, LogFormat, Secret, example};

const SECRET: &str = "correct-horse-battery-staple-0123456789";

/// A folder with files, as one test needs them.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(name: &str, text: &str) -> (Self, PathBuf) {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        let path = folder.0.path().join(name);
        std::fs::write(&path, text).expect("a written file");
        (folder, path)
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    let (_folder, path) = Folder::with("hub.toml", text);
    Config::load(Inputs {
        file: Some(path),
        ..Inputs::default()
    })
}

fn from_env(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(Inputs {
        environment: environment(variables),
        ..Inputs::default()
    })
}

fn refused_file(text: &str) -> String {
    let error = from_file(text).expect_err("a refusal").to_string();
    let start = error.find("hub.toml").expect("the file's name");
    let folder = error[..start].rfind(['(', ' ']).map_or(0, |at| at + 1);
    error.replace(&error[folder..start], "")
}

fn refused_env(variables: &[(&str, &str)]) -> String {
    from_env(variables).expect_err("a refusal").to_string()
}

#[test]
fn nothing_given_is_the_default_configuration() {
    let loaded = Config::load(Inputs::default()).expect("a configuration");
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.config.is_open());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_folder, path) = Folder::with(
        "hub.toml",
        "[server]\nlisten = '127.0.0.1:1'\ndata = 'from-file'\ndrain_ms = 7\n[log]\nformat = 'json'\n",
    );
    let loaded = Config::load(Inputs {
        file: Some(path),
        environment: environment(&[
            ("TIDINGS_SERVER_LISTEN", "127.0.0.1:2"),
            ("TIDINGS_SERVER_DATA", "from-env"),
            ("TIDINGS_SERVER_ALLOWED_HOSTS", "a.example, b.example"),
            ("PATH", "/bin"),
        ]),
        flags: vec![Flag {
            flag: "--listen",
            key: "server.listen",
            value: "127.0.0.1:3".to_owned(),
        }],
    })
    .expect("a configuration");
    let server = &loaded.config.server;
    assert_eq!(server.listen.port(), 3);
    assert_eq!(server.data, Path::new("from-env"));
    assert_eq!(server.drain_ms, 7);
    assert_eq!(server.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    assert_eq!(loaded.config.store.durability, Durability::Disk);
}

#[test]
fn a_refusal_names_key_value_origin_and_rule() {
    assert_eq!(
        refused_file("[server]\n\nlisten = 'here'\n"),
        "server.listen = \"here\" (hub.toml line 3): must be an IP address and a port, such as 127.0.0.1:8080, \
         [::1]:8080 or 0.0.0.0:8080"
    );
    assert_eq!(
        refused_env(&[("TIDINGS_SSE_HEARTBEAT_MS", "5")]),
        "sse.heartbeat_ms = \"5\" (environment TIDINGS_SSE_HEARTBEAT_MS): must be 0 or from 250 to 300000"
    );
    let flag = Flag {
        flag: "--listen",
        key: "server.listen",
        value: "0.0.0.0:1".to_owned(),
    };
    let refused = Config::load(Inputs {
        flags: vec![flag],
        ..Inputs::default()
    });
    assert_eq!(
        refused.expect_err("a refusal").to_string(),
        "server.listen = \"0.0.0.0:1\" (flag --listen): without keys everyone who reaches this address could read and \
         send everything; set TIDINGS_JWT_SECRET, or listen on 127.0.0.1, or say --allow-anonymous"
    );
}

#[test]
fn every_type_says_what_it_must_be() {
    for (line, rule) in [
        ("[server]\nallow_anonymous = 'yes'", "must be true or false"),
        ("[server]\ndata = 5", "must be a path in quotes"),
        ("[server]\ndata = ''", "must not be empty"),
        (
            "[server]\ndrain_ms = -1",
            "must be a whole number, 0 or more",
        ),
        (
            "[server]\ndrain_ms = 1.5",
            "must be a whole number, 0 or more",
        ),
        ("[server]\ndrain_ms = 600001", "must be at most 600000"),
        (
            "[server]\nallowed_hosts = 'a.example'",
            "must be a list of texts",
        ),
        (
            "[server]\nallowed_hosts = ['http://a']",
            "must be a host name",
        ),
        (
            "[server]\nallowed_hosts = ['a.example:80']",
            "must be a host name",
        ),
        (
            "[server]\nallowed_origins = ['https://a.example/']",
            "must be an origin",
        ),
        (
            "[server]\nallowed_origins = ['https://a.example:443']",
            "must be an origin",
        ),
        (
            "[server]\nallowed_origins = ['a.example']",
            "must be an origin",
        ),
        ("[sse]\npending_max = 0", "must be from 1 to"),
        (
            "[store]\ndurability = 'memory'",
            "must be \"disk\" or \"os\"",
        ),
        ("[store]\ntrim_every_ms = 0", "must be at least 1"),
        ("[log]\nformat = 'xml'", "must be \"text\" or \"json\""),
        ("[log]\nlevel = 'tidings=loud'", "must be error, warn"),
        ("[log]\nlevel = ''", "must be error, warn"),
    ] {
        let refused = refused_file(line);
        assert!(refused.contains(rule), "{line}: {refused}");
    }
}

#[test]
fn all_refusals_are_reported_together() {
    let refused =
        refused_file("[sse]\nretry_ms = 0\n[store]\ndurability = 'x'\n[log]\ncolour = 1\n");
    assert_eq!(refused.lines().count(), 3, "{refused}");
}

#[test]
fn unknown_settings_are_refused_with_the_nearest_name() {
    assert_eq!(
        refused_file("[server]\nlisen = 'x'"),
        "server.lisen (hub.toml line 2): there is no such setting; did you mean server.listen?"
    );
    assert_eq!(
        refused_file("[log]\ncolour = true"),
        "log.colour (hub.toml line 2): there is no such setting; known are log.level, log.format"
    );
    assert_eq!(
        refused_file("[telemetry]\nendpoint = 'x'"),
        "telemetry.endpoint (hub.toml line 2): there is no such section"
    );
}

#[test]
fn text_that_is_no_toml_is_refused_by_its_line_without_quoting_it() {
    let refused = refused_file(&format!("[auth]\njwt_secret = '{SECRET}\n"));
    assert!(
        refused.starts_with("hub.toml line 2 is not accepted: "),
        "{refused}"
    );
    assert!(!refused.contains(SECRET), "{refused}");
    let refused = refused_file(&format!("jwt_secret = '{SECRET}'\n"));
    assert_eq!(
        refused,
        "hub.toml line 1 is not accepted: settings stand in sections such as [server]"
    );
}

#[test]
fn a_missing_file_is_named() {
    let inputs = Inputs {
        file: Some("/nowhere/hub.toml".into()),
        ..Inputs::default()
    };
    let error = Config::load(inputs).expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "cannot read the configuration file /nowhere/hub.toml"
    );
}

#[test]
fn a_misspelt_variable_is_reported_and_others_are_left_alone() {
    let loaded = from_env(&[
        ("TIDINGS_SERVER_LISEN", "x"),
        ("TIDINGS_SERVICE_HOST", "10.0.0.1"),
        ("TIDINGS_PORT", "tcp://10.0.0.1:80"),
        ("TIDINGS_URL", "http://127.0.0.1:1"),
    ])
    .expect("a configuration");
    assert_eq!(loaded.unknown_env, ["TIDINGS_SERVER_LISEN"]);
}

#[test]
fn the_secret_comes_from_either_variable_or_a_file() {
    let (_folder, path) = Folder::with("secret", &format!("{SECRET}\n"));
    let path = path.to_str().expect("a UTF-8 path");
    for (name, value) in [
        ("TIDINGS_JWT_SECRET", SECRET),
        ("TIDINGS_AUTH_JWT_SECRET", SECRET),
        ("TIDINGS_JWT_SECRET_FILE", path),
        ("TIDINGS_AUTH_JWT_SECRET_FILE", path),
    ] {
        let config = from_env(&[(name, value)]).expect("a configuration").config;
        assert_eq!(config.auth.jwt_secret, Some(Secret::new(SECRET)), "{name}");
        assert!(!config.is_open());
    }
}

#[test]
fn a_secret_in_a_later_layer_wins_over_a_secret_file_in_an_earlier_one() {
    let (_secret, secret_file) = Folder::with("secret", "another-secret-of-more-than-32-bytes");
    let text = format!("[auth]\njwt_secret_file = '{}'\n", secret_file.display());
    let (_folder, path) = Folder::with("hub.toml", &text);
    let load = |variables| {
        let inputs = Inputs {
            file: Some(path.clone()),
            environment: environment(variables),
            flags: Vec::new(),
        };
        Config::load(inputs)
            .expect("a configuration")
            .config
            .auth
            .jwt_secret
    };
    assert_eq!(
        load(&[("TIDINGS_JWT_SECRET", SECRET)]),
        Some(Secret::new(SECRET))
    );
    assert_eq!(
        load(&[]),
        Some(Secret::new("another-secret-of-more-than-32-bytes"))
    );
}

#[test]
fn both_spellings_of_the_secret_in_one_layer_are_refused() {
    let refused = refused_env(&[
        ("TIDINGS_JWT_SECRET", SECRET),
        ("TIDINGS_JWT_SECRET_FILE", "f"),
    ]);
    assert_eq!(
        refused,
        "auth.jwt_secret_file = \"f\" (environment TIDINGS_JWT_SECRET_FILE): auth.jwt_secret is given too \
         (environment TIDINGS_JWT_SECRET); give one of the two"
    );
}

#[test]
fn both_names_of_one_variable_are_refused() {
    let refused = refused_env(&[
        ("TIDINGS_AUTH_JWT_SECRET", SECRET),
        ("TIDINGS_JWT_SECRET", "x"),
    ]);
    assert_eq!(
        refused,
        "auth.jwt_secret (environment TIDINGS_JWT_SECRET): is given by environment TIDINGS_AUTH_JWT_SECRET too; \
         give one of the two"
    );
}

#[test]
fn an_empty_or_short_secret_is_refused_and_never_shown() {
    for secret in ["", "hunter2"] {
        let refused = refused_env(&[("TIDINGS_JWT_SECRET", secret)]);
        let bytes = secret.len();
        assert_eq!(
            refused,
            format!(
                "auth.jwt_secret = (set) (environment TIDINGS_JWT_SECRET): must have at least 32 bytes, has {bytes}; \
                 `openssl rand -hex 32` makes one"
            )
        );
    }
    let refused = refused_env(&[("TIDINGS_JWT_SECRET_FILE", "/nowhere/secret")]);
    assert!(refused.contains("cannot be read"), "{refused}");
}

#[test]
fn neither_debug_nor_print_shows_a_secret() {
    let loaded = from_env(&[("TIDINGS_JWT_SECRET", SECRET)]).expect("a configuration");
    let printed = loaded.print(true);
    assert!(
        printed.contains("jwt_secret = \"(set)\"  # environment TIDINGS_JWT_SECRET\n"),
        "{printed}"
    );
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(!format!("{loaded:?}").contains(SECRET));
}

#[test]
fn the_printed_configuration_gives_the_same_configuration_again() {
    let loaded = from_file(
        "[server]\nlisten = '[::1]:80'\ndata = 'a \"b\" c'\nallowed_origins = ['https://a.example', 'http://b.example:81']\n\
         [store]\ndurability = 'os'\ntopic_bytes = 9223372036854775807\n[log]\nlevel = 'info,tidings=debug'\n",
    );
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
    for with_origins in [true, false] {
        let again = from_file(&loaded.print(with_origins)).expect("the printed configuration");
        assert_eq!(again.config, loaded.config);
    }
}

#[test]
fn the_example_file_is_the_one_of_this_version() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tidings.example.toml");
    let committed = std::fs::read_to_string(path).expect("tidings.example.toml");
    assert!(
        committed == example(),
        "write it anew: cargo run -p tidings -- config example > tidings.example.toml"
    );
}

#[test]
fn the_example_file_shows_the_defaults() {
    let text = example();
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !rest.ends_with("\"...\"") => rest,
            _ => line,
        })
        .collect();
    let loaded = from_file(&uncommented.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.config, Config::default());
    let count = text
        .lines()
        .filter(|line| line.starts_with("# TIDINGS_"))
        .count();
    assert_eq!(
        loaded.origins.len() + 2,
        count,
        "every setting but the two secrets"
    );
}

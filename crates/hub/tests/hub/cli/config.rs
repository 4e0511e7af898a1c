use super::process::{ended, succeeds, tidings};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_printed_configuration_shows_every_value_with_its_origin_and_no_secret() {
    let mut command = tidings(&["config", "print", "--origin", "--listen", "127.0.0.1:7"]);
    command
        .env("TIDINGS_STORE_DURABILITY", "os")
        .env("TIDINGS_JWT_SECRET", SECRET);
    let printed = succeeds(&mut command);
    for line in [
        "listen = \"127.0.0.1:7\"  # flag --listen\n",
        "durability = \"os\"  # environment TIDINGS_STORE_DURABILITY\n",
        "heartbeat_ms = 25000  # default\n",
        "jwt_secret = \"(set)\"  # environment TIDINGS_JWT_SECRET\n",
    ] {
        assert!(printed.contains(line), "{line}{printed}");
    }
    assert!(!printed.contains(SECRET), "{printed}");
}

#[test]
fn origins_are_printed_on_request_alone() {
    let printed = succeeds(&mut tidings(&["config", "print"]));
    assert!(printed.contains("\nheartbeat_ms = 25000\n"), "{printed}");
    assert!(!printed.contains("# default"), "{printed}");
}

#[test]
fn the_printed_example_is_a_configuration_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tidings.toml");
    std::fs::write(&path, succeeds(&mut tidings(&["config", "example"]))).expect("a file");
    let with_file = tidings(&["config", "print", "--config", path.to_str().expect("UTF-8")])
        .env_clear()
        .output()
        .expect("an output");
    assert!(
        with_file.status.success(),
        "{}",
        String::from_utf8_lossy(&with_file.stderr)
    );
    let without = succeeds(&mut tidings(&["config", "print"]));
    assert_eq!(String::from_utf8_lossy(&with_file.stdout), without);
}

#[test]
fn a_wrong_setting_is_code_2_and_named_with_its_origin() {
    let mut command = tidings(&["serve"]);
    let ended = ended(command.env("TIDINGS_SSE_HEARTBEAT_MS", "soon"));
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.err,
        "tidings: sse.heartbeat_ms = \"soon\" (environment TIDINGS_SSE_HEARTBEAT_MS): must be a whole number, 0 or \
         more\n"
    );
}

#[test]
fn a_hub_without_keys_does_not_listen_beyond_loopback_by_chance() {
    let ended = ended(&mut tidings(&["serve", "--listen", "0.0.0.0:0"]));
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("--allow-anonymous"), "{}", ended.err);
}

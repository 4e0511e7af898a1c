use super::process::{ended, succeeds, tidings};

#[test]
fn the_first_help_says_what_it_is_and_names_every_command() {
    let help = succeeds(&mut tidings(&["--help"]));
    assert!(
        help.starts_with("Pushes messages to browsers, apps and services"),
        "{help}"
    );
    for part in [
        "Without a command the hub is served",
        "\n  serve        Run a hub\n",
        "\n  publish      Send messages",
        "\n  subscribe    Receive messages",
        "\n  backup       Write everything",
        "\n  restore      Make a data folder",
        "\n  store        Look at what a hub keeps",
        "\n  token        Make a token",
        "\n  config       Show the configuration\n",
        "\n  completions  ",
        "--listen <ADDR>",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn every_command_documents_its_exit_codes_flags_and_variables() {
    for (command, parts) in [
        (
            "serve",
            [
                "--listen <ADDR>",
                "--data <DIR>",
                "[env: TIDINGS_SERVER_DATA]",
                "--allow-anonymous",
            ],
        ),
        (
            "publish",
            [
                "[TEXT]",
                "--stdin",
                "TIDINGS_URL",
                "[default: http://127.0.0.1:8080]",
            ],
        ),
        (
            "subscribe",
            [
                "--client-id <ID>",
                "--since <SINCE>",
                "TIDINGS_TOKEN",
                "--json",
            ],
        ),
        (
            "token",
            [
                "--sub <CLIENT>",
                "--publish <PATTERN>",
                "TIDINGS_JWT_SECRET",
                "[default: 1h]",
            ],
        ),
    ] {
        let help = succeeds(&mut tidings(&[command, "--help"]));
        for part in parts
            .iter()
            .chain(&["Exit codes:", "  3  refused by the hub"])
        {
            assert!(help.contains(part), "{command} {part}: {help}");
        }
    }
}

#[test]
fn help_does_not_show_the_token_of_the_environment() {
    let mut command = tidings(&["publish", "--help"]);
    let help = succeeds(command.env("TIDINGS_TOKEN", "very-secret"));
    assert!(!help.contains("very-secret"), "{help}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = succeeds(&mut tidings(&["--version"]));
    assert_eq!(
        version,
        concat!("tidings ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeds(&mut tidings(&["completions", shell]));
        assert!(script.contains("subscribe"), "{shell}");
    }
}

#[test]
fn a_wrong_command_line_is_code_2_and_says_what_is_wrong() {
    for (arguments, text) in [
        (
            &["publish"][..],
            "nothing to send: give a text, --json or --stdin",
        ),
        (&["publish", "a", "--stdin"], "cannot be used with"),
        (&["publish", "--json", "{"], "--json is not JSON"),
        (&["publish", "--json"], "--json needs a value, or --stdin"),
        (
            &["publish", "--json", "1", "--stdin"],
            "give --json no value",
        ),
        (
            &["publish", "a", "--to", "x", "--topic", "y"],
            "cannot be used with",
        ),
        (
            &["publish", "a", "--priority", "urgent"],
            "a priority is low, normal, high, critical",
        ),
        (
            &["publish", "a", "--ttl", "5"],
            "a duration is a number with a unit",
        ),
        (
            &["publish", "a", "--url", "ftp://h"],
            "must begin with http",
        ),
        (&["serve", "--config", "/nowhere/x.toml"], "/nowhere/x.toml"),
        (&["token"], "--sub <CLIENT>"),
        (
            &["token", "--sub", "alice"],
            "there is no secret to sign with",
        ),
    ] {
        let ended = ended(&mut tidings(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(text), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let unused = "http://127.77.0.2:1";
    let ended = ended(&mut tidings(&["publish", "hello", "--url", unused]));
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .err
            .starts_with("tidings: cannot connect to http://127.77.0.2:1: "),
        "{}",
        ended.err
    );
}

use super::process::{Ended, Hub, Process, ended, succeeds, tidings};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn token(arguments: &[&str]) -> String {
    let mut command = tidings(&[&["token", "--sub"], arguments].concat());
    succeeds(command.env("TIDINGS_JWT_SECRET", SECRET))
        .trim()
        .to_owned()
}

fn publish(hub: &Hub, token: &str, arguments: &[&str]) -> Ended {
    let arguments = [&["publish", "hello"], arguments].concat();
    ended(hub.command(&arguments).env("TIDINGS_TOKEN", token))
}

#[test]
fn a_token_opens_what_it_grants_and_nothing_else() {
    let hub = Hub::with(&[("TIDINGS_JWT_SECRET", SECRET)]);
    let alice = token(&[
        "alice",
        "--subscribe",
        "news/#",
        "--publish",
        "news/eu",
        "--targets",
        "bob",
    ]);

    let mut command = hub.command(&["subscribe", "--topics", "news/#"]);
    let mut reader = Process::spawn(command.env("TIDINGS_TOKEN", &alice));
    let connected = reader.err.until("connected to");
    assert!(
        connected.contains(" as alice, topics news/#"),
        "{connected}"
    );

    assert_eq!(publish(&hub, &alice, &["--topic", "news/eu"]).code, 0);
    reader.out.until("topic news/eu from alice: hello");
    assert_eq!(publish(&hub, &alice, &["--to", "bob"]).code, 0);
    for refused in [&["--topic", "news/us"][..], &["--to", "carol"], &[]] {
        let ended = publish(&hub, &alice, refused);
        assert_eq!(ended.code, 3, "{refused:?}: {}", ended.err);
        assert!(
            ended.err.contains("(403 forbidden)"),
            "{refused:?}: {}",
            ended.err
        );
    }

    let mut command = hub.command(&["subscribe", "--topics", "secret"]);
    let ended = ended(command.env("TIDINGS_TOKEN", &alice));
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("(403 forbidden)"), "{}", ended.err);
}

#[test]
fn a_missing_foreign_or_expired_token_is_refused_with_its_reason_and_not_repeated() {
    let hub = Hub::with(&[("TIDINGS_JWT_SECRET", SECRET)]);
    let mut foreign = tidings(&["token", "--sub", "alice", "--publish", "#"]);
    let foreign = succeeds(foreign.env("TIDINGS_JWT_SECRET", SECRET.to_uppercase()));
    for (token, code) in [
        ("", "(401 missing_token)"),
        ("rubbish", "(401 invalid_token)"),
        (foreign.trim(), "(401 invalid_token)"),
    ] {
        let ended = publish(&hub, token, &[]);
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert!(ended.err.contains(code), "{code}: {}", ended.err);
        assert!(
            token.is_empty() || !ended.err.contains(token),
            "{}",
            ended.err
        );
    }
}

#[test]
fn the_secret_of_a_token_comes_from_a_file_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).expect("a file");
    let path = path.to_str().expect("UTF-8");
    let made = succeeds(&mut tidings(&[
        "token",
        "--sub",
        "alice",
        "--publish",
        "#",
        "--admin",
        "--ttl",
        "7d",
        "--secret-file",
        path,
    ]));
    let hub = Hub::with(&[("TIDINGS_JWT_SECRET_FILE", path)]);
    let ended = publish(&hub, made.trim(), &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn a_hub_with_keys_says_so_and_shows_how_to_get_a_token() {
    let mut hub = Hub::with(&[("TIDINGS_JWT_SECRET", SECRET)]);
    let text = hub.process.out.take(7).join("\n");
    assert!(text.contains("mode  tokens required"), "{text}");
    assert!(text.contains("tidings token --sub alice"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn claims_that_a_hub_would_refuse_are_refused_here() {
    for arguments in [&["$hub"][..], &["alice", "--publish", "a/#/b"]] {
        let mut command = tidings(&[&["token", "--sub"], arguments].concat());
        let ended = ended(command.env("TIDINGS_JWT_SECRET", SECRET));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
}

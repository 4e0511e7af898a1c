//! The built hub against the checks, and the checks against something that is no hub.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The hub is another package's binary, so Cargo does not say where it is: beside the folder of this test.
fn hub_binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let binary = folder.join(format!("tidings{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "there is no hub at {}: `cargo test --workspace` builds it, and so does `cargo build -p tidings`",
        binary.display()
    );
    binary
}

/// A running hub. Dropping it kills the process.
struct Hub {
    child: Child,
    url: String,
    _data: TempDir,
}

impl Hub {
    fn start(secret: Option<&str>) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(hub_binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            // What a check waits for is shorter than by default, and not another thing.
            .env("TIDINGS_SERVER_HEAD_TIMEOUT_MS", "2000")
            .env("TIDINGS_SERVER_BODY_TIMEOUT_MS", "2000")
            .env_remove("TIDINGS_JWT_SECRET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(secret) = secret {
            command.env("TIDINGS_JWT_SECRET", secret);
        }
        let mut child = command.spawn().expect("the hub starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.strip_prefix("tidings ")?
                    .split_once("listens on ")
                    .map(|(_, address)| format!("http://{}", address.trim()))
            })
            .expect("the hub prints its address");
        // What it prints later must not fill the pipe.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            url,
            _data: data,
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn token(options: &[&str]) -> String {
    let output = Command::new(hub_binary())
        .arg("token")
        .args(options)
        .env("TIDINGS_JWT_SECRET", SECRET)
        .output()
        .expect("the hub's binary runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

fn check(url: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings-conformance"))
        .args(["--url", url])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("the checks run")
}

fn passes(url: &str, options: &[&str]) {
    let output = check(url, options);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    let summary = text.lines().last().expect("a summary");
    assert!(summary.ends_with(" passed, 0 failed"), "{summary}");
}

#[test]
fn an_open_hub_conforms_also_the_second_time() {
    let hub = Hub::start(None);
    passes(&hub.url, &[]);
    passes(&hub.url, &["--filter", "Identity"]);
}

#[test]
fn a_hub_with_a_secret_conforms() {
    let hub = Hub::start(Some(SECRET));
    let client = token(&[
        "--sub",
        "checks",
        "--publish",
        "conformance/#",
        "--subscribe",
        "conformance/#",
        "--targets",
        "checks",
    ]);
    let admin = token(&[
        "--sub",
        "checks-admin",
        "--publish",
        "#",
        "--subscribe",
        "#",
        "--targets",
        "#",
        "--admin",
    ]);
    passes(&hub.url, &["--token", &client, "--admin-token", &admin]);
}

/// Answers every request with the same bytes.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            thread::spawn(move || {
                let mut some = [0; 4096];
                let _ = socket.read(&mut some);
                let _ = socket.write_all(bytes);
                let _ = socket.shutdown(std::net::Shutdown::Write);
                while socket.read(&mut some).is_ok_and(|read| read > 0) {}
            });
        }
    });
    format!("http://{address}")
}

/// A check that passes here could not fail anywhere.
#[test]
fn no_check_passes_against_something_that_is_no_hub() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: nothing\n\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/problem+json\r\n\r\n\
          {\"type\":\"about:blank\",\"title\":\"x\",\"status\":500,\"detail\":\"x\",\"code\":\"x\",\"error\":\"x\"}",
        b"",
    ] {
        let output = check(&answering(bytes), &[]);
        let text = String::from_utf8_lossy(&output.stdout);
        let passed: Vec<&str> = text.lines().filter(|line| line.starts_with("ok")).collect();
        let answer = String::from_utf8_lossy(bytes);
        assert_eq!(passed, Vec::<&str>::new(), "against {answer:?}");
        assert_eq!(output.status.code(), Some(1), "against {answer:?}: {text}");
    }
}

#[test]
fn a_filter_chooses_and_one_that_names_nothing_is_no_success() {
    let list = |filter: &str| {
        let output = check("http://127.0.0.1:1", &["--list", "--filter", filter]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .count()
    };
    assert!(list("") > list("Acks") && list("Acks") > 5);
    assert_eq!(list("a_preflight_needs_no_token"), 1);
    let output = check(
        &answering(b"HTTP/1.1 404 Not Found\r\n\r\n"),
        &["--filter", "no such check"],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_hub_that_is_not_there_is_exit_code_2() {
    // Bound and not listening: nobody answers there, and nobody else can be given the port meanwhile.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    taken
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a free port");
    let address = taken.local_addr().expect("bound");
    let port = address.as_socket().expect("an address").port();
    assert_eq!(
        check(&format!("http://127.0.0.1:{port}"), &[])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(check("nonsense", &[]).status.code(), Some(2));
}

//! The servers that are measured: how each is had, its version, and its command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;

const CENTRIFUGO: &str = "github.com/centrifugal/centrifugo/v6@v6.5.2";
const DURABLE_STREAMS: &str = "0.1.5";
const NCHAN_MODULE: &str = "usr/lib/nginx/modules/ngx_nchan_module.so";

/// Where one kind of server is, or why it is not.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) found: Result<Found, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// The folder of the benchmarks.
pub(crate) fn bench() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the runner lies in bench/")
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    bench().parent().expect("bench/ lies in the repository")
}

/// The folder of the release build of the benchmarks.
pub(crate) fn built() -> PathBuf {
    std::env::current_exe()
        .map(|own| own.with_file_name(""))
        .unwrap_or_else(|_| bench().join("target/release"))
}

/// Builds, installs or finds each of these.
pub(crate) fn find(names: &[String], options: &Options) -> BTreeMap<String, Peer> {
    let peer = |name: &String| {
        let found = find_one(name, options);
        match &found {
            Ok(found) => eprintln!("{name}: {}", found.version),
            Err(reason) => eprintln!("{name}: missing: {reason}"),
        }
        let name = name.clone();
        (name.clone(), Peer { name, found })
    };
    names.iter().map(peer).collect()
}

fn find_one(name: &str, options: &Options) -> Result<Found, String> {
    if let Some(program) = options.programs.get(name) {
        return Ok(Found {
            program: program.clone(),
            version: "given by path".to_owned(),
        });
    }
    match name {
        "tidings" => hub(options),
        "store" => store(),
        "raw" => own("peer-raw", "of this tree"),
        "axum" | "axum-sink" => own("peer-axum", &locked("axum")?),
        "express" => express(),
        "nchan" => nchan(options.programs.get("nginx")),
        "centrifugo" => centrifugo(),
        "mercure" => mercure(),
        "durable-streams" => durable_streams(),
        _ => Err("no such peer".to_owned()),
    }
}

/// In the profile of releases.
fn hub(options: &Options) -> Result<Found, String> {
    let program = match &options.hub {
        Some(path) => path.clone(),
        None => {
            cargo(&["--package", "tidings", "--bin", "tidings"])?;
            root().join("target/dist/tidings")
        }
    };
    let commit = said(
        Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .current_dir(root()),
    );
    let version = format!(
        "{} ({})",
        first_line(&program, &["--version"]),
        commit.unwrap_or_else(|_| "no commit".to_owned())
    );
    Ok(Found { program, version })
}

fn store() -> Result<Found, String> {
    cargo(&["--package", "tidings-store", "--example", "append"])?;
    Ok(Found {
        program: root().join("target/dist/examples/append"),
        version: "of this tree".to_owned(),
    })
}

fn cargo(what: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--quiet", "--locked", "--profile", "dist"])
        .args(["--target-dir", "target"])
        .args(what)
        .current_dir(root());
    pass(&mut cargo)
}

fn own(program: &str, version: &str) -> Result<Found, String> {
    Ok(Found {
        program: built().join(program),
        version: version.to_owned(),
    })
}

/// The version of a crate in the lock file of the benchmarks.
fn locked(name: &str) -> Result<String, String> {
    let lock = std::fs::read_to_string(bench().join("Cargo.lock"))
        .map_err(|error| format!("read Cargo.lock: {error}"))?;
    let entry = format!("name = \"{name}\"\nversion = \"");
    let rest = lock.split_once(&entry).ok_or("not in Cargo.lock")?.1;
    let version = rest.split('"').next().unwrap_or_default();
    Ok(format!("{name} {version}"))
}

fn express() -> Result<Found, String> {
    let folder = bench().join("peers/express");
    let node = first_line(Path::new("node"), &["--version"]);
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund"])
        .current_dir(&folder);
    pass(&mut npm)?;
    let package = std::fs::read_to_string(folder.join("package.json"))
        .map_err(|error| format!("read package.json: {error}"))?;
    let package: serde_json::Value =
        serde_json::from_str(&package).map_err(|error| format!("read package.json: {error}"))?;
    let version = package["dependencies"]["express"].as_str().unwrap_or("?");
    Ok(Found {
        program: folder.join("server.js"),
        version: format!("express {version}, node {node}"),
    })
}

/// Debian's packages, unpacked into the build folder: nothing is installed, and no service is started.
fn nchan(given: Option<&PathBuf>) -> Result<Found, String> {
    const PACKAGES: [&str; 2] = ["nginx", "libnginx-mod-nchan"];
    let folder = built().join("nginx");
    let program = folder.join("usr/sbin/nginx");
    if let Some(program) = given {
        return Ok(Found {
            program: program.clone(),
            version: first_line(program, &["-v"]),
        });
    }
    if !folder.join(NCHAN_MODULE).exists() {
        std::fs::create_dir_all(&folder).map_err(|error| format!("make a folder: {error}"))?;
        let mut apt = Command::new("apt-get");
        apt.args(["download", "--quiet"])
            .args(PACKAGES)
            .current_dir(&folder);
        said(&mut apt)?;
        let files =
            std::fs::read_dir(&folder).map_err(|error| format!("read a folder: {error}"))?;
        for file in files
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|e| e == "deb"))
        {
            said(Command::new("dpkg").arg("-x").arg(file.path()).arg(&folder))?;
        }
    }
    said(Command::new(&program).arg("-v"))?;
    let mut show = Command::new("apt-cache");
    let versions = said(show.arg("policy").args(PACKAGES)).unwrap_or_default();
    let versions: Vec<&str> = versions
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .collect();
    Ok(Found {
        program,
        version: format!("nginx, nchan: {}", versions.join(", ")),
    })
}

fn centrifugo() -> Result<Found, String> {
    let folder = built().join("go");
    let mut go = go()?;
    go.args(["install", CENTRIFUGO]).env("GOBIN", &folder);
    said(&mut go)?;
    let program = folder.join("centrifugo");
    let version = first_line(&program, &["version"]);
    Ok(Found { program, version })
}

fn mercure() -> Result<Found, String> {
    let folder = built().join("mercure");
    std::fs::create_dir_all(&folder).map_err(|error| format!("make a folder: {error}"))?;
    for file in ["go.mod", "main.go"] {
        std::fs::copy(bench().join("peers/mercure").join(file), folder.join(file))
            .map_err(|error| format!("copy {file}: {error}"))?;
    }
    let mut go = go()?;
    go.args(["build", "-mod=mod", "-o", "peer-mercure", "."])
        .current_dir(&folder);
    said(&mut go)?;
    let module = std::fs::read_to_string(folder.join("go.mod")).unwrap_or_default();
    let version = module.lines().find(|line| line.contains("dunglas/mercure"));
    Ok(Found {
        program: folder.join("peer-mercure"),
        version: version.unwrap_or_default().trim().to_owned(),
    })
}

fn durable_streams() -> Result<Found, String> {
    let folder = built().join("durable-streams");
    let program = folder.join("bin/durable-streams-server");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "install",
            "--quiet",
            "--locked",
            "durable-streams",
            "--version",
        ])
        .arg(DURABLE_STREAMS)
        .arg("--root")
        .arg(&folder)
        .env_remove("CARGO_TARGET_DIR");
    if !program.exists() {
        pass(&mut cargo)?;
    }
    Ok(Found {
        program,
        version: format!("durable-streams {DURABLE_STREAMS}"),
    })
}

fn go() -> Result<Command, String> {
    said(Command::new("go").arg("version")).map_err(|_| "Go is not on PATH".to_owned())?;
    Ok(Command::new("go"))
}

impl Peer {
    /// The command line that serves at this address with its data in this folder.
    pub(crate) fn command(
        &self,
        found: &Found,
        address: SocketAddr,
        folder: &Path,
        way: Way<'_>,
    ) -> Result<Vec<OsString>, String> {
        let program = OsString::from(&found.program);
        let text = address.to_string();
        let port = address.port().to_string();
        let in_folder = |name: &str| folder.join(name).into_os_string();
        Ok(match self.name.as_str() {
            "tidings" => vec![
                program,
                "serve".into(),
                "--data".into(),
                in_folder("data"),
                "--listen".into(),
                text.into(),
            ],
            // Its clients cannot ask for heartbeats.
            "raw" => [program, text.into()]
                .into_iter()
                .chain(way.heartbeat_ms.map(OsString::from))
                .collect(),
            "express" => vec!["node".into(), program, text.into()],
            "mercure" => vec![program, text.into(), folder.into()],
            "nchan" => {
                let config = nginx_config(found, &text, folder, way.pinned)?;
                vec![
                    program,
                    "-p".into(),
                    folder.into(),
                    "-c".into(),
                    config.into(),
                ]
            }
            "centrifugo" => vec![
                program,
                "--config".into(),
                bench().join("peers/centrifugo/config.json").into(),
                "--http_server.address".into(),
                address.ip().to_string().into(),
                "--http_server.port".into(),
                port.into(),
            ],
            "durable-streams" => vec![
                program,
                "--port".into(),
                port.into(),
                "--data-dir".into(),
                in_folder("data"),
            ],
            _ => vec![program, text.into()],
        })
    }
}

/// How a server is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// On one core, so with one worker.
    pub(crate) pinned: bool,
    pub(crate) heartbeat_ms: Option<&'a str>,
}

fn nginx_config(
    found: &Found,
    address: &str,
    folder: &Path,
    pinned: bool,
) -> Result<PathBuf, String> {
    let unpacked = found.program.ancestors().nth(3).unwrap_or(Path::new("/"));
    let text = std::fs::read_to_string(bench().join("peers/nchan/nginx.conf"))
        .map_err(|error| format!("read nginx.conf: {error}"))?
        .replace("{folder}", &folder.to_string_lossy())
        .replace("{module}", &unpacked.join(NCHAN_MODULE).to_string_lossy())
        .replace("{workers}", if pinned { "1" } else { "2" })
        .replace("{address}", address);
    let path = folder.join("nginx.conf");
    std::fs::write(&path, text).map_err(|error| format!("write nginx.conf: {error}"))?;
    Ok(path)
}

fn first_line(program: &Path, arguments: &[&str]) -> String {
    let text = said(Command::new(program).args(arguments)).unwrap_or_default();
    text.lines().next().unwrap_or("version unknown").to_owned()
}

/// What a command wrote, if it succeeded.
pub(crate) fn said(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("start {program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program}: {}", text(&output.stderr)))
    }
}

/// Runs a command whose words go to the terminal.
fn pass(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("start {program}: {error}")),
    }
}

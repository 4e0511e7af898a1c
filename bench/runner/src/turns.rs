//! The runs: of each workload, everyone in turns, so that what else the machine does hits all alike.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use crate::catalogue::Workload;
use crate::options::Options;
use crate::peers::{self, Found, Peer, Way};
use crate::results::{HUB, Measured, Results, Runs};
use crate::server::{Server, new_folder, on_core};
use crate::{chart, machine, table};

const SERVER_CORE: usize = 0;
const TOOL_CORE: usize = 1;

/// True when every run of the hub was without a fault.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let mut names: Vec<String> = Vec::new();
    for workload in &options.workloads {
        for name in taking_part(workload, options) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let peers = peers::find(&names, options);
    peers[HUB].found.as_ref().map_err(Clone::clone)?;

    let mode = if options.pinned { "pinned" } else { "free" };
    let file = options.out.join(format!("{mode}.json"));
    let mut good = true;
    for workload in &options.workloads {
        let measured = measure(workload, &peers, options);
        good &= measured.of(HUB).is_some_and(|runs| runs.bad() == 0);
        // Read anew and written each time: a long bench that is cut short keeps what it has.
        let mut results = Results::read(&file, mode)?;
        results.machine = machine::describe();
        results.add(measured);
        write(&results, &options.out, mode)?;
        println!("\n{}", table::workload(&results, workload.name));
    }
    let results = Results::read(&file, mode)?;
    println!("\n{}", table::goals(&results));
    println!("{}", options.out.join(format!("{mode}.md")).display());
    Ok(good)
}

fn taking_part(workload: &Workload, options: &Options) -> Vec<String> {
    let wanted = |name: &&&str| {
        options
            .peers
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|peer| peer == **name))
    };
    let peers = workload.peers.iter().filter(wanted);
    [HUB]
        .iter()
        .chain(peers)
        .map(|name| (*name).to_owned())
        .collect()
}

fn measure(workload: &Workload, peers: &BTreeMap<String, Peer>, options: &Options) -> Measured {
    eprintln!("\n==> {}: {}", workload.name, workload.what);
    let (load_before, stolen) = (machine::load(), machine::stolen());
    let sync_ms = machine::sync_ms().inspect_err(|reason| eprintln!("{reason}"));
    let mut all: Vec<Runs> = taking_part(workload, options)
        .iter()
        .map(|name| Runs {
            peer: name.clone(),
            version: peers[name]
                .found
                .as_ref()
                .ok()
                .map(|found| found.version.clone()),
            missing: peers[name].found.as_ref().err().cloned(),
            runs: Vec::new(),
        })
        .collect();
    for turn in 1..=options.runs {
        for of in &mut all {
            let peer = &peers[&of.peer];
            let Ok(found) = &peer.found else {
                continue;
            };
            let run = one_run(workload, peer, found, options)
                .unwrap_or_else(|reason| json!({ "good": false, "error": reason }));
            eprintln!(
                "{turn}/{} {}: {}",
                options.runs,
                of.peer,
                summary(workload, &run)
            );
            of.runs.push(run);
        }
    }
    Measured {
        workload: workload.name.to_owned(),
        command: options.command.clone(),
        at: machine::now(),
        load_before,
        load_after: machine::load(),
        stolen_s: machine::stolen() - stolen,
        sync_ms: sync_ms.ok(),
        peers: all,
    }
}

fn one_run(
    workload: &Workload,
    peer: &Peer,
    found: &Found,
    options: &Options,
) -> Result<Value, String> {
    let core = |number: usize| options.pinned.then_some(number);
    let seconds = options.seconds.unwrap_or(workload.seconds).to_string();
    if peer.name == "store" {
        let folder = new_folder("store")?;
        let words = vec![
            OsString::from(&found.program),
            folder.join("data").into(),
            seconds.into(),
        ];
        let answer = answer(core(SERVER_CORE), words);
        let _ = std::fs::remove_dir_all(&folder);
        return answer;
    }
    let at = workload
        .options
        .iter()
        .position(|option| *option == "--heartbeat");
    let way = Way {
        pinned: options.pinned,
        heartbeat_ms: at.map(|at| workload.options[at + 1]),
    };
    let server = Server::start(&peer.name, core(SERVER_CORE), |address, folder: &Path| {
        peer.command(found, address, folder, way)
    })?;
    let mut words: Vec<OsString> = vec![peers::built().join("load").into()];
    for (name, value) in [
        ("--workload", workload.name.to_owned()),
        ("--peer", peer.name.clone()),
        ("--url", format!("http://{}", server.address)),
        ("--pid", server.id().to_string()),
        ("--seconds", seconds),
    ] {
        words.extend([name.into(), value.into()]);
    }
    words.extend(workload.options.iter().map(OsString::from));
    answer(core(TOOL_CORE), words)
}

/// The JSON that a program printed, whether it found faults or not.
fn answer(core: Option<usize>, words: Vec<OsString>) -> Result<Value, String> {
    let output = on_core(core, words)
        .output()
        .map_err(|error| format!("start the load tool: {error}"))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn summary(workload: &Workload, run: &Value) -> String {
    if let Some(error) = run["error"].as_str() {
        return error.to_owned();
    }
    let value = workload
        .figure
        .path
        .split('.')
        .try_fold(&run["figures"], |value, name| value.get(name));
    let value = value.and_then(Value::as_f64).unwrap_or(f64::NAN);
    let text = format!("{} {}", table::number(value), workload.figure.unit);
    if run["good"] == true {
        text
    } else {
        format!("{text}; FAULTS {} {}", run["faults"], run["complaints"])
    }
}

fn write(results: &Results, folder: &Path, mode: &str) -> Result<(), String> {
    let json = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(format!("{mode}.json")), json + "\n"))
        .and_then(|()| std::fs::write(folder.join(format!("{mode}.md")), table::page(results)))
        .and_then(|()| std::fs::write(folder.join(format!("{mode}.svg")), chart::svg(results)))
        .map_err(|error| format!("write results to {}: {error}", folder.display()))
}

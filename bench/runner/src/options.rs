//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::catalogue::{WORKLOADS, Workload};

pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [options]

  --workloads <a,b>     Only these (`--list` names them).
  --peers <x,y>         Only these peers beside the hub; `none`: the hub alone.
  --peer <name>=<path>  The program of a peer that this command cannot get here: nginx (with Nchan), centrifugo,
                        mercure or durable-streams.
  --runs <n>            Runs of each, in turns (5).
  --seconds <s>         Measured time of each run, instead of the workload's own.
  --pin                 Server on core 0, load tool on core 1 (the default).
  --free                Both on all cores.
  --hub <path>          A hub that is built already, instead of one built from this tree.
  --out <folder>        Where results go (bench/results).
  --list                The workloads and their peers.

Results of earlier runs of other workloads stay in the tables.
";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<&'static Workload>,
    /// None: all that the workload names.
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) programs: BTreeMap<String, PathBuf>,
    pub(crate) runs: usize,
    pub(crate) seconds: Option<f64>,
    pub(crate) pinned: bool,
    pub(crate) hub: Option<PathBuf>,
    pub(crate) out: PathBuf,
    /// What a reader would type to repeat this.
    pub(crate) command: String,
}

impl Options {
    /// None when only a list was asked for.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            workloads: WORKLOADS.iter().collect(),
            peers: None,
            programs: BTreeMap::new(),
            runs: 5,
            seconds: None,
            pinned: true,
            hub: None,
            out: crate::peers::bench().join("results"),
            command: "cargo xtask bench".to_owned(),
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let own = matches!(name.as_str(), "--hub" | "--out" | "--peer");
            if !own {
                options.command.push_str(&format!(" {name}"));
            }
            match name.as_str() {
                "-h" | "--help" | "help" => return Ok(None),
                "--list" => {
                    list();
                    std::process::exit(0);
                }
                "--pin" => options.pinned = true,
                "--free" => options.pinned = false,
                _ => {
                    let value = arguments
                        .next()
                        .ok_or_else(|| format!("{name} needs a value"))?;
                    if !own {
                        options.command.push_str(&format!(" {value}"));
                    }
                    options.set(&name, &value)?;
                }
            }
        }
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("{name} does not take `{value}`");
        match name {
            "--workloads" => {
                self.workloads = value.split(',').map(workload).collect::<Result<_, _>>()?;
            }
            "--peers" => {
                let names = value.split(',').filter(|name| *name != "none");
                self.peers = Some(names.map(str::to_owned).collect());
            }
            "--peer" => {
                let (peer, path) = value.split_once('=').ok_or_else(wrong)?;
                self.programs.insert(peer.to_owned(), path.into());
                self.command.push_str(&format!(" --peer {peer}=<path>"));
            }
            "--runs" => self.runs = value.parse().map_err(|_| wrong())?,
            "--seconds" => self.seconds = Some(value.parse().map_err(|_| wrong())?),
            "--hub" => self.hub = Some(value.into()),
            "--out" => self.out = value.into(),
            _ => return Err(format!("no such option: {name}")),
        }
        Ok(())
    }
}

fn workload(name: &str) -> Result<&'static Workload, String> {
    let known = WORKLOADS.iter().find(|workload| workload.name == name);
    known.ok_or_else(|| format!("no such workload: {name}; `--list` names them"))
}

fn list() {
    for workload in WORKLOADS {
        println!("{:<15} {}", workload.name, workload.what);
        if !workload.peers.is_empty() {
            println!("{:<15} beside {}", "", workload.peers.join(", "));
        }
    }
}

//! What the figures were measured on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use crate::peers::said;
use crate::server::new_folder;

/// The machine, as far as it bears on the figures and names nobody.
pub(crate) fn describe() -> BTreeMap<String, String> {
    let mut machine = BTreeMap::new();
    let mut add = |name: &str, value: String| machine.insert(name.to_owned(), value);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = after(&cpu, "model name").unwrap_or("unknown");
    add("cpu", format!("{cores} cores, {model}"));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        after(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    add("memory", format!("{} GiB", kib.unwrap_or(0) >> 20));
    let kernel = said(Command::new("uname").arg("-sr")).unwrap_or_default();
    add("kernel", kernel);
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    add(
        "system",
        name.unwrap_or("unknown").trim_matches('"').to_owned(),
    );
    let rust = said(Command::new("rustc").arg("--version")).unwrap_or_default();
    add("rust", rust);
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    add("tcp", congestion.unwrap_or_default().trim().to_owned());
    let mut df = Command::new("df");
    df.args(["--output=fstype"]).arg(std::env::temp_dir());
    let disk = said(&mut df).unwrap_or_default();
    add(
        "data on",
        disk.lines().last().unwrap_or("unknown").to_owned(),
    );
    machine
}

/// The load averages of the last minute, five and fifteen.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Time so far in which the host gave this machine's cores to others, in seconds.
pub(crate) fn stolen() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(8)?.parse::<f64>().ok());
    ticks.unwrap_or(0.0) / 100.0
}

/// How long the disk takes to sync 200 bytes at the end of a file: the middle and the slowest of a hundredth, in
/// milliseconds. Whatever the hub promises to keep waits for it, so it says whether the disk was free.
pub(crate) fn sync_ms() -> Result<(f64, f64), String> {
    const SYNCS: usize = 200;
    let folder = new_folder("sync")?;
    let time = || -> std::io::Result<Vec<f64>> {
        let mut file = fs::File::create(folder.join("file"))?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let started = Instant::now();
            file.write_all(&[b'x'; 200])?;
            file.sync_data()?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(times)
    };
    let times = time();
    let _ = fs::remove_dir_all(&folder);
    let mut times = times.map_err(|error| format!("sync a file: {error}"))?;
    times.sort_by(f64::total_cmp);
    Ok((times[SYNCS / 2], times[SYNCS * 99 / 100]))
}

pub(crate) fn now() -> String {
    said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default()
}

fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

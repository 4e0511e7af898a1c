//! CPU time and memory of the server under load, from /proc.

use std::fs;

/// Clock ticks of /proc/PID/stat: 100 a second on Linux, whatever the kernel's own HZ.
const TICK_US: u64 = 10_000;

/// The processes of one server: those named, and all that they started.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    ids: Vec<u32>,
}

impl Processes {
    pub(crate) fn with_children(roots: &[u32]) -> Self {
        let mut ids = roots.to_vec();
        let parents = parents();
        let mut at = 0;
        while at < ids.len() {
            let parent = ids[at];
            ids.extend(
                parents
                    .iter()
                    .filter(|(_, of)| *of == parent)
                    .map(|(id, _)| *id),
            );
            at += 1;
        }
        Self { ids }
    }

    pub(crate) fn own() -> Self {
        Self {
            ids: vec![std::process::id()],
        }
    }

    /// User and system time of all of them.
    pub(crate) fn cpu_us(&self) -> u64 {
        self.ids
            .iter()
            .filter_map(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok())
            .filter_map(|stat| ticks(&stat))
            .sum::<u64>()
            * TICK_US
    }

    /// Proportional share of memory, in bytes.
    pub(crate) fn pss(&self) -> u64 {
        self.sum_kib("smaps_rollup", "Pss:") * 1024
    }

    /// The highest resident size so far, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.sum_kib("status", "VmHWM:") * 1024
    }

    fn sum_kib(&self, file: &str, field: &str) -> u64 {
        self.ids
            .iter()
            .filter_map(|id| fs::read_to_string(format!("/proc/{id}/{file}")).ok())
            .filter_map(|text| kib(&text, field))
            .sum()
    }
}

/// SYNs that were sent again, and connections that a full backlog dropped, on the whole machine.
pub(crate) fn refused_syns() -> (u64, u64) {
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return (0, 0);
    };
    let value = |name: &str| {
        names
            .split(' ')
            .zip(values.split(' '))
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0)
    };
    (value("TCPSynRetrans"), value("ListenDrops"))
}

/// (process, its parent) of all processes.
fn parents() -> Vec<(u32, u32)> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id: u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = after_name(&stat)?.nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect()
}

fn ticks(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat)?.skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The fields from the state on: the name before it may hold spaces and brackets.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

fn kib(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 89 0 0 0 12 34 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(46));
    }

    #[test]
    fn own_memory_is_found() {
        assert!(Processes::own().pss() > 100_000);
    }
}

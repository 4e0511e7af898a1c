//! Runs the checks and tells of each.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::check::{Check, Claim, Needs};
use crate::context::Context;
use crate::site::Site;

/// Most checks wait for the hub most of the time; more at once would only be more load.
const AT_ONCE: usize = 4;

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    left_out: usize,
}

impl Tally {
    /// A run that checked nothing, as with a filter that names no check, shows nothing.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.left_out {
            0 => Ok(()),
            left_out => write!(f, ", {left_out} left out for want of --admin-token"),
        }
    }
}

/// `tell` gets one line per check, in the order of the list.
pub(crate) fn run(site: &Site, checks: &[&Check], tell: impl Fn(&str)) -> Tally {
    let fits = |check: &&&Check| match check.needs {
        Needs::Client | Needs::Clients => true,
        Needs::Open => site.is_open(),
        Needs::Token | Needs::Admin => !site.is_open(),
    };
    let wanting = |check: &&&Check| {
        !site.is_open() && !site.has_admin() && matches!(check.needs, Needs::Clients | Needs::Admin)
    };
    let (left_out, chosen): (Vec<&Check>, Vec<&Check>) =
        checks.iter().filter(fits).partition(|check| wanting(check));
    let mut tally = Tally {
        left_out: left_out.len(),
        ..Tally::default()
    };
    in_order(site, &chosen, |check, claim| match claim {
        Ok(()) => {
            tally.passed += 1;
            tell(&format!("ok      {check}"));
        }
        Err(reason) => {
            tally.failed += 1;
            tell(&format!("FAILED  {check}\n        {}", one_line(&reason)));
        }
    });
    tally
}

/// Checks run several at a time and are told of one after the other.
fn in_order(site: &Site, checks: &[&Check], mut done: impl FnMut(&Check, Claim)) {
    // With credentials all checks share their clients, and would see each other's acks and connections.
    let threads = if site.is_open() { AT_ONCE } else { 1 };
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let tell = tell.clone();
            let next = &next;
            scope.spawn(move || {
                while let index = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(check) = checks.get(index)
                {
                    let _ = tell.send((index, attempt(site, check, index)));
                }
            });
        }
        drop(tell);
        let mut claims: Vec<Option<Claim>> = checks.iter().map(|_| None).collect();
        let mut first = 0;
        for (index, claim) in told {
            claims[index] = Some(claim);
            while let Some(claim) = claims.get_mut(first).and_then(Option::take) {
                done(checks[first], claim);
                first += 1;
            }
        }
    });
}

/// A hub that answers with something unthought of must not end the run.
fn attempt(site: &Site, check: &Check, index: usize) -> Claim {
    let run = || Context::new(site, index).and_then(|context| (check.run)(&context));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the check itself broke".into()))
}

fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 2_000;
    let escaped = text.chars().flat_map(|character| {
        let escaped: Vec<char> = if character.is_control() {
            character.escape_default().collect()
        } else {
            vec![character]
        };
        escaped
    });
    escaped.take(CHARACTERS_MAX).collect()
}

//! Licences, banned crates and sources of everything that the workspace builds from.
//!
//! It reads `cargo tree`, not `cargo metadata`: the graph of metadata still holds crates that no enabled feature asks
//! for (ring, behind rustls-webpki), so it would report a second crypto provider that nobody builds.

use std::collections::{BTreeMap, BTreeSet};

use crate::spdx;
use crate::step::{Count, quiet};

/// The same list as in deny.toml.
const LICENCES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// rustls panics at run time when it finds two crypto providers and was told of none.
const CRYPTO_PROVIDER: &str = "aws-lc-rs";
const OTHER_CRYPTO_PROVIDERS: [&str; 3] = ["ring", "rustls-graviola", "rustls-rustcrypto"];
/// They make the binary depend on the machine's OpenSSL.
const SYSTEM_TLS: [&str; 3] = ["native-tls", "openssl", "openssl-sys"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every target and every kind of dependency, with the features that a build of the workspace enables.
const TREE: [&str; 11] = [
    "tree",
    "--locked",
    "--workspace",
    "--target",
    "all",
    "--edges",
    "normal,build,dev",
    "--prefix",
    "none",
    "--format",
    "{p}\t{l}",
];

/// Manifests of the hub's workspace and of the benchmarks', with their lock files.
const WORKSPACES: [(&str, &str); 2] = [
    ("Cargo.toml", "Cargo.lock"),
    (crate::bench::MANIFEST, "bench/Cargo.lock"),
];

pub(crate) fn check() -> Result<Count, String> {
    let mut complaints = Vec::new();
    for (manifest, lock) in WORKSPACES {
        let mut tree = crate::cargo(TREE);
        tree.args(["--manifest-path", manifest]);
        let crates = parse_tree(&quiet(tree)?);
        let locked = std::fs::read_to_string(crate::root().join(lock))
            .map_err(|error| format!("read {lock}: {error}"))?;
        complaints.extend(licence_complaints(&crates));
        complaints.extend(ban_complaints(&crates));
        complaints.extend(source_complaints(&locked));
        println!("{manifest}: {} crates", crates.len());
    }
    if complaints.is_empty() {
        Ok(Count::PASSED)
    } else {
        Err(complaints.join("\n"))
    }
}

/// Crate, as `name v1.2.3`, to its licence. A crate that comes again ends with ` (*)`.
fn parse_tree(tree: &str) -> BTreeMap<String, String> {
    let lines = tree.lines().filter_map(|line| line.split_once('\t'));
    let named = lines.map(|(package, licence)| {
        let package: Vec<&str> = package.split(' ').take(2).collect();
        (
            package.join(" "),
            licence.trim_end_matches(" (*)").to_owned(),
        )
    });
    named.collect()
}

fn licence_complaints(crates: &BTreeMap<String, String>) -> Vec<String> {
    let complaint = |(package, licence): (&String, &String)| match spdx::allowed(licence, &LICENCES)
    {
        Ok(true) => None,
        Ok(false) => Some(format!("{package}: the licence `{licence}` is not allowed")),
        Err(reason) => Some(format!(
            "{package}: cannot read the licence `{licence}`: {reason}"
        )),
    };
    crates.iter().filter_map(complaint).collect()
}

fn ban_complaints(crates: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&str> = crates
        .keys()
        .filter_map(|package| package.split(' ').next())
        .collect();
    let banned = OTHER_CRYPTO_PROVIDERS
        .iter()
        .chain(&SYSTEM_TLS)
        .filter(|name| names.contains(*name));
    let mut complaints: Vec<String> = banned
        .map(|name| {
            format!(
                "{name} is banned: see who asks for it with `cargo tree --target all -i {name}`"
            )
        })
        .collect();
    if names.contains("rustls") && !names.contains(CRYPTO_PROVIDER) {
        complaints.push(format!(
            "rustls has no crypto provider: {CRYPTO_PROVIDER} is missing"
        ));
    }
    complaints
}

fn source_complaints(lock: &str) -> Vec<String> {
    let sources = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let elsewhere: BTreeSet<&str> = sources
        .map(|source| source.trim_matches('"'))
        .filter(|source| *source != REGISTRY)
        .collect();
    elsewhere
        .iter()
        .map(|source| format!("Cargo.lock takes a crate from {source}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "tidings v0.1.0 (/home/me/tidings/crates/hub)\tMIT OR Apache-2.0\n\
                        rustls v0.23.46\tApache-2.0 OR ISC OR MIT\n\
                        aws-lc-rs v1.19.0\tISC AND (Apache-2.0 OR ISC)\n\
                        rustls v0.23.46\tApache-2.0 OR ISC OR MIT (*)\n";

    fn complaints(more: &str) -> Vec<String> {
        let crates = parse_tree(&format!("{TREE}{more}"));
        [licence_complaints(&crates), ban_complaints(&crates)].concat()
    }

    #[test]
    fn a_tree_with_one_provider_and_allowed_licences_passes() {
        assert_eq!(complaints(""), Vec::<String>::new());
    }

    #[test]
    fn a_second_crypto_provider_is_refused() {
        let complaints = complaints("ring v0.17.14\tApache-2.0 AND ISC\n");
        assert!(
            complaints[0].starts_with("ring is banned"),
            "{complaints:?}"
        );
    }

    #[test]
    fn rustls_without_a_crypto_provider_is_refused() {
        let crates = parse_tree("rustls v0.23.46\tMIT\n");
        assert_eq!(ban_complaints(&crates).len(), 1);
    }

    #[test]
    fn a_licence_outside_the_list_and_a_missing_one_are_refused() {
        let complaints = complaints("a v1.0.0\tGPL-3.0-only\nb v1.0.0\t\n");
        assert!(
            complaints[0].starts_with("a v1.0.0") && complaints[1].starts_with("b v1.0.0"),
            "{complaints:?}"
        );
    }

    #[test]
    fn a_crate_from_a_git_repository_is_refused() {
        let lock = format!("source = \"{REGISTRY}\"\nsource = \"git+https://example.org/a#1\"\n");
        assert_eq!(
            source_complaints(&lock),
            ["Cargo.lock takes a crate from git+https://example.org/a#1"]
        );
    }
}

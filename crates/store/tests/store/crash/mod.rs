//! What the embedded store survives: kills, torn files, old copies, a second process, writes that fail.

mod child;
mod failed_write;
mod files;
mod folder;
mod format;
mod kill;
mod ledger;
mod random;
mod reopen;

//! What the embedded store survives: kills, torn files, old copies, a second process, writes that fail.

mod backup;
mod checkup;
mod child;
mod failed_write;
mod files;
mod folder;
mod format;
mod kill;
mod ledger;
mod load;
mod random;
mod reopen;

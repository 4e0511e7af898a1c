//! The command line as a user meets it: the built binary, with a hub as a child process.

mod config;
mod feed;
mod folder;
mod help;
mod lookup;
mod process;
mod reload;
mod round_trip;
mod scripted;
mod serve;
mod token;

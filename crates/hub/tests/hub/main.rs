//! The hub as its users meet it: the built binary, real sockets, real files.

mod auth;
mod backup;
mod bad_input;
mod churn;
mod cli;
mod client;
mod control;
mod crash;
mod harness;
mod history;
mod http;
mod receipts;
mod retention;
mod review;
mod slow;
mod stream;

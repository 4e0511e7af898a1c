//! The hub as its users meet it: the built binary, real sockets, real files.

mod churn;
mod cli;
mod crash;
mod harness;
mod slow;
mod stream;

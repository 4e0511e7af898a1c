//! The hub as its users meet it: the built binary, real sockets, real files.

mod cli;
mod harness;
mod stream;

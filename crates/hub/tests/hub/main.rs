//! The hub as its users meet it: the built binary, real sockets, real files.

mod harness;
mod stream;

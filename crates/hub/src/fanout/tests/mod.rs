//! The fan-out without threads and sockets: each rule by name, and a random walk that checks them together.

mod counts;
mod notes;
mod rules;
mod walk;
mod world;

//! The contract of the store, for every backend, and what the embedded one survives.

mod bench;

mod cells;
mod crash;
mod duplicates;
mod model;
mod order;
mod positions;
mod races;
mod read;
mod state;
mod trim;

//! The contract of the store, for every backend, and what the embedded one survives.

mod bench;

mod cells;
mod commit;
mod crash;
mod duplicates;
mod find;
mod loss;
mod model;
mod order;
mod positions;
mod races;
mod read;
mod release;
mod state;
mod trim;

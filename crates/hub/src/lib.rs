pub mod config;
pub mod page;

//! The crate as its users see it: the shared vectors, properties over random input, and fixtures of what is public.

mod api;
mod cursors;
mod errors;
mod messages;
mod properties;
mod reference;
mod sse;
mod topics;
mod vectors;

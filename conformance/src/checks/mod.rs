//! All checks, in the order of PROTOCOL.md.

mod acks;
mod addresses;
mod batch;
mod bodies;
mod commands;
mod connections;
mod control;
mod cors;
mod credentials;
mod cursors;
mod delivery;
mod errors;
mod eventsource;
mod gaps;
mod identity;
mod injection;
mod limits;
mod mailbox;
mod message;
mod open_mode;
mod order;
mod patterns;
mod publish;
mod reserved;
mod resume;
mod selection;
mod since;
mod status;
mod stream;
mod text;
mod vectors;

use crate::check::Check;

pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    let files = [
        message::CHECKS,
        identity::CHECKS,
        order::CHECKS,
        reserved::CHECKS,
        vectors::CHECKS,
        errors::CHECKS,
        stream::CHECKS,
        delivery::CHECKS,
        injection::CHECKS,
        patterns::CHECKS,
        selection::CHECKS,
        since::CHECKS,
        resume::CHECKS,
        mailbox::CHECKS,
        gaps::CHECKS,
        cursors::CHECKS,
        eventsource::CHECKS,
        publish::CHECKS,
        batch::CHECKS,
        bodies::CHECKS,
        text::CHECKS,
        addresses::CHECKS,
        commands::CHECKS,
        connections::CHECKS,
        control::CHECKS,
        status::CHECKS,
        acks::CHECKS,
        credentials::CHECKS,
        open_mode::CHECKS,
        cors::CHECKS,
        limits::CHECKS,
    ];
    files.into_iter().flatten()
}

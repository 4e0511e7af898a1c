//! How the process gives memory back.

use std::ffi::{c_int, c_long};

/// The number of mimalloc's option `purge_delay`, in milliseconds; the binding has no name for it.
const PURGE_DELAY: c_int = 15;
/// What a burst of clients took is not kept for the next one, and what a busy second drops is used again in it.
const PURGE_DELAY_MS: c_long = 100;

/// Must be called before the first thread is started.
pub(crate) fn purge_soon() {
    // SAFETY: it stores a number; no other thread runs yet that could read it.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
    }
}

/// To be called now and then on each thread that allocates for others: the allocator has no thread of its own, and memory
/// that a thread asks for no more would stay until it asks for some.
pub(crate) fn purge() {
    // SAFETY: it takes no pointer, and any thread may call it at any time.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(false);
    }
}

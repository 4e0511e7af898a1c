use std::process::ExitCode;

/// What one thread makes another drops, a message at a time: the C library's allocator costs more for that, and keeps what
/// ten thousand clients took after they have gone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidings::cli::run()
}

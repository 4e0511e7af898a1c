//! How the process asks the system for memory.

/// Keeps all memory in one arena of the C library.
///
/// By default glibc gives each thread an arena of its own, and what one frees another cannot use. After 10,000 clients had
/// come and gone twice, the process kept between 19 and 35 MiB, differently in each run; with one arena it keeps 19 to 20.
/// Must be called before the first thread is started.
pub(crate) fn keep_in_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers and only sets a limit for arenas that are made later. It is not thread-safe,
        // and no other thread runs yet.
        #[allow(unsafe_code)]
        let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
        debug_assert_eq!(set, 1, "glibc knows M_ARENA_MAX");
    }
}

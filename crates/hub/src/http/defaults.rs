//! Bounds of the HTTP side that are not settings, each with its reason.

use std::time::Duration;

/// Connections waiting to be accepted. A restart brings all clients back within a second; the kernel's usual 128 would
/// turn most of them away.
pub(super) const BACKLOG: u32 = 4096;

/// Files kept for the store, the listener and the answers to connections above the limit.
pub(super) const FILES_RESERVED: u64 = 1000;

/// Connections above the limit that are told so at the same time; more are closed without a word, since a flood is not
/// worth more files.
pub(super) const REFUSALS_MAX: usize = 256;

/// How long a connection above the limit may take to say what it wants.
pub(super) const REFUSAL_HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may stay open between two requests, and how long a client may take to read an answer. Above
/// the 60 s that common proxies and clients keep theirs, so that they close first and no request meets a closing socket.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the rest of a refused request is read before the socket is closed. Closing with unread bytes would reset the
/// connection, and the client would lose the answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Pause after a failed accept: without free files it would fail again at once.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Hyper's buffers per connection; a body of ordinary size arrives in one piece.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// How long browsers may remember the answer to a preflight: Chromium's own upper bound.
pub(super) const PREFLIGHT_MAX_AGE: &str = "7200";

/// Bytes of the messages on a page of history, unless the first one alone is larger: an answer that takes no more memory
/// than a few requests do.
pub(super) const HISTORY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows that a page of history looks at: some milliseconds of a reader thread, which others wait for.
pub(super) const HISTORY_ROWS_MAX: usize = 3000;

/// When to come back after a refusal that will pass soon: a full queue empties within a commit or two.
pub(super) const RETRY_SOON_MS: u64 = 1_000;

/// When to come back after a refusal that lasts until room is made or the hub was restarted.
pub(super) const RETRY_LATER_MS: u64 = 5_000;

/// Streams whose start is being looked up at the same time. A restart brings all clients back at once, and each look-up takes
/// some kilobytes; more of them together would not be quicker, since few threads read.
pub(super) const OPENINGS_MAX: usize = 256;

/// Pipelined requests of one connection that are answered together. Each holds a body, and one commit takes as many from sixty
/// connections.
pub(super) const TOGETHER_MAX: usize = 16;

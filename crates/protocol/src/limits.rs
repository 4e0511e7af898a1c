//! Every limit of the wire in one place, each with its reason.

/// Bytes of a client id, message id, source, topic or topic pattern: enough for a URL-like name, small enough to be a key.
pub const ID_BYTES_MAX: usize = 256;

/// Bytes of one message as the hub encodes it: a notification, not a file; a client can hold it whole.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one request body, batches included, so that a thousand slow uploads stay within a gigabyte.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Messages in one batch: past this a batch no longer saves a measurable part of its commit.
pub const BATCH_MAX: usize = 1000;

/// Nesting levels of a message, its own braces included: half of what common JSON readers bear, so that every reader
/// can read what the hub passes on.
pub const JSON_DEPTH_MAX: usize = 64;

/// The largest whole number that every JSON reader keeps exact (2^53 - 1).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Positions that one connection may have been sent ahead of its scan; bounds the length of a cursor.
pub const AHEAD_MAX: usize = 64;

/// Characters of an epoch in a cursor; the hub's own are 16 (64 bits as hex text).
pub const EPOCH_CHARS_MAX: usize = 32;

/// Topic patterns of one connection; each costs a place in the subject index or a step per message in a replay.
pub const TOPICS_MAX: usize = 256;

/// The shortest heartbeat a client may wish for: four a second is already more than a liveness check needs.
pub const HEARTBEAT_MS_MIN: u64 = 250;

/// The longest heartbeat a client may wish for: many proxies cut a stream that is quiet for longer than five minutes.
pub const HEARTBEAT_MS_MAX: u64 = 300_000;

/// Messages on one page of `GET /api/messages`: what a screen shows.
pub const HISTORY_LIMIT: usize = 50;

/// The largest `limit` of `GET /api/messages`: a page that a reader takes some milliseconds for.
pub const HISTORY_LIMIT_MAX: usize = 1000;

/// The largest N of `since=last:N`: a screen full of history; more is what `GET /api/messages` pages through.
pub const SINCE_LAST_MAX: usize = 1000;

/// What `id:`, `event:`, `data:` and line ends may add to a message on the stream; a cursor with 64 positions ahead
/// takes less than 1,500 bytes.
pub const EVENT_OVERHEAD_BYTES: usize = 4096;

/// Bytes of one event on the stream, announced as `connect.detail.maxEventBytes`.
pub const EVENT_BYTES_MAX: usize = MESSAGE_BYTES_MAX + EVENT_OVERHEAD_BYTES;

/// Bytes of a request head: room for a token of several kilobytes and a full list of topics.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long the hub remembers a (source, id) by default: longer than any client retries one request.
pub const IDEMPOTENCY_MS: u64 = 600_000;

/// How many (source, id) pairs the hub remembers by default: about 100 bytes of memory each.
pub const IDEMPOTENCY_IDS: u64 = 1_000_000;

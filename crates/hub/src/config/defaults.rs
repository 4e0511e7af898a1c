//! Every default of the configuration, with its reason.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use tidings_protocol::limits;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Loopback, because a hub without keys accepts everyone; the port that people expect of a web service which needs no
/// privileges.
pub const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));

/// Beside the place it was started from, so that a first try leaves nothing elsewhere.
pub const DATA: &str = "./tidings-data";

/// Long enough to spread the reconnects of all clients, short enough to end within the 10 seconds that
/// container runtimes wait before they kill.
pub const DRAIN_MS: u64 = 5 * SECOND_MS;

/// Zero takes the process's file limit as the bound, less what the hub itself needs.
pub const CONNECTIONS_MAX: usize = 0;

/// A request head is one packet on any usable network; slower ones are almost always attacks that hold a socket.
pub const HEAD_TIMEOUT_MS: u64 = 10 * SECOND_MS;

/// 1 MiB, the largest body, at 35 KiB/s: a poor mobile uplink.
pub const BODY_TIMEOUT_MS: u64 = 30 * SECOND_MS;

/// Below the 30 s after which the strictest common proxies cut idle connections.
pub const HEARTBEAT_MS: u64 = 25 * SECOND_MS;

/// A socket that takes no byte for this long belongs to a client that is gone; what it missed waits in the log.
pub const WRITE_TIMEOUT_MS: u64 = 10 * SECOND_MS;

/// Spreads clients over hubs again after a restart, and bounds what a forgotten connection can hold.
pub const LIFETIME_MS: u64 = HOUR_MS;

/// Quick enough to be unnoticed by people, slow enough that a restart is not met by a storm.
pub const RETRY_MS: u64 = 2 * SECOND_MS;

/// References of 8 bytes each, so 8 KiB for a reader that is behind; beyond it the log serves just as well.
pub const PENDING_MAX: usize = 1_024;

/// About 25,000 messages of 300 bytes: a reconnect within seconds is answered from memory.
pub const RING_BYTES_MAX: u64 = 8 * MIB;

/// Zero makes one shard per core.
pub const SHARDS: usize = 0;

/// The protocol's: longer than any client retries one request.
pub const IDEMPOTENCY_MS: u64 = limits::IDEMPOTENCY_MS;

/// Between 50 and 100 MiB of memory when full.
pub const IDEMPOTENCY_IDS: u64 = limits::IDEMPOTENCY_IDS;

/// A client that was away over a week's holiday still gets everything.
pub const RETENTION_AGE_MS: u64 = 7 * DAY_MS;

/// Fits the smallest usual cloud disk three times over, once per class.
pub const RETENTION_BYTES: u64 = 4 * GIB;

/// Zero: age and bytes are the limits that mean something to a user.
pub const RETENTION_COUNT: u64 = 0;

/// Zero: the disk is the limit.
pub const BYTES_MAX: u64 = 0;

/// Often enough that the log exceeds its limits by minutes only, rare enough to cost nothing.
pub const TRIM_EVERY_MS: u64 = MINUTE_MS;

/// Longer than a client needs for work that is worth an ack, short enough that a lost answer goes unnoticed.
pub const FIRST_DELAY_MS: u64 = 10 * SECOND_MS;

/// A client that is connected and silent is looked after this often.
pub const DELAY_MAX_MS: u64 = 5 * MINUTE_MS;

/// About half an hour of a connected client's time.
pub const ATTEMPTS_MAX: u64 = 10;

/// Starts, stops and trouble; nothing per message.
pub const LOG_LEVEL: &str = "info";

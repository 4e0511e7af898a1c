//! Every setting, described once. The doc comments are the documentation of `tidings.example.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tidings_protocol::limits;

use super::defaults;
use super::layers::Given;
use super::reload::Changes;
use super::rules::{
    any, at_least, at_most, filter, hosts, not_empty, origins, secret_length, within,
    zero_or_within,
};
use super::secret::Secret;
use super::value::{Durability, LogFormat, Setting};

/// The resolved configuration of one hub.
///
/// `Config::default()` is what a hub without file, environment and flags runs with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    pub sse: Sse,
    pub store: Store,
    pub receipts: Receipts,
    pub log: Log,
}

impl Config {
    /// Takes every setting out of the layers, or its default, and reports the values that break a rule to `given`.
    pub(super) fn resolve(given: &mut Given) -> Self {
        Self {
            server: Server::resolve(given),
            auth: Auth::resolve(given),
            sse: Sse::resolve(given),
            store: Store::resolve(given),
            receipts: Receipts::resolve(given),
            log: Log::resolve(given),
        }
    }

    /// Takes over from `new` what a running hub can take over.
    pub(super) fn take_over(&mut self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        self.server.take_over(&new.server, &mut changes);
        self.auth.take_over(&new.auth, &mut changes);
        self.sse.take_over(&new.sse, &mut changes);
        self.store.take_over(&new.store, &mut changes);
        self.receipts.take_over(&new.receipts, &mut changes);
        self.log.take_over(&new.log, &mut changes);
        changes
    }

    /// The description and present value of every setting, in the order of the example file.
    pub(super) fn sections(&self) -> Vec<Section> {
        vec![
            self.server.section(),
            self.auth.section(),
            self.sse.section(),
            self.store.section(),
            self.receipts.section(),
            self.log.section(),
        ]
    }
}

pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) docs: &'static [&'static str],
    pub(super) entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) docs: &'static [&'static str],
    /// Whether a running hub can take it over.
    pub(super) live: bool,
    /// The value as TOML; `None` for a setting that has none.
    pub(super) value: Option<String>,
}

/// Declares a section: the struct, its default, how it is taken out of the layers and how it is shown.
/// Each line is `key: type = default, rule;`, or `key: type = default, rule, live;` for a setting that a running hub can
/// take over.
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        $name:literal $Section:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr, $rule:expr $(, $live:ident)?; )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Section {
            $( $(#[doc = $doc])* pub $key: $type, )*
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $Section {
            fn resolve(given: &mut Given) -> Self {
                Self {
                    $( $key: given
                        .take(concat!($name, ".", stringify!($key)), $rule)
                        .unwrap_or_else(|| $default), )*
                }
            }

            fn take_over(&mut self, new: &Self, changes: &mut Changes) {
                $( if self.$key != new.$key {
                    let key = concat!($name, ".", stringify!($key));
                    if stringify!($($live)?).is_empty() {
                        changes.waiting.push(key);
                    } else {
                        changes.taken.push(key);
                        self.$key = new.$key.clone();
                    }
                } )*
            }

            fn section(&self) -> Section {
                Section {
                    name: $name,
                    docs: &[$($section_doc),*],
                    entries: vec![
                        $( Entry {
                            key: stringify!($key),
                            docs: &[$($doc),*],
                            live: !stringify!($($live)?).is_empty(),
                            value: self.$key.toml(),
                        }, )*
                    ],
                }
            }
        }
    };
}

section! {
    /// Where the hub listens, where it keeps its data, and whom it lets in.
    "server" Server {
        /// Address and port. Anything but a loopback address needs keys (section auth) or `allow_anonymous`.
        /// Port 0 takes a free one, which is printed at the start.
        listen: SocketAddr = defaults::LISTEN, any;

        /// The folder of the store. It is made when it is missing; one hub at a time can use it.
        data: PathBuf = PathBuf::from(defaults::DATA), not_empty;

        /// Lets a hub without keys listen beyond loopback: everyone who reaches it may read and send everything.
        allow_anonymous: bool = false, any;

        /// Host names, besides loopback, under which a hub without keys may be called, such as "hub.example.org", without port.
        allowed_hosts: Vec<String> = Vec::new(), hosts, live;

        /// Origins whose web pages may call the hub, such as "https://app.example.org".
        /// None given: loopback pages on a hub without keys, no page otherwise.
        allowed_origins: Vec<String> = Vec::new(), origins, live;

        /// How long the hub takes on SIGTERM to tell its clients, spread over this time, to come back later. Milliseconds.
        drain_ms: u64 = defaults::DRAIN_MS, at_most(600_000), live;

        /// Connections at a time; more are refused with 503. 0 = the process's file limit less 1,000.
        connections_max: usize = defaults::CONNECTIONS_MAX, any;

        /// How long the head of a request may take. Milliseconds.
        head_timeout_ms: u64 = defaults::HEAD_TIMEOUT_MS, within(1, 600_000);

        /// How long the body of a request may take. Milliseconds.
        body_timeout_ms: u64 = defaults::BODY_TIMEOUT_MS, within(1, 600_000), live;
    }
}

section! {
    /// Keys that tokens are checked with. Without any the hub is open: tokens are ignored and everyone may do everything.
    "auth" Auth {
        /// Shared secret of HS256 tokens, at least 32 bytes. Better given by TIDINGS_JWT_SECRET or by a file than here.
        jwt_secret: Option<Secret> = None, secret_length;

        /// File that holds the shared secret; white space around it is ignored. Also TIDINGS_JWT_SECRET_FILE.
        jwt_secret_file: Option<PathBuf> = None, any;
    }
}

section! {
    /// Streams to clients.
    "sse" Sse {
        /// Time between heartbeats of a client that did not ask for another. Milliseconds. 0 = a comment every 25 s instead,
        /// which only keeps proxies from closing a quiet stream.
        heartbeat_ms: u64 = defaults::HEARTBEAT_MS, zero_or_within(limits::HEARTBEAT_MS_MIN, limits::HEARTBEAT_MS_MAX), live;

        /// A client whose socket takes nothing for this long is disconnected; it resumes later without loss. Milliseconds.
        write_timeout_ms: u64 = defaults::WRITE_TIMEOUT_MS, within(1, 600_000), live;

        /// Age at which a stream is closed so that its client comes back, shortened at random by up to a fifth.
        /// Milliseconds. 0 = never.
        lifetime_ms: u64 = defaults::LIFETIME_MS, any, live;

        /// Pause before a reconnect that clients are asked to make. Milliseconds.
        retry_ms: u64 = defaults::RETRY_MS, within(1, 600_000), live;

        /// Messages waiting in memory for one connection; a client that is further behind is served from the store.
        pending_max: usize = defaults::PENDING_MAX, within(1, 1_000_000);

        /// Memory of each shard for the newest messages, which short reconnects are answered from. Bytes.
        ring_bytes_max: u64 = defaults::RING_BYTES_MAX, any;

        /// Shards: threads that write to clients, each to its own. 0 = one per core.
        shards: usize = defaults::SHARDS, at_most(1_024);
    }
}

section! {
    /// What is kept, for how long, and how surely. Messages to a client, to a topic and to all have limits of their own,
    /// so that a busy topic cannot push out what waits for a client; past any of its limits the oldest messages of a kind go.
    "store" Store {
        /// When a message counts as accepted: "disk" = synced, survives a power cut; "os" = written, survives a crash of the
        /// hub but not of the machine.
        durability: Durability = Durability::Disk, any;

        /// How long a repeated message (same source and id) is recognised. Milliseconds.
        idempotency_ms: u64 = defaults::IDEMPOTENCY_MS, any;

        /// How many messages are recognised when repeated.
        idempotency_ids: u64 = defaults::IDEMPOTENCY_IDS, any;

        /// Age at which messages to a client are removed. Milliseconds. 0 = no limit, here and below.
        mailbox_age_ms: u64 = defaults::RETENTION_AGE_MS, any, live;

        /// Total size of the messages to clients.
        mailbox_bytes: u64 = defaults::RETENTION_BYTES, any, live;

        /// Number of the messages to clients.
        mailbox_count: u64 = defaults::RETENTION_COUNT, any, live;

        /// Age at which messages to topics are removed. Milliseconds.
        topic_age_ms: u64 = defaults::RETENTION_AGE_MS, any, live;

        /// Total size of the messages to topics.
        topic_bytes: u64 = defaults::RETENTION_BYTES, any, live;

        /// Number of the messages to topics.
        topic_count: u64 = defaults::RETENTION_COUNT, any, live;

        /// Age at which broadcast messages are removed. Milliseconds.
        broadcast_age_ms: u64 = defaults::RETENTION_AGE_MS, any, live;

        /// Total size of the broadcast messages.
        broadcast_bytes: u64 = defaults::RETENTION_BYTES, any, live;

        /// Number of the broadcast messages.
        broadcast_count: u64 = defaults::RETENTION_COUNT, any, live;

        /// Size of the whole store at which messages are refused as on a full disk. Bytes. 0 = the disk is the limit.
        bytes_max: u64 = defaults::BYTES_MAX, any;

        /// Time between two looks for messages to remove. Milliseconds.
        trim_every_ms: u64 = defaults::TRIM_EVERY_MS, at_least(1), live;
    }
}

section! {
    /// Messages with `requireAck`: sent again until the client acknowledges them.
    "receipts" Receipts {
        /// How long the hub waits for an ack before it sends the message again; each further wait is twice as long. Milliseconds.
        first_delay_ms: u64 = defaults::FIRST_DELAY_MS, within(1, 86_400_000);

        /// The longest such wait. Milliseconds.
        delay_max_ms: u64 = defaults::DELAY_MAX_MS, within(1, 86_400_000);

        /// How often a message is sent, the first time included, before it counts as expired.
        attempts_max: u64 = defaults::ATTEMPTS_MAX, within(1, 1_000_000);
    }
}

section! {
    /// The log, written to standard error.
    "log" Log {
        /// error, warn, info, debug, trace or off, also per module: "info,tidings::http=debug".
        level: String = defaults::LOG_LEVEL.to_owned(), filter, live;

        /// "text" to read, "json" for one object per line.
        format: LogFormat = LogFormat::Text, any;
    }
}

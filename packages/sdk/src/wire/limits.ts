// Written by `cargo xtask types` from crates/protocol.

export const ID_BYTES_MAX = 256;
export const MESSAGE_BYTES_MAX = 1048576;
export const BODY_BYTES_MAX = 1048576;
export const EVENT_BYTES_MAX = 1052672;
export const BATCH_MAX = 1000;
export const TOPICS_MAX = 256;
export const SINCE_LAST_MAX = 1000;
export const HISTORY_LIMIT = 50;
export const HISTORY_LIMIT_MAX = 1000;
export const HEARTBEAT_MS_MIN = 250;
export const HEARTBEAT_MS_MAX = 300000;
export const IDEMPOTENCY_MS = 600000;
export const IDEMPOTENCY_IDS = 1000000;

// Written by `cargo xtask types` from crates/protocol.

/** Every code that a hub answers with; the list only grows. */
export type ErrorCode =
  | "body_timeout"
  | "forbidden"
  | "forbidden_origin"
  | "head_timeout"
  | "head_too_large"
  | "id_conflict"
  | "internal"
  | "invalid_cursor"
  | "invalid_field"
  | "invalid_json"
  | "invalid_request"
  | "invalid_token"
  | "message_too_large"
  | "method_not_allowed"
  | "missing_token"
  | "not_available"
  | "not_connected"
  | "not_found"
  | "overloaded"
  | "reserved_type"
  | "shutting_down"
  | "store_failed"
  | "store_full"
  | "token_expired"
  | "too_many_connections"
  | "unsupported_combination"
  | "unsupported_media_type";

/** The HTTP status and the title of each code. */
export const ERRORS: { readonly [C in ErrorCode]: readonly [status: number, title: string] } = {
  body_timeout: [408, "The request body took too long"],
  forbidden: [403, "Not allowed with these credentials"],
  forbidden_origin: [403, "Origin or host not allowed"],
  head_timeout: [408, "The request head took too long"],
  head_too_large: [431, "Request head too large"],
  id_conflict: [409, "Id already used for another message"],
  internal: [500, "Internal error"],
  invalid_cursor: [400, "Invalid cursor"],
  invalid_field: [400, "Invalid field"],
  invalid_json: [400, "Invalid JSON"],
  invalid_request: [400, "Invalid request"],
  invalid_token: [401, "Invalid token"],
  message_too_large: [413, "Message too large"],
  method_not_allowed: [405, "Method not allowed"],
  missing_token: [401, "Missing token"],
  not_available: [501, "Not available on this hub"],
  not_connected: [404, "Client not connected"],
  not_found: [404, "Not found"],
  overloaded: [503, "Hub overloaded"],
  reserved_type: [403, "Reserved for the hub"],
  shutting_down: [503, "Hub shutting down"],
  store_failed: [503, "Store failed"],
  store_full: [503, "Store full"],
  token_expired: [401, "Token expired"],
  too_many_connections: [503, "Too many connections"],
  unsupported_combination: [422, "Unsupported combination"],
  unsupported_media_type: [415, "Unsupported media type"],
};

/** The body of every refusal, `application/problem+json`. */
export type Problem = {
  /** `urn:tidings:error:` and the code. */
  type: string;
  title: string;
  status: number;
  /** For people; may change. */
  detail: string;
  /** Stable: what programs compare. */
  code: ErrorCode;
  /** The same text as `detail`. */
  error: string;
  field?: string;
  retryAfterMs?: number;
};

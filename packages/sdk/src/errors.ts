import type { ErrorCode as HubErrorCode } from "./wire/errors.ts";

/** What went wrong on this side; the hub's own codes are those of PROTOCOL.md. Both lists only grow. */
export type ClientErrorCode =
  | "aborted"
  | "attempts_exhausted"
  | "disposed"
  | "disconnected"
  | "event_too_large"
  | "evicted"
  | "handler_failed"
  | "invalid_config"
  | "invalid_response"
  | "kicked"
  | "network"
  | "not_connected"
  | "queue_full"
  | "replaced"
  | "server_stop"
  | "stream_buffered"
  | "stream_ended"
  | "suspended"
  | "timeout";

export type ErrorCode = ClientErrorCode | HubErrorCode | (string & {});

export interface HubErrorDetail {
  status?: number;
  field?: string;
  retryable?: boolean;
  retryAfterMs?: number;
  cause?: unknown;
}

/** Every error of the SDK. Compare `code`: `instanceof` fails where two copies of the package meet. */
export class HubError extends Error {
  readonly code: ErrorCode;
  /** The HTTP status, where the hub or something before it answered. */
  declare readonly status?: number;
  /** The field of the configuration or of the message that is at fault. */
  declare readonly field?: string;
  /** Whether the same thing may succeed later. */
  readonly retryable: boolean = false;
  /** Not before this many milliseconds have passed. */
  declare readonly retryAfterMs?: number;

  constructor(code: ErrorCode, message: string = code, detail?: HubErrorDetail) {
    super(message, detail);
    this.name = "HubError";
    this.code = code;
    Object.assign(this, detail);
  }
}

/** An error after which the same may be tried again. */
export function transient(code: ErrorCode, message?: string, detail?: HubErrorDetail): HubError {
  return new HubError(code, message, { ...detail, retryable: true });
}

/** The platforms have no common error for what fails on the way, so none is told from another. */
export function broken(cause: unknown): never {
  throw transient("network", "the connection failed", { cause });
}

/** Whatever was thrown, as a `HubError`. */
export function toHubError(thrown: unknown, code: ErrorCode): HubError {
  return thrown instanceof HubError
    ? thrown
    : new HubError(code, (thrown as Error | undefined)?.message ?? `${thrown}`, { cause: thrown });
}

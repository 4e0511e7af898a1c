// Written by `cargo xtask types` from crates/protocol.

import type { ClientId, MessageId } from "./message.ts";

/** The payload of a message of type system. */
export type SystemPayload<T> = {
  event: SystemEvent;
  detail?: T;
  recommendedAction?: RecommendedAction;
};

/** What happened to a connection. */
export type SystemEvent = "connect" | "disconnect" | "reconnect" | "error" | "maintenance" | "gap";

/** What a client had best do about it. */
export type RecommendedAction = "reconnect";

/** The detail of `connect`, the first event of every stream. */
export type ConnectDetail = {
  clientId: ClientId;
  connectionId: string;
  /** Where the stream really starts, after any gap. */
  cursor: string;
  /** Whether it goes on from a cursor that the client brought. */
  resumed: boolean;
  topics: Array<string>;
  /** Milliseconds between heartbeats; 0 when they are off. */
  heartbeatInterval: number;
  maxEventBytes: number;
  idempotencyWindow: IdempotencyWindow;
};

/** How long the hub knows a message again: while both bounds hold. */
export type IdempotencyWindow = {
  ms: number;
  ids: number;
};

/** The detail of `gap`: messages between two cursors that this client will not get. */
export type GapDetail = {
  /** The cursor that the client brought, as it came. */
  from: string;
  /** Where the stream goes on. */
  to: string;
  reason: GapReason;
};

/** Why messages are missing. */
export type GapReason = "expired" | "unknown_epoch";

/** The detail of `maintenance`: the hub is about to stop. */
export type MaintenanceDetail = {
  retryAfterMs: number;
};

/** The detail of `disconnect`: the hub closes this stream. */
export type DisconnectDetail = {
  reason: DisconnectReason;
  reconnect: boolean;
};

/** Why the hub closes a stream. */
export type DisconnectReason = "replaced" | "kicked" | "revoked" | "token_expired" | "lifetime";

/** The payload of a receipt, a message of type ack: what became of a message that asked for an acknowledgement. */
export type ReceiptPayload = {
  messageId: MessageId;
  /** Of a command that had one. */
  commandId?: string;
  /** To whom the message went. */
  clientId: ClientId;
  status: ReceiptStatus;
  /** Whether the message is, or still can be, received. */
  success: boolean;
};

/** How far a message that asked for an acknowledgement has come. */
export type ReceiptStatus = "delivered" | "acknowledged" | "expired";

/** The payload of a heartbeat. */
export type HeartbeatPayload = {
  serverTime: number;
};

// Written by `cargo xtask types` from crates/protocol.

/** The id of a client: 1 to 256 bytes, no control characters, not starting with `$` (such names are the hub's). */
export type ClientId = string;

/** The id of a message, unique per source: 1 to 256 bytes, no control characters. */
export type MessageId = string;

/**
 * A topic: levels separated by `/`, 1 to 256 bytes, no control characters, no `,`, no wildcard characters
 * (`+`, `*`, `#`), no empty, `.` or `..` level.
 */
export type Topic = string;

/** What a message is. The numbers are stored on disk and never change. */
export type MessageType = "text" | "json" | "system" | "command" | "heartbeat" | "ack" | "error" | "progress";

/** How urgent a message is; it changes the order of delivery once more is waiting than one write takes. */
export type Priority = 0 | 1 | 2 | 3;

/** What a sender adds to a message for its readers, carried untouched. */
export type Metadata = { [key: string]: unknown };

/**
 * A complete message.
 *
 * Reading one checks its shape and its names, not the rules for senders: the hub's own messages are read too.
 */
export type Message = {
  id: MessageId;
  type: MessageType;
  priority: Priority;
  timestamp: number;
  source: string;
  target?: ClientId;
  topic?: Topic;
  payload: unknown;
  metadata?: Metadata;
  ttl?: number;
  durable?: boolean;
  excludeClientId?: ClientId;
  requireAck?: boolean;
  /** How often the message was repeated to this client because no acknowledgement came: 1 for the first repeat. */
  redelivery?: number;
};

/** A message as a client sent it, every rule checked that needs no knowledge of the hub. */
export type Incoming = {
  id?: MessageId;
  type?: MessageType;
  priority?: Priority;
  timestamp?: number;
  source?: string;
  target?: ClientId;
  topic?: Topic;
  payload: unknown;
  metadata?: Metadata;
  ttl?: number;
  durable?: boolean;
  excludeClientId?: ClientId;
  requireAck?: boolean;
};

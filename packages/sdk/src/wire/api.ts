// Written by `cargo xtask types` from crates/protocol.

import type { ReceiptStatus } from "./events.ts";
import type { ClientId, Message, MessageId } from "./message.ts";

/** The answer to one published message. */
export type PublishAnswer = {
  success: boolean;
  messageId: MessageId;
  /** Where the message is in the log; absent for one that is live only. */
  cursor?: string;
  /** Live connections that it goes to now. */
  recipients: number;
  /** The same message came before; this is its first answer again. */
  duplicate?: boolean;
};

/** The answer to a batch, results in the order of its messages. */
export type BatchAnswer = {
  success: boolean;
  results: Array<PublishAnswer>;
};

/** The answer to a broadcast. */
export type BroadcastAnswer = {
  success: boolean;
  /** Live connections that it goes to now. */
  sentCount: number;
  messageId: MessageId;
  /** The same message came before; this is its first answer again. */
  duplicate?: boolean;
};

/** The body of `POST /api/acks`. */
export type AckRequest = {
  /** Up to where the mailbox was read. Kept as text: the hub decides what a malformed or foreign cursor means. */
  cursor?: string;
  /** Where the unbroken reading began. */
  from?: string;
  device?: string;
  messages?: Array<MessageRef>;
  messageIds?: Array<MessageId>;
  /** The acting client, for a hub in open mode. */
  clientId?: ClientId;
};

/** The identity of a message. */
export type MessageRef = {
  source: string;
  id: MessageId;
};

/** The answer to acknowledgements. */
export type AckAnswer = {
  success: boolean;
  /** Whether the cursor asked for now counts as read. */
  applied: boolean;
  /** The client's stored cursor after the request; absent while it has none. */
  cursor?: string;
};

/** The answer where nothing is to be told but that it was done. */
export type Done = {
  success: boolean;
};

/** The answer to a change of a live connection's topics. */
export type TopicAnswer = {
  /** An added topic is complete from here on. */
  cursor: string;
};

/** The answer of `GET /api/messages`: a page of history. */
export type HistoryAnswer = {
  /** As they were sent to their readers, in the order asked for. */
  messages: Array<Message>;
  /** The `after` of the next page; absent at the end. */
  next?: string;
};

/** The answer of `GET /api/messages/{id}`. */
export type MessageAnswer = {
  /** The message as it was sent to its readers; `null` once retention has removed it. */
  message: Message | null;
  /** In the order in which they came; empty for a message that asked for none. */
  receipts: Array<Receipt>;
};

/** What became of a message at one client. */
export type Receipt = {
  clientId: ClientId;
  status: ReceiptStatus;
  at: number;
};

/** One live connection, in the list of `GET /api/connections`. */
export type ConnectionInfo = {
  clientId: ClientId;
  connectionId: string;
  createdAt: number;
  /** When bytes last went to its socket. */
  lastActiveAt: number;
  /** Milliseconds since `created_at`. */
  uptime: number;
  topics: Array<string>;
  /** Messages waiting in the hub's memory for this connection. */
  queued: number;
  remoteAddr: string;
};

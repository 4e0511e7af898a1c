import type { Message, MessagePriority } from "../types.ts";

/** A message of the outbox that is not accepted yet. */
export interface StoredItem {
  message: Message;
  /** The request body; a repeat has the same bytes. */
  body: string;
  priority: MessagePriority;
  enqueuedAt: number;
}

/**
 * Where an outbox and a cursor outlive the page.
 *
 * Calls come in order and may overlap. A call that fails costs persistence, never the message itself.
 */
export interface Persistence {
  load(): Promise<{ outbox: StoredItem[]; cursor?: string }>;
  put(item: StoredItem): Promise<void>;
  remove(id: string): Promise<void>;
  setCursor(cursor: string): Promise<void>;
  close(): Promise<void>;
}

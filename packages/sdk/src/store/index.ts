import type { MessagePriority } from "../types.ts";

/** A message of the outbox that is not accepted yet. */
export interface StoredItem {
  id: string;
  /** The message as the request body has it; a repeat has the same bytes. */
  body: string;
  priority: MessagePriority;
  /** Rises with each item, so it is their order, too. */
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

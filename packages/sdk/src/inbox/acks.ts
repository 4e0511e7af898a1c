import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { toHubError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { retryDelay } from "../http/retry.ts";

/** Acks are collected for so long, or until there are so many. */
const BATCH_MS = 50;
const BATCH_COUNT = 32;

/** Bytes of the messages in one request: with the rest below the 60 KiB of a request that may outlive its page. */
const REQUEST_BYTES = 56_000;

/** Acks of single messages that are kept. The hub sends a message again whose ack was dropped. */
const MESSAGES_MAX = 8192;

export interface MessageRef {
  source: string;
  id: string;
}

/**
 * Tells the hub what was handled: how far the mailbox was read, and the messages that ask for an ack of their own.
 *
 * What failed is sent again; acks are idempotent and may come in any order.
 */
export class Acks {
  /** Where the unbroken reading began, when it was not at the hub's stored cursor. */
  from?: string;
  readonly #env: Env;
  readonly #http: HttpClient;
  readonly #settings: Pick<Settings, "clientId" | "device" | "store">;
  /** The newest settled cursor, while it is not persisted. */
  #unstored?: string;
  /** The cursor that the hub has to be told. */
  #due?: string;
  readonly #messages = new Map<string, MessageRef>();
  #count = 0;
  #timer?: unknown;
  #sending?: Promise<void>;
  #failures = 0;
  #wait = BATCH_MS;
  #disposed = false;

  constructor(env: Env, http: HttpClient, settings: Pick<Settings, "clientId" | "device" | "store">) {
    this.#env = env;
    this.#http = http;
    this.#settings = settings;
  }

  /** All up to `cursor` is settled. `mailbox`: it has messages of the mailbox, which come again unless the hub is told. */
  advance(cursor: string, mailbox: boolean): void {
    this.#due = mailbox ? cursor : this.#due;
    this.#unstored = this.#settings.store && cursor;
    if (mailbox || this.#unstored) {
      this.#note();
    }
  }

  /** One message that asked for an ack was handled. */
  message({ source, id }: MessageRef): void {
    this.#messages.set(`${source}\n${id}`, { source, id });
    const [oldest] = this.#messages.keys();
    if (this.#messages.size > MESSAGES_MAX) {
      this.#messages.delete(oldest as string);
    }
    this.#note();
  }

  /** Sends what waits. With `keepalive` also what is on its way already: the page may be about to end. */
  async flush(keepalive = false): Promise<void> {
    if (this.#sending && !keepalive) {
      return this.#sending;
    }
    this.#env.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
    this.#persist();
    const sending = this.#send(keepalive);
    this.#sending ??= sending;
    await sending;
    if (this.#sending === sending) {
      this.#sending = undefined;
    }
    this.#schedule();
  }

  /** Sends what waits a last time. */
  dispose(): void {
    if (!this.#disposed) {
      this.#disposed = true;
      void this.flush(true);
    }
  }

  #note(): void {
    if (++this.#count >= BATCH_COUNT && !this.#failures && !this.#sending && !this.#disposed) {
      void this.flush();
    } else {
      this.#schedule();
    }
  }

  #schedule(): void {
    const waits = this.#unstored ?? this.#due ?? this.#messages.size;
    if (waits && !this.#timer && !this.#sending && !this.#disposed) {
      this.#timer = this.#env.setTimeout(() => void this.flush(), this.#wait);
    }
  }

  async #send(keepalive: boolean): Promise<void> {
    const { clientId, device } = this.#settings;
    const cursor = this.#due;
    const messages = this.#some();
    if (cursor === undefined && !messages.length) {
      return;
    }
    try {
      const body = { clientId, device, cursor, from: cursor && this.from, messages };
      const { data } = await this.#http.post("api/acks", body, { keepalive });
      this.#env.log.debug("acks", data);
      this.#settled(cursor, messages);
    } catch (thrown) {
      const error = toHubError(thrown, "network");
      this.#env.log.warn("acks failed", error);
      if (error.retryable || error.status === 401) {
        this.#wait = retryDelay(this.#env, ++this.#failures, error);
      } else {
        // The hub judges the cursor before the messages.
        this.#settled(cursor, error.code === "invalid_cursor" ? [] : messages);
      }
    }
  }

  #settled(cursor: string | undefined, messages: MessageRef[]): void {
    this.#failures = 0;
    this.#wait = BATCH_MS;
    if (this.#due === cursor) {
      this.#due = undefined;
    }
    for (const { source, id } of messages) {
      this.#messages.delete(`${source}\n${id}`);
    }
  }

  /** As many as one request takes; a unit of text has three bytes at most. */
  #some(): MessageRef[] {
    let bytes = 0;
    return [...this.#messages.values()].filter(({ source, id }) => {
      bytes += 3 * (source.length + id.length) + 24;
      return bytes <= REQUEST_BYTES;
    });
  }

  #persist(): void {
    if (this.#unstored !== undefined) {
      this.#settings.store
        ?.setCursor(this.#unstored)
        .catch((error) => this.#env.log.warn("the store failed", error));
      this.#unstored = undefined;
    }
  }
}

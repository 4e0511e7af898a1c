import { createDecoder, type Decoder } from "../../src/connection/decoder.ts";
import type { Message } from "../../src/wire/message.ts";

/** One event as a client sees it. */
export interface Seen {
  id: string | undefined;
  name: string;
  message: Message;
}

/** A stream that is read event by event, without the SDK. */
export class Reader {
  readonly #abort = new AbortController();
  readonly #decoder: Decoder;
  readonly #seen: Seen[] = [];
  #body!: ReadableStreamDefaultReader<Uint8Array>;
  retry: number | undefined;
  response!: Response;

  private constructor() {
    this.#decoder = createDecoder(2 ** 21, "", (ms) => {
      this.retry = ms;
    });
  }

  static async open(fetch: typeof globalThis.fetch, url: string, init: RequestInit = {}): Promise<Reader> {
    const reader = new Reader();
    reader.response = await fetch(url, { ...init, signal: reader.#abort.signal });
    if (reader.response.status === 200) {
      reader.#body = (reader.response.body as ReadableStream<Uint8Array>).getReader();
    }
    return reader;
  }

  /** The next event; nothing at the end of the stream. */
  async next(): Promise<Seen | undefined> {
    while (this.#seen.length === 0) {
      const { done, value } = await this.#body.read();
      if (done) {
        return undefined;
      }
      for (const event of this.#decoder.feed(value)) {
        if (event === "event_too_large") {
          throw new Error("an event was larger than 2 MiB");
        }
        this.#seen.push({ id: event.id, name: event.name, message: JSON.parse(event.data) });
      }
    }
    return this.#seen.shift();
  }

  /** The next event that is not a heartbeat. */
  async event(): Promise<Seen> {
    for (;;) {
      const seen = await this.next();
      if (!seen) {
        throw new Error("the stream ended");
      }
      if (seen.name !== "heartbeat") {
        return seen;
      }
    }
  }

  /** The payloads of the next so many messages. */
  async payloads(count: number): Promise<unknown[]> {
    const payloads: unknown[] = [];
    while (payloads.length < count) {
      payloads.push((await this.event()).message.payload);
    }
    return payloads;
  }

  close(): void {
    this.#abort.abort();
  }
}

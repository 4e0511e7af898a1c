import { type SSKSConfig, settle } from "../../src/config.ts";
import { type Connection, createConnection } from "../../src/connection/connection.ts";
import type { Sink } from "../../src/connection/sink.ts";
import { createEmitter, type SdkEvents } from "../../src/emitter.ts";
import { environment, type Logger } from "../../src/env.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { VirtualClock, VirtualPage } from "../../src/testing/index.ts";
import type { Message } from "../../src/types.ts";

/** One request for a stream, held in the hand: nothing is answered until the test says so. */
export class Request {
  readonly url: URL;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly response: Promise<Response>;
  cancelled = false;

  #answer!: (response: Response) => void;
  #refuse!: (error: unknown) => void;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wanted: (() => void) | undefined;

  constructor(input: string, init: RequestInit, heedsAbort: boolean) {
    this.url = new URL(input);
    this.headers = new Headers(init.headers);
    this.signal = init.signal as AbortSignal;
    this.response = new Promise((answer, refuse) => {
      this.#answer = answer;
      this.#refuse = refuse;
    });
    if (heedsAbort) {
      this.signal.addEventListener("abort", () => {
        this.cancelled = true;
        this.fail(this.signal.reason);
      });
    }
  }

  /** The stream is live: neither side has ended it. */
  get open(): boolean {
    return this.#body !== undefined && !this.cancelled && !this.signal.aborted;
  }

  /** Answers with the head of a stream. */
  head(init: ResponseInit = {}): this {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body = controller;
        },
        pull: () => this.#wanted?.(),
        cancel: () => {
          this.cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const headers = { "content-type": "text/event-stream", ...(init.headers as Record<string, string>) };
    this.#answer(new Response(body, { ...init, headers }));
    return this;
  }

  /** Answers with the head and the hub's `connect` event. */
  accept(detail: Record<string, unknown> = {}): this {
    return this.head().order("connect", { ...DETAIL, ...detail }, String(detail.cursor ?? DETAIL.cursor));
  }

  answer(response: Response): void {
    this.#answer(response);
  }

  /** A problem document, as the hub refuses. */
  refuse(status: number, problem: Record<string, unknown> = {}, headers: Record<string, string> = {}): void {
    const type = { "content-type": "application/problem+json" };
    this.#answer(Response.json(problem, { status, headers: { ...type, ...headers } }));
  }

  bytes(bytes: Uint8Array | string): this {
    this.#body?.enqueue(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    return this;
  }

  message(message: Partial<Message>, cursor?: string): this {
    const whole = {
      id: "m",
      type: "json",
      priority: 1,
      timestamp: 0,
      source: "bob",
      payload: null,
      ...message,
    };
    const id = cursor === undefined ? "" : `id: ${cursor}\n`;
    return this.bytes(`${id}event: ${whole.type}\ndata: ${JSON.stringify(whole)}\n\n`);
  }

  /** One of the hub's own events. */
  order(event: string, detail: Record<string, unknown> = {}, cursor?: string): this {
    return this.message(
      { id: event, type: "system" as Message["type"], source: "$hub", payload: { event, detail } },
      cursor,
    );
  }

  end(): void {
    this.#body?.close();
  }

  /** The transport breaks: before the head the request fails, behind it the body. */
  fail(error: unknown = new TypeError("network error")): void {
    this.#refuse(error);
    try {
      this.#body?.error(error);
    } catch {
      // The body had ended before.
    }
  }

  /** Resolves when the client reads on. */
  wanted(): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }
}

export const DETAIL = {
  clientId: "alice",
  connectionId: "c1",
  cursor: "e-0",
  resumed: false,
  topics: [],
  heartbeatInterval: 25_000,
  maxEventBytes: 1_052_672,
  idempotencyWindow: { ms: 600_000, ids: 1_000_000 },
};

/** The far end of a `fetch`, and all that an SDK takes from outside. */
export class Wire {
  readonly clock = new VirtualClock();
  readonly page = new VirtualPage();
  readonly requests: Request[] = [];
  readonly logged: unknown[][] = [];
  random = 1 - Number.EPSILON;
  /** Whether an aborted request ends by itself. */
  heedsAbort = true;

  readonly fetch = ((input: string, init: RequestInit) => {
    const request = new Request(input, init, this.heedsAbort);
    this.requests.push(request);
    return request.response;
  }) as typeof globalThis.fetch;

  get last(): Request {
    const request = this.requests.at(-1);
    if (!request) {
      throw new Error("no request was made");
    }
    return request;
  }

  get options() {
    const log = (...entry: unknown[]): void => {
      this.logged.push(entry);
    };
    const logger: Logger = { debug: log, info: log, warn: log, error: log };
    return {
      endpoint: "https://hub.test",
      clientId: "alice",
      fetch: this.fetch,
      now: this.clock.now,
      random: () => this.random,
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      page: this.page,
      logger,
    };
  }

  /** A connection at this end, which tells `log` its states and the codes of its errors. */
  connection(config: Partial<SSKSConfig> = {}, log: string[] = [], receive?: Sink["receive"]): Connection {
    const options = { ...this.options, ...config };
    const env = environment(options);
    const emitter = createEmitter<SdkEvents>(env.log);
    emitter.on("stateChange", ({ to }) => log.push(to));
    emitter.on("error", ({ code }) => log.push(`error ${code}`));
    const credentials = createCredentials(options.authToken, options.headers);
    const sink = receive && { receive };
    return createConnection({ env, settings: settle(options), emitter, credentials, sink });
  }

  settle(): Promise<void> {
    return this.clock.settle();
  }

  /** Lets time pass until the next request is made, and returns how long that took. */
  async next(within = 600_000): Promise<number> {
    const count = this.requests.length;
    const begin = this.clock.now();
    await this.clock.advance(0);
    while (this.requests.length === count) {
      if (this.clock.now() - begin > within) {
        throw new Error(`no request within ${within} ms`);
      }
      await this.clock.advance(10);
    }
    return this.clock.now() - begin;
  }
}

import { HubError } from "../errors.ts";
import type { PublishAnswer } from "../wire/api.ts";
import type { DisconnectReason } from "../wire/events.ts";
import { IDEMPOTENCY_IDS, IDEMPOTENCY_MS } from "../wire/limits.ts";
import type { Incoming, Message } from "../wire/message.ts";
import { VirtualClock } from "./clock.ts";
import { type FaultOptions, Faults, type RequestFault, type StreamFault } from "./faults.ts";
import type { Ending } from "./pipe.ts";
import { Refused } from "./problem.ts";
import { answer, type TestRequest } from "./routes.ts";
import { HubState } from "./state.ts";
import type { TestStream } from "./stream.ts";
import type { TaskScript, TestTask } from "./tasks.ts";

export interface TestHubOptions {
  /** The time of the hub and of the client. */
  clock?: VirtualClock;
  /** Where the hub seems to be; by default `http://hub.test`. */
  url?: string;
  /** Milliseconds between heartbeats that no client wished for; 25,000 by default, 0 for none. */
  heartbeatInterval?: number;
  /** What the `retry:` line of a stream says; 2,000 by default. */
  retryMs?: number;
  /** Streams arrive in pieces of at most so many bytes; by default each event in one. */
  chunkBytes?: number;
  /** How long the hub knows a message again. */
  idempotencyWindow?: { ms: number; ids: number };
}

/** What an SDK takes from a test hub: `new SSENotificationSDK({ ...hub.config, clientId: "alice" })`. */
export interface TestHubConfig {
  endpoint: string;
  fetch: typeof globalThis.fetch;
  now: () => number;
  random: () => number;
  setTimeout: (run: () => void, ms: number) => unknown;
  clearTimeout: (handle: unknown) => void;
}

/** Which streams something happens to; by default all. */
export interface Whom {
  clientId?: string;
}

/** A hub in memory that keeps PROTOCOL.md, with its time and its faults in the hands of a test. */
export class TestHub {
  readonly url: string;
  readonly clock: VirtualClock;
  readonly fetch: typeof globalThis.fetch;
  readonly config: TestHubConfig;
  /** The messages that clients have sent and the hub has accepted, duplicates left out. */
  readonly received: readonly Message[];
  /** Every request, with its answer's status once there is one; the newest 10,000. */
  readonly requests: readonly TestRequest[];
  readonly #state: HubState;
  readonly #faults: Faults = new Faults();

  constructor(options: TestHubOptions = {}) {
    this.url = options.url ?? "http://hub.test";
    this.clock = options.clock ?? new VirtualClock();
    const { heartbeatInterval = 25_000, retryMs = 2_000, chunkBytes } = options;
    const { idempotencyWindow = { ms: IDEMPOTENCY_MS, ids: IDEMPOTENCY_IDS } } = options;
    this.#state = new HubState(this.clock, { heartbeatInterval, retryMs, chunkBytes, idempotencyWindow });
    this.received = this.#state.received;
    this.requests = this.#state.requests;
    this.fetch = (input, init) => answer(this.#state, this.#faults, input, init);
    this.config = {
      endpoint: this.url,
      fetch: this.fetch,
      now: this.clock.now,
      // Half of every jitter, always: tests of their own spread pass another one.
      random: () => 0.5,
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
    };
  }

  /** Publishes as somebody else would; throws a `HubError` where the hub refuses. */
  publish(message: Incoming): PublishAnswer {
    return asHubError(() => this.#state.publish(this.#state.complete(message), {}));
  }

  /** The open streams, the oldest first. */
  streams(whom: Whom = {}): TestStream[] {
    return [...this.#state.streams].filter(({ clientId }) => clientId === (whom.clientId ?? clientId));
  }

  /** Every stored message, the oldest first. */
  messages(): Message[] {
    return this.#state.log.entries().map(({ message }) => message);
  }

  /** Where a client's ack cursor stands; nothing before its first ack. */
  acked(clientId: string, device?: string): string | undefined {
    return this.#state.acks.text(clientId, device);
  }

  /** From the first token on the hub wants one with every request. `expiresAt` is a time of the hub's clock. */
  allow(token: string, clientId: string, expiresAt: number = Number.POSITIVE_INFINITY): void {
    this.#state.tokens.set(token, { clientId, expiresAt });
  }

  /** The token has ended: its streams are told `token_expired` and closed, and requests with it are refused with 401. */
  expire(token: string): void {
    const known = this.#state.tokens.get(token);
    if (known) {
      known.expiresAt = this.clock.now();
      for (const stream of this.streams().filter((one) => one.token === token)) {
        stream.disconnect("token_expired");
      }
    }
  }

  /** The next streams that are asked for go wrong. */
  failStreams(fault: StreamFault, options: FaultOptions = {}): void {
    this.#faults.stream(fault, options);
  }

  /** The next other requests go wrong. */
  failRequests(fault: RequestFault, options: FaultOptions = {}): void {
    this.#faults.request(fault, options);
  }

  /** Every request fails as without a network, and open streams break. */
  offline(): void {
    this.#faults.offline = true;
    this.cut();
  }

  online(): void {
    this.#faults.offline = false;
  }

  /** Breaks open streams, now or behind so many further bytes: in the middle of an event or of a character. */
  cut(options: Whom & { afterBytes?: number; how?: Ending } = {}): void {
    for (const stream of this.streams(options)) {
      stream.pipe.cutAfter(options.afterBytes ?? 0, options.how ?? "reset");
    }
  }

  /** Open streams fall silent: nothing arrives any more, and nobody is told. */
  stall(whom: Whom = {}): void {
    for (const stream of this.streams(whom)) {
      stream.pipe.stall();
    }
  }

  /** The next stored message of each open stream comes so many times more. */
  duplicate(options: Whom & { times?: number } = {}): void {
    for (const stream of this.streams(options)) {
      stream.duplicate(options.times ?? 1);
    }
  }

  /** The next two stored messages of each open stream come in the other order. */
  reorder(whom: Whom = {}): void {
    for (const stream of this.streams(whom)) {
      stream.swap();
    }
  }

  /** Retention takes all stored messages: who has not been sent them is told of a gap, now or when it comes back. */
  forget(): void {
    for (const stream of this.streams()) {
      stream.passed();
    }
    this.#state.log.trim(this.clock.now());
  }

  /** Tells open streams why they are closed, and closes them. A replaced instance is sent away for 10 minutes. */
  disconnect(reason: DisconnectReason, whom: Whom = {}): void {
    for (const stream of this.streams(whom)) {
      this.#state.dismiss(stream, reason);
    }
  }

  /** The hub tells its streams that it is about to stop, and closes them. */
  maintenance(retryAfterMs = 2_000): void {
    for (const stream of this.streams()) {
      stream.maintenance(retryAfterMs);
    }
  }

  /** The hub is killed and starts again: with what it has stored, or with an empty store that knows no cursor. */
  restart(data: "kept" | "lost" = "kept"): void {
    this.cut();
    this.#state.restart(data);
  }

  /** Plays every further task whose command has this name. */
  onTask(name: string, script: TaskScript): void {
    this.#state.tasks.on(name, script);
  }

  /** A task by its id, to play it by hand. */
  task(taskId: string): TestTask {
    return asHubError(() => this.#state.tasks.find(taskId, undefined));
  }

  tasks(): TestTask[] {
    return this.#state.tasks.list(undefined);
  }
}

export function createTestHub(options: TestHubOptions = {}): TestHub {
  return new TestHub(options);
}

function asHubError<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    if (!(thrown instanceof Refused)) {
      throw thrown;
    }
    const { code, detail, status, field } = thrown.problem;
    throw new HubError(code, detail, { status, field });
  }
}

import type { PublishAnswer } from "../wire/api.ts";
import type { DisconnectReason } from "../wire/events.ts";
import type { Message, MessageType } from "../wire/message.ts";
import { type Acceptance, complete, fingerprint } from "./accept.ts";
import { Acks } from "./acks.ts";
import type { VirtualClock } from "./clock.ts";
import { type Entry, Log } from "./log.ts";
import { Refused } from "./problem.ts";
import { Receipts } from "./receipts.ts";
import type { TestRequest } from "./routes.ts";
import type { StreamHub, TestStream } from "./stream.ts";
import { Tasks } from "./tasks.ts";

export interface HubSettings {
  heartbeatInterval: number;
  retryMs: number;
  chunkBytes: number | undefined;
  idempotencyWindow: { ms: number; ids: number };
}

interface Publishing {
  /** By a client, not by the test itself. */
  received?: boolean;
  /** The stored history is searched for a copy, too. */
  resend?: boolean;
}

/** For so long the hub sends a replaced instance away. */
const REPLACED_MS = 600_000;
const REQUESTS_MAX = 10_000;
const RECEIPT_TTL_MS = 86_400_000;

/** Everything that a test hub knows, and the one way in for messages. */
export class HubState implements StreamHub {
  readonly clock: VirtualClock;
  readonly settings: HubSettings;
  readonly log: Log = new Log();
  readonly acks: Acks = new Acks(this.log);
  readonly streams: Set<TestStream> = new Set();
  readonly tokens: Map<string, { clientId: string; expiresAt: number }> = new Map();
  readonly received: Message[] = [];
  readonly requests: TestRequest[] = [];
  readonly receipts: Receipts;
  readonly tasks: Tasks;
  readonly #known: Map<string, { print: string; answer: PublishAnswer; at: number }> = new Map();
  /** Instances that were replaced, and until when they are sent away. */
  readonly #replaced: Map<string, number> = new Map();
  #ids = 0;

  constructor(clock: VirtualClock, settings: HubSettings) {
    this.clock = clock;
    this.settings = settings;
    this.receipts = new Receipts({
      clock,
      streams: (clientId) => [...this.streams].filter((stream) => stream.clientId === clientId),
      receipt: (source, payload) => this.#store({ ...this.own("ack", payload, source), ttl: RECEIPT_TTL_MS }),
    });
    this.tasks = new Tasks((clientId, type, payload) => {
      const message = this.own(type, payload, clientId);
      this.#pass(type === "progress" ? { ...message, durable: false } : message);
    }, clock.now);
  }

  get retryMs(): number {
    return this.settings.retryMs;
  }

  get chunkBytes(): number | undefined {
    return this.settings.chunkBytes;
  }

  get idempotencyWindow(): { ms: number; ids: number } {
    return this.settings.idempotencyWindow;
  }

  newId(): string {
    this.#ids += 1;
    return `00000000-0000-7000-8000-${this.#ids.toString(16).padStart(12, "0")}`;
  }

  own(type: MessageType, payload: unknown, clientId: string): Message {
    const timestamp = this.clock.now();
    return { id: this.newId(), type, priority: 1, timestamp, source: "$hub", target: clientId, payload };
  }

  complete(body: unknown, acceptance: Partial<Acceptance> = {}): Message {
    const newId = (): string => this.newId();
    return complete(body, {
      actor: undefined,
      source: "anonymous",
      now: this.clock.now(),
      newId,
      ...acceptance,
    });
  }

  /** Accepts a complete message, or answers for the copy that came before. */
  publish(message: Message, { received = false, resend = false }: Publishing): PublishAnswer {
    const key = `${message.source}\n${message.id}`;
    const print = fingerprint(message);
    const known = this.#recognised(key) ?? (resend ? this.#found(message) : undefined);
    if (known) {
      if (known.print !== print) {
        throw new Refused("id_conflict", "this source and id came before with another content");
      }
      return { ...known.answer, recipients: this.#readers(message), duplicate: true };
    }
    if (message.durable === false && message.target !== undefined && this.#readers(message) === 0) {
      throw new Refused("not_connected", "the client is not connected");
    }
    if (received) {
      this.received.push(message);
    }
    const recipients = this.#readers(message);
    const entry = this.#pass(message);
    if (!entry) {
      return { success: true, messageId: message.id, recipients };
    }
    const answer = { success: true, messageId: message.id, cursor: this.log.end(), recipients };
    this.#known.set(key, { print, answer, at: this.clock.now() });
    return answer;
  }

  delivered(entry: Entry): void {
    this.receipts.delivered(entry);
  }

  stored(clientId: string, device: string | undefined): { position: number; ahead: ReadonlySet<number> } {
    return this.acks.stored(clientId, device);
  }

  opened(stream: TestStream): void {
    // A planned cut may already have ended it.
    if (stream.pipe.open) {
      this.streams.add(stream);
      this.receipts.connected(stream);
      stream.pump();
    }
  }

  closed(stream: TestStream): void {
    this.streams.delete(stream);
  }

  dismiss(stream: TestStream, reason: DisconnectReason): void {
    if (reason === "replaced" && stream.instance !== undefined) {
      this.#replaced.set(`${stream.clientId}\n${stream.instance}`, this.clock.now() + REPLACED_MS);
    }
    stream.disconnect(reason);
  }

  wasReplaced(clientId: string, instance: string): boolean {
    return (this.#replaced.get(`${clientId}\n${instance}`) ?? 0) > this.clock.now();
  }

  record(request: TestRequest): void {
    this.requests.push(request);
    if (this.requests.length > REQUESTS_MAX) {
      this.requests.shift();
    }
  }

  restart(data: "kept" | "lost"): void {
    this.#replaced.clear();
    if (data === "kept") {
      this.log.restart();
      return;
    }
    this.log.replace();
    this.#known.clear();
    this.acks.clear();
    this.receipts.clear();
    this.tasks.clear();
  }

  /** Stores what is durable, and hands it to the streams. */
  #pass(message: Message): Entry | undefined {
    if (message.durable !== false) {
      return this.#store(message);
    }
    for (const stream of this.streams) {
      stream.live(message);
    }
    return undefined;
  }

  #store(message: Message): Entry {
    const entry = this.log.append(message, this.clock.now());
    if (message.requireAck) {
      this.receipts.wait(entry);
    }
    for (const stream of this.streams) {
      stream.pump();
    }
    return entry;
  }

  #recognised(key: string): { print: string; answer: PublishAnswer } | undefined {
    const { ms, ids } = this.idempotencyWindow;
    for (const [old, { at }] of this.#known) {
      if (this.#known.size <= ids && at + ms > this.clock.now()) {
        break;
      }
      this.#known.delete(old);
    }
    return this.#known.get(key);
  }

  /** Looks in the stored history for a copy that is no longer known. */
  #found({ source, id }: Message): { print: string; answer: PublishAnswer } | undefined {
    const first = this.log.entries().find(({ message }) => message.source === source && message.id === id);
    if (!first) {
      return undefined;
    }
    const { position, message } = first;
    const cursor = this.log.cursor({ mailbox: position, shared: position, ahead: [] });
    const answer = { success: true, messageId: message.id, cursor, recipients: 0 };
    return { print: fingerprint(message), answer };
  }

  #readers(message: Message): number {
    return [...this.streams].filter((stream) => stream.reads(message)).length;
  }
}

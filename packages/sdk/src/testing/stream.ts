import type { ConnectDetail, DisconnectReason } from "../wire/events.ts";
import { EVENT_BYTES_MAX } from "../wire/limits.ts";
import type { Message, MessageType } from "../wire/message.ts";
import type { VirtualClock } from "./clock.ts";
import type { Entry, Log } from "./log.ts";
import { matches } from "./patterns.ts";
import { type Ending, Pipe } from "./pipe.ts";
import { type Start, type StartRequest, startOf } from "./start.ts";

/** What a stream takes from its hub. */
export interface StreamHub {
  clock: VirtualClock;
  log: Log;
  retryMs: number;
  chunkBytes?: number;
  idempotencyWindow: { ms: number; ids: number };
  /** A message of the hub's own, complete. */
  own(type: MessageType, payload: unknown, clientId: string): Message;
  /** A message that asks for an ack has been written. */
  delivered(entry: Entry): void;
  /** Where a client's ack cursor stands. */
  stored(clientId: string, device: string | undefined): { position: number; ahead: ReadonlySet<number> };
  closed(stream: TestStream): void;
}

/** What a client asked for. */
export interface StreamRequest extends StartRequest {
  connectionId: string;
  types?: string[];
  device?: string;
  instance?: string;
  token?: string;
  /** Milliseconds; 0 is off. */
  heartbeat: number;
}

/** One open stream. */
export class TestStream {
  readonly clientId: string;
  readonly connectionId: string;
  readonly device: string | undefined;
  readonly instance: string | undefined;
  readonly token: string | undefined;
  readonly openedAt: number;
  readonly pipe: Pipe;
  /** What the `connect` event told. */
  readonly detail: ConnectDetail;
  readonly #hub: StreamHub;
  readonly #types: Set<string> | undefined;
  /** Each pattern counts from the position behind it. */
  readonly #patterns: Map<string, number>;
  #mailbox = 0;
  #shared = 0;
  #scanned = 0;
  readonly #ahead: Set<number>;
  readonly #gap: Start["gap"];
  #duplicate = 0;
  #swap = false;
  #stopHeartbeat: () => void = () => {};

  constructor(hub: StreamHub, request: StreamRequest) {
    this.#hub = hub;
    this.clientId = request.clientId;
    this.connectionId = request.connectionId;
    this.device = request.device;
    this.instance = request.instance;
    this.token = request.token;
    this.openedAt = hub.clock.now();
    this.#types = request.types && new Set(request.types);
    this.#patterns = new Map(request.topics.map((pattern) => [pattern, 0]));
    const gone = (): void => {
      this.#stopHeartbeat();
      hub.closed(this);
    };
    this.pipe = new Pipe({ gone, room: () => this.pump() }, hub.chunkBytes);
    const stored = hub.stored(this.clientId, this.device);
    const start = startOf(hub.log, request, stored, (message) => this.reads(message));
    const { gap } = start;
    this.#mailbox = start.mailbox;
    this.#shared = start.shared;
    this.#scanned = Math.min(start.mailbox, start.shared);
    this.#ahead = new Set(start.ahead);
    this.detail = {
      clientId: this.clientId,
      connectionId: this.connectionId,
      cursor: this.cursor,
      resumed: request.cursor !== undefined && gap?.reason !== "unknown_epoch",
      topics: this.topics,
      heartbeatInterval: request.heartbeat,
      maxEventBytes: EVENT_BYTES_MAX,
      idempotencyWindow: hub.idempotencyWindow,
    };
    this.#gap = gap;
  }

  /** Writes what every stream begins with. */
  begin(): void {
    this.#write(`retry: ${this.#hub.retryMs}\n\n`);
    this.tell("connect", this.detail, { id: this.#gap ? undefined : this.cursor });
    if (this.#gap) {
      this.tell("gap", { ...this.#gap, to: this.cursor }, { id: this.cursor });
    }
    this.#heartbeats(this.detail.heartbeatInterval);
  }

  get topics(): string[] {
    return [...this.#patterns.keys()];
  }

  /** What this connection has been sent. */
  get cursor(): string {
    const least = Math.max(this.#scanned, Math.min(this.#mailbox, this.#shared));
    return this.#hub.log.cursor({
      mailbox: Math.max(this.#mailbox, this.#scanned),
      shared: Math.max(this.#shared, this.#scanned),
      ahead: [...this.#ahead].filter((position) => position > least).sort((a, b) => a - b),
    });
  }

  /** Stored messages that it has not been sent. */
  get queued(): number {
    let count = 0;
    for (let position = this.#scanned + 1; position <= this.#hub.log.head; position += 1) {
      const entry = this.#hub.log.at(position);
      count += entry && this.#wants(entry) ? 1 : 0;
    }
    return count;
  }

  /** Whether it is sent messages of this address. */
  reads(message: Message): boolean {
    return this.#selects(message, Number.POSITIVE_INFINITY);
  }

  /** Sends all that the client's socket takes. */
  pump(): void {
    while (this.pipe.room) {
      const entry = this.#pending();
      if (!entry) {
        return;
      }
      if (this.#swap) {
        const second = this.#first(entry.position);
        if (!second) {
          return;
        }
        this.#swap = false;
        this.#ahead.add(second.position);
        this.#send(second);
      }
      this.#scanned = entry.position;
      this.#send(entry);
    }
  }

  /** Sends a message that is not stored; a connection that is behind does not get it. */
  live(message: Message): void {
    if (this.reads(message) && this.pipe.room && !this.#pending()) {
      this.#event(message, undefined);
    }
  }

  /** Sends a stored message again, without moving the client's place. */
  again(message: Message): void {
    this.#event(message, undefined);
  }

  /** Sends an event of the hub's own. */
  tell(
    event: string,
    detail: unknown,
    options: { id?: string | undefined; recommendedAction?: string } = {},
  ): void {
    const { id, recommendedAction } = options;
    const payload = { event, detail, ...(recommendedAction ? { recommendedAction } : {}) };
    this.#event(this.#hub.own("system", payload, this.clientId), id);
  }

  disconnect(reason: DisconnectReason): void {
    const reconnect = reason === "token_expired" || reason === "lifetime";
    this.tell("disconnect", { reason, reconnect });
    this.pipe.end();
  }

  maintenance(retryAfterMs: number): void {
    this.#write(`retry: ${retryAfterMs}\n\n`);
    this.tell("maintenance", { retryAfterMs }, { recommendedAction: "reconnect" });
    this.pipe.end();
  }

  break(how: Ending): void {
    this.pipe.break(how);
  }

  /** The next stored message comes so many times more. */
  duplicate(times: number): void {
    this.#duplicate += times;
  }

  /** The next two stored messages come in the other order. */
  swap(): void {
    this.#swap = true;
  }

  /** Adds a pattern and returns the cursor from which it is complete. */
  add(pattern: string): string {
    if (!this.#patterns.has(pattern)) {
      this.#patterns.set(pattern, this.#hub.log.head);
    }
    return this.#hub.log.end();
  }

  remove(pattern: string): string {
    this.#patterns.delete(pattern);
    return this.#hub.log.end();
  }

  /** Retention is about to remove everything: a connection that is behind is told. */
  passed(): void {
    if (this.#pending()) {
      const from = this.cursor;
      this.#scanned = this.#hub.log.head;
      this.#ahead.clear();
      this.tell("gap", { from, to: this.cursor, reason: "expired" }, { id: this.cursor });
    }
  }

  /** Whether a stored message counted as sent when the stream began. */
  startedBehind(position: number): boolean {
    return position <= this.#mailbox || this.#ahead.has(position);
  }

  #heartbeats(interval: number): void {
    const { clock } = this.#hub;
    const beat = (): void => {
      this.#stopHeartbeat = clock.background(beat, interval);
      // It is left out while bytes wait for the client's socket.
      if (this.pipe.room && !this.#pending()) {
        this.#event(this.#hub.own("heartbeat", { serverTime: clock.now() }, this.clientId), this.cursor);
      }
    };
    if (interval > 0 && this.pipe.open) {
      this.#stopHeartbeat = clock.background(beat, interval);
    }
  }

  /** The next stored message for this connection; what lies before it and is not for it counts as passed. */
  #pending(): Entry | undefined {
    const next = this.#first(this.#scanned);
    const passed = (next?.position ?? this.#hub.log.head + 1) - 1;
    this.#scanned = Math.max(this.#scanned, passed);
    for (const position of this.#ahead) {
      if (position <= this.#scanned) {
        this.#ahead.delete(position);
      }
    }
    return next;
  }

  /** The first stored message for this connection behind a position. */
  #first(behind: number): Entry | undefined {
    const { log, clock } = this.#hub;
    for (let position = behind + 1; position <= log.head; position += 1) {
      const entry = log.at(position);
      if (entry && this.#wants(entry) && entry.storedAt + (entry.message.ttl ?? Infinity) > clock.now()) {
        return entry;
      }
    }
    return undefined;
  }

  #wants({ position, message }: Entry): boolean {
    return !this.#ahead.has(position) && this.#selects(message, position);
  }

  #selects(message: Message, position: number): boolean {
    const { target, topic, type } = message;
    if (target !== undefined) {
      return target === this.clientId && position > this.#mailbox;
    }
    if (position <= this.#shared || message.excludeClientId === this.clientId) {
      return false;
    }
    if (this.#types && !this.#types.has(type)) {
      return false;
    }
    if (topic === undefined) {
      return true;
    }
    return [...this.#patterns].some(([pattern, from]) => position > from && matches(pattern, topic));
  }

  #send(entry: Entry): void {
    this.#event(entry.message, this.cursor);
    for (; this.#duplicate > 0; this.#duplicate -= 1) {
      this.#event(entry.message, this.cursor);
    }
    if (entry.message.requireAck) {
      this.#hub.delivered(entry);
    }
  }

  #event(message: Message, id: string | undefined): void {
    const name = message.type === "error" ? "message_error" : message.type;
    const line = id === undefined ? "" : `id: ${id}\n`;
    this.#write(`${line}event: ${name}\ndata: ${JSON.stringify(message)}\n\n`);
  }

  #write(text: string): void {
    this.pipe.write(new TextEncoder().encode(text));
  }
}

// Random histories on a virtual clock: whatever happens to the connection, each message is handled once and acknowledged
// only then, and each one sent is accepted once. A failing seed comes again with TIDINGS_SDK_SEED.

import { expect, test } from "vitest";
import { type Message, MessageType, SSENotificationSDK } from "../src/index.ts";
import { parseCursor } from "../src/testing/cursor.ts";
import { createTestHub, type RequestFault, type StreamFault, VirtualPage } from "../src/testing/index.ts";
import { Memory } from "./support/memory.ts";
import { seeded } from "./support/random.ts";

const STEPS = 80;
const SEEDS = Number(process.env.TIDINGS_SDK_SEEDS ?? 60);
const FIRST = Number(process.env.TIDINGS_SDK_SEED ?? 1);

class History {
  readonly #random: () => number;
  readonly #hub: ReturnType<typeof createTestHub>;
  readonly #page = new VirtualPage();
  readonly #store: Memory | undefined;
  #sdk: SSENotificationSDK;
  /** By source and type, what the handler of that type was through with. */
  readonly #handled: Map<string, number[]> = new Map();
  readonly #published: Map<string, number> = new Map();
  readonly #failed: Map<string, number> = new Map();
  readonly #overtaking: boolean;
  readonly trace: string[] = [];
  #sent = 0;

  constructor(seed: number, reloads: boolean) {
    this.#random = seeded(seed);
    this.#store = reloads ? new Memory() : undefined;
    this.#overtaking = this.#random() < 0.3;
    this.#hub = createTestHub({ chunkBytes: this.#one([1, 13, 300, Number.POSITIVE_INFINITY]) });
    this.#sdk = this.#load();
  }

  /** A page with the application, and with what an earlier one has kept. */
  #load(): SSENotificationSDK {
    const sdk = new SSENotificationSDK({
      ...this.#hub.config,
      random: this.#random,
      page: this.#page,
      clientId: "alice",
      topics: ["news/#"],
      messageQueueSize: 1000,
      maxReconnectAttempts: Number.POSITIVE_INFINITY,
      pauseWhenHidden: this.#one([undefined, 60_000]),
      store: this.#store,
    });
    // Two types, so that a later message can be through before an earlier one.
    for (const [type, slowest] of [
      [MessageType.JSON, 200],
      [MessageType.TEXT, 2000],
    ] as const) {
      sdk.subscribe([type], (message) => this.#handle(sdk, message, this.#below(slowest)));
    }
    return sdk;
  }

  async #handle(sdk: SSENotificationSDK, { type, source, payload }: Message, ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#hub.clock.background(resolve, ms));
    if (sdk !== this.#sdk) {
      throw new Error("the page is gone");
    }
    const line = `${source} ${type}`;
    const failures = this.#failed.get(`${line} ${payload.n}`) ?? 0;
    if (failures < payload.fails) {
      this.#failed.set(`${line} ${payload.n}`, failures + 1);
      throw new Error("not yet");
    }
    this.#handled.set(line, [...(this.#handled.get(line) ?? []), payload.n]);
  }

  async run(): Promise<void> {
    // Topics and broadcast count from the first stream on.
    await this.#sdk.ready();
    await this.#hub.clock.advance(1000);
    for (let step = 0; step < STEPS; step += 1) {
      await this.#step();
      this.#acknowledgedOnlyWhatWasHandled();
    }
    await this.#end();
  }

  async #step(): Promise<void> {
    const hub = this.#hub;
    const actions: [string, () => unknown][] = [
      ["publish", () => this.#publish()],
      ["publish", () => this.#publish()],
      ["publish", () => this.#publish()],
      ["send", () => this.#send()],
      ["send", () => this.#send()],
      ["advance a little", () => hub.clock.advance(this.#below(500))],
      ["advance a little", () => hub.clock.advance(this.#below(5_000))],
      ["advance", () => hub.clock.advance(this.#below(100_000))],
      ["sleep", () => hub.clock.sleep(this.#below(1_000_000))],
      ["cut", () => hub.cut({ afterBytes: this.#below(900), how: this.#one(["reset", "end"]) })],
      ["stall", () => hub.stall()],
      ["duplicate", () => hub.duplicate({ times: 1 + this.#below(3) })],
      ["overtake", () => this.#overtaking && hub.reorder()],
      ["restart", () => hub.restart()],
      ["lifetime", () => hub.disconnect("lifetime")],
      ["maintenance", () => hub.maintenance(this.#below(5_000))],
      ["fail streams", () => hub.failStreams(this.#streamFault(), { times: 1 + this.#below(3) })],
      ["fail requests", () => hub.failRequests(this.#requestFault(), { times: 1 + this.#below(3) })],
      ["fail acks", () => hub.failRequests(this.#requestFault(), { path: "/api/acks" })],
      ["offline", () => hub.offline()],
      ["online", () => this.#online()],
      ["online", () => this.#online()],
      ["hide", () => this.#page.hide()],
      ["show", () => this.#page.show()],
      ["freeze", () => this.#page.fire("freeze")],
      ["resume", () => this.#page.fire("resume")],
      ["to the cache", () => this.#page.fire("pagehide", true)],
      ["from the cache", () => this.#page.fire("pageshow", true)],
      ["reconnect", () => void this.#sdk.reconnect().catch(() => {})],
      ["come back", () => this.#comeBack()],
      ["reload", () => this.#store && this.#reload()],
    ];
    const [name, act] = this.#one(actions);
    this.trace.push(name);
    await act();
  }

  #publish(): void {
    for (let i = this.#below(5); i >= 0; i -= 1) {
      const source = this.#one(["shop", "ledger"]);
      const type = this.#one(["json", "text"] as const);
      const line = `${source} ${type}`;
      const n = this.#published.get(line) ?? 0;
      this.#published.set(line, n + 1);
      const address = this.#one([
        { target: "alice" },
        { target: "alice", requireAck: true },
        { topic: "news/eu" },
        {},
      ]);
      const fails = this.#random() < 0.1 ? 1 + this.#below(3) : 0;
      this.#hub.publish({
        id: `${type} ${n}`,
        type,
        source,
        ...address,
        payload: { n, fails, text: "grüße 👋🏽" },
      });
    }
  }

  #send(): void {
    const n = this.#sent;
    this.#sent += 1;
    // Rejected by a reload, but then the next page sends it.
    this.#sdk.sendJSON({ n }, { target: "bob" }).catch(() => {});
  }

  #reload(): void {
    this.#sdk.dispose();
    this.#sdk = this.#load();
  }

  #online(): void {
    this.#hub.online();
    this.#page.fire("online");
  }

  #comeBack(): void {
    this.#sdk.disconnect();
    void this.#sdk.connect().catch(() => {});
  }

  /** Everything is well again, and there is time enough. */
  async #end(): Promise<void> {
    const { clock } = this.#hub;
    this.trace.push("end");
    this.#online();
    this.#page.show();
    this.#page.fire("resume");
    this.#page.fire("pageshow", true);
    for (let i = 0; i < 60 && !this.#quiet(); i += 1) {
      await clock.advance(30_000);
    }
    // Acks follow what was handled, some of them after faults that still wait for a request.
    await clock.advance(1_000_000);
    expect(this.#sdk.isConnected()).toBe(true);
    for (const [line, count] of this.#published) {
      const handled = this.#handled.get(line) ?? [];
      // A new page knows only what the one before it wrote down.
      const once = this.#store ? [...new Set(handled)] : [...handled];
      if (this.#overtaking || this.#store) {
        once.sort((a, b) => a - b);
      }
      expect(once, `handled of ${line}`).toEqual(numbers(count));
    }
    const sent = this.#hub.received.map(({ payload }) => (payload as { n: number }).n);
    expect(sent, "sent").toEqual(numbers(this.#sent));
    expect(this.#sdk.getStats().queue.queueSize, "left in the queue").toBe(0);
    expect(this.#store?.size ?? 0, "left in the store").toBe(0);
    this.#everythingAcknowledged();

    this.#sdk.dispose();
    await clock.settle();
    expect([clock.timers(), this.#page.listeners()], "timers and listeners").toEqual([0, 0]);
  }

  #quiet(): boolean {
    const through = [...this.#published].every(([line, count]) => {
      return new Set(this.#handled.get(line)).size >= count;
    });
    return through && this.#hub.received.length >= this.#sent;
  }

  #acknowledgedOnlyWhatWasHandled(): void {
    const place = parseCursor(this.#hub.acked("alice") ?? "");
    for (const [i, message] of this.#hub.messages().entries()) {
      const { type, source, target, requireAck } = message;
      const position = i + 1;
      const covered = !!place && (position <= place.mailbox || place.ahead.includes(position));
      const { n } = message.payload as { n: number };
      if (target === "alice" && !requireAck && covered) {
        const line = `${source} ${type}`;
        expect(this.#handled.get(line) ?? [], `acknowledged, so handled: ${line}`).toContain(n);
      }
    }
  }

  #everythingAcknowledged(): void {
    const messages = this.#hub.messages();
    const last = messages.findLastIndex(({ target, requireAck }) => target === "alice" && !requireAck) + 1;
    // A page goes on behind what the one before it has written down, acknowledged or not.
    if (last > 0 && !this.#store) {
      const place = parseCursor(this.#hub.acked("alice") ?? "");
      expect(place?.mailbox, "the acknowledged place").toBeGreaterThanOrEqual(last);
    }
    const asked = messages.filter(({ requireAck }) => requireAck).length;
    const receipts = messages.filter(({ type, payload }) => {
      // Its ten sendings may all have gone into a stream that was silent.
      return type === "ack" && (payload as { status: string }).status !== "delivered";
    });
    expect(receipts.length, "receipts of what asked for an ack").toBe(asked);
  }

  #streamFault(): StreamFault {
    return this.#one<StreamFault>([
      "unreachable",
      "unanswered",
      "stalled",
      "buffered",
      { cutAfter: this.#below(1500), how: this.#one(["reset", "end"]) },
      { status: 503, retryAfterMs: this.#below(20_000) },
      { status: 429, retryAfterMs: 1000 },
      { status: 502, body: "<h1>Bad Gateway</h1>" },
      { status: 200, body: "<h1>Log in</h1>" },
    ]);
  }

  #requestFault(): RequestFault {
    return this.#one<RequestFault>([
      "unreachable",
      "unanswered",
      "answer lost",
      "answer lost",
      { status: 503, retryAfterMs: this.#below(20_000) },
      { status: 502, body: "<h1>Bad Gateway</h1>" },
    ]);
  }

  #one<T>(items: T[]): T {
    return items[this.#below(items.length)] as T;
  }

  /** A whole number from 0 to below that. */
  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

async function play(reloads: boolean): Promise<void> {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const history = new History(seed, reloads);
    try {
      await history.run();
    } catch (error) {
      const steps = `TIDINGS_SDK_SEED=${seed} TIDINGS_SDK_SEEDS=1: ${history.trace.join(", ")}`;
      throw new Error(`${steps}\n${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

test(`${SEEDS} random histories lose nothing, repeat nothing and acknowledge only what was handled`, async () => {
  await play(false);
});

test(`${SEEDS} random histories with reloads of the page lose nothing and send everything once`, async () => {
  await play(true);
});

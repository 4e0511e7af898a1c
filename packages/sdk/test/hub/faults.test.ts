import { afterEach, expect, test } from "vitest";
import { MessageType, SSENotificationSDK } from "../../src/index.ts";
import { FaultProxy, type RequestFault, type StreamFaultKind } from "../support/fault-proxy.ts";
import { seeded } from "../support/random.ts";
import { RealHub } from "../support/real-hub.ts";

const MESSAGES = 10_000;
/** Of them so many are sent by an SDK through the same proxy; the others come from outside, in batches. */
const SENT = 1_000;
const FAULTS = 200;
const SEED = Number(process.env.TIDINGS_FAULT_SEED ?? 1);

/** Each so often as it stands here. Black holes are the fewest because each costs the silence that betrays it. */
const STREAM_KINDS: StreamFaultKind[] = [
  ...Array(30).fill("end"),
  ...Array(30).fill("reset"),
  ...Array(35).fill("inside a character"),
  ...Array(35).fill("between CR and LF"),
  ...Array(10).fill("drip"),
  ...Array(5).fill("black hole"),
];
const REQUEST_KINDS: RequestFault[] = [
  ...Array(15).fill("never arrives"),
  ...Array(25).fill("answer lost"),
  ...Array(15).fill("answer cut"),
];

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
});

function shuffled<T>(items: T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

/** A clock on which a second takes 10 ms, so that the waits between repeats of a request cost nothing. */
function hurried() {
  const began = Date.now();
  return {
    now: () => began + (Date.now() - began) * 100,
    setTimeout: (run: () => void, ms: number) => setTimeout(run, ms / 100),
    clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
    livenessTimeout: 200_000,
    connectionTimeout: 3_000_000,
  };
}

test(`${MESSAGES} messages over ${FAULTS} faults reach their handler exactly once and in order (TIDINGS_FAULT_SEED=${SEED})`, async () => {
  expect(STREAM_KINDS.length + REQUEST_KINDS.length).toBe(FAULTS);
  const random = seeded(SEED);
  const streams = shuffled(STREAM_KINDS, random);
  const requests = shuffled(REQUEST_KINDS, random);
  const hub = await RealHub.start({ TIDINGS_STORE_DURABILITY: "os" });
  closing.push(() => hub.dispose());
  const proxy = await FaultProxy.start(hub.port, {
    stream: (target) => {
      const kind = target.includes("clientId=reader") ? streams.pop() : undefined;
      return kind && { kind, afterBytes: Math.floor(random() * 32_000) };
    },
    spared: ({ kind }) => streams.push(kind),
    // One in four, so that a repeat can be hit again.
    request: () => (random() < 0.25 ? requests.pop() : undefined),
  });
  closing.push(() => proxy.close());
  const common = {
    endpoint: proxy.url,
    heartbeatInterval: 500,
    livenessTimeout: 2000,
    reconnectBaseDelay: 1,
    reconnectMaxDelay: 20,
    maxReconnectAttempts: Number.POSITIVE_INFINITY,
    random: seeded(SEED),
    autoConnect: false,
  };

  const reader = new SSENotificationSDK({ ...common, clientId: "reader", topics: ["orders/#"] });
  closing.push(() => reader.dispose());
  const seen = new Map<string, number[]>();
  let count = 0;
  let awaited = { count: Number.POSITIVE_INFINITY, resolve: () => {} };
  const reached = (wanted: number) =>
    new Promise<void>((resolve) => {
      awaited = { count: wanted, resolve };
      if (count >= wanted) {
        resolve();
      }
    });
  reader.subscribe([MessageType.JSON], async ({ source, payload }) => {
    seen.set(source, [...(seen.get(source) ?? []), payload.n]);
    count += 1;
    if (count >= awaited.count) {
      awaited.resolve();
    }
  });
  const gaps: unknown[] = [];
  reader.on("gap", (gap) => gaps.push(gap));
  await reader.connect();

  const sender = new SSENotificationSDK({ ...common, ...hurried(), clientId: "sender" });
  closing.push(() => sender.dispose());
  await sender.connect();
  const sending = (async () => {
    for (let n = 0; n < SENT; n += 1) {
      await sender.sendJSON({ n, text: "grüße 👋🏽" }, { target: "reader" });
    }
  })();

  // From outside: two sources, in batches, by mailbox and by topic, never far ahead of the reader.
  for (let n = 0; n < (MESSAGES - SENT) / 2; n += 50) {
    await reached(2 * n - 1000);
    const batch = Array.from({ length: 100 }, (_, i) => ({
      source: i % 2 ? "ledger" : "shop",
      ...(i % 4 < 2 ? { target: "reader" } : { topic: "orders/eu" }),
      payload: { n: n + Math.floor(i / 2), text: "größer 👩‍👩‍👧" },
    }));
    await hub.publish(batch as never);
  }
  await sending;
  await reached(MESSAGES);

  const numbers = (length: number) => Array.from({ length }, (_, n) => n);
  expect(seen.get("sender")).toEqual(numbers(SENT));
  expect(seen.get("ledger")).toEqual(numbers((MESSAGES - SENT) / 2));
  expect(seen.get("shop")).toEqual(numbers((MESSAGES - SENT) / 2));
  expect(gaps).toEqual([]);
  expect([streams.length, requests.length, proxy.total]).toEqual([0, 0, FAULTS]);
});

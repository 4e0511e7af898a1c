import { expect, test } from "vitest";
import { MessageType, SSENotificationSDK } from "../src/index.ts";
import { createTestHub, type StreamFault, VirtualPage } from "../src/testing/index.ts";

/** What one cycle begins with. */
const ENDS: ((hub: ReturnType<typeof createTestHub>) => void)[] = [
  (hub) => hub.cut(),
  (hub) => hub.cut({ how: "end" }),
  (hub) => hub.stall(),
  (hub) => hub.restart(),
  (hub) => hub.maintenance(500),
  (hub) => hub.disconnect("lifetime"),
];
const FAULTS: StreamFault[] = [{ status: 503, retryAfterMs: 100 }, "unreachable", "unanswered", "buffered"];

test("100 reconnect cycles leave no timer, no listener and no stream behind", async () => {
  const hub = createTestHub();
  const page = new VirtualPage();
  const sdk = new SSENotificationSDK({
    ...hub.config,
    page,
    clientId: "alice",
    maxReconnectAttempts: Number.POSITIVE_INFINITY,
  });
  const seen: number[] = [];
  sdk.subscribe([MessageType.JSON], ({ payload }) => {
    seen.push(payload);
  });
  await sdk.ready();
  hub.publish({ target: "alice", payload: 0 });
  await hub.clock.advance(1000);
  const before = { timers: hub.clock.timers(), listeners: page.listeners(), streams: hub.streams().length };
  expect(before.streams).toBe(1);

  for (let cycle = 1; cycle <= 100; cycle += 1) {
    hub.failStreams(FAULTS[cycle % FAULTS.length] as StreamFault);
    ENDS[cycle % ENDS.length]?.(hub);
    hub.publish({ target: "alice", payload: cycle });
    await hub.clock.advance(300_000);
    expect(sdk.isConnected(), `cycle ${cycle}`).toBe(true);
    const now = { timers: hub.clock.timers(), listeners: page.listeners(), streams: hub.streams().length };
    expect(now, `cycle ${cycle}`).toEqual(before);
  }
  expect(seen).toEqual(Array.from({ length: 101 }, (_, n) => n));

  sdk.dispose();
  await hub.clock.settle();
  expect([hub.clock.timers(), page.listeners(), hub.streams().length]).toEqual([0, 0, 0]);
});

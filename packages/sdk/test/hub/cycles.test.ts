import { afterEach, expect, test } from "vitest";
import { SSENotificationSDK } from "../../src/index.ts";
import { FaultProxy, type StreamFault } from "../support/fault-proxy.ts";
import { RealHub } from "../support/real-hub.ts";
import { until } from "../support/until.ts";

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
});

test("100 resets of the stream leave no socket behind, neither here nor at the hub", async () => {
  const hub = await RealHub.start();
  closing.push(() => hub.dispose());
  let faults: StreamFault[] = [];
  const proxy = await FaultProxy.start(hub.port, {
    stream: () => faults.pop(),
    request: () => undefined,
  });
  closing.push(() => proxy.close());
  const sdk = new SSENotificationSDK({
    endpoint: proxy.url,
    clientId: "alice",
    heartbeatInterval: 250,
    reconnectBaseDelay: 1,
    reconnectMaxDelay: 5,
    maxReconnectAttempts: Number.POSITIVE_INFINITY,
  });
  closing.push(() => sdk.dispose());
  await sdk.ready();
  const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
  const before = { proxy: proxy.open, hub: await hub.streams() };
  expect(before).toEqual({ proxy: 1, hub: 1 });
  const socketsBefore = sockets();

  faults = Array.from({ length: 100 }, (_, i) => ({ kind: i % 2 ? "end" : "reset", afterBytes: i * 7 }));
  await sdk.reconnect();
  await until("all faults have happened", () => proxy.total === 100);
  await sdk.ready();
  await until("the hub has one stream", async () => (await hub.streams()) === 1);
  await until("one connection goes through the proxy", () => proxy.open === 1);
  await until("there are no more sockets than before", () => sockets() <= socketsBefore);
});

import { createSSENotificationSDK, MessageType } from "tidings";
import { createTestHub } from "tidings/testing";

const hub = createTestHub();
const sdk = createSSENotificationSDK({ ...hub.config, clientId: "alice" });
const seen: unknown[] = [];
sdk.subscribe([MessageType.JSON], ({ payload }) => {
  seen.push(payload);
});
await sdk.ready();

hub.cut();
hub.failStreams({ status: 503, retryAfterMs: 5_000 }, { times: 2 });
hub.publish({ source: "bob", target: "alice", payload: 1 });
await hub.clock.advance(60_000);
if (seen.length !== 1 || !sdk.isConnected()) {
  throw new Error("the message was lost");
}

sdk.dispose();
await hub.clock.settle();
if (hub.clock.timers() !== 0) {
  throw new Error("a timer was left behind");
}

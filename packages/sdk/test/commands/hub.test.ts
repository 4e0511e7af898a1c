import { beforeEach, expect, test } from "vitest";
import {
  createSSENotificationSDK,
  MessageType,
  type SSENotificationSDK,
  type SSKSConfig,
} from "../../src/index.ts";
import type { Persistence, StoredItem } from "../../src/store/index.ts";
import { createTestHub, type TestHub } from "../../src/testing/index.ts";

let hub: TestHub;

beforeEach(() => {
  hub = createTestHub();
});

async function connected(clientId: string, config: Partial<SSKSConfig> = {}): Promise<SSENotificationSDK> {
  const sdk = createSSENotificationSDK({ ...hub.config, clientId, ...config });
  await sdk.ready();
  return sdk;
}

test("a task that ends while its client is away ends its handle when the client is back", async () => {
  const alice = await connected("alice");
  const handle = alice.command<number>("report");
  await handle.accepted;
  const [task] = hub.tasks();
  task?.start();
  hub.offline();
  await hub.clock.advance(60_000);
  task?.complete(7);
  hub.online();
  await hub.clock.advance(60_000);
  await expect(handle.result).resolves.toBe(7);
  alice.dispose();
});

test("a task that ended among what retention took ends its handle all the same", async () => {
  const alice = await connected("alice");
  const handle = alice.command<number>("report");
  await handle.accepted;
  const [task] = hub.tasks();
  hub.offline();
  task?.start();
  task?.complete(7);
  hub.forget();
  hub.online();
  await hub.clock.advance(60_000);
  await expect(handle.result).resolves.toBe(7);
  alice.dispose();
});

test("a page that was reloaded goes on with its command by the id", async () => {
  const before = await connected("alice");
  const { id, accepted } = before.command("report");
  await accepted;
  before.dispose();
  const [task] = hub.tasks();
  task?.start();
  const after = await connected("alice");
  const handle = after.attach<string>(id);
  const steps: number[] = [];
  const reading = (async () => {
    for await (const { progress } of handle.progress()) {
      steps.push(progress);
    }
  })();
  await handle.accepted;
  expect(handle.taskId).toBe(task?.view.taskId);
  task?.progress(60);
  task?.complete("done");
  await hub.clock.advance(0);
  await expect(handle.result).resolves.toBe("done");
  await reading;
  expect(steps).toEqual([60]);
  after.dispose();
});

test("cancel, pause and resume reach the task, and come too late when it has ended", async () => {
  const alice = await connected("alice");
  const handle = alice.command("report");
  await handle.accepted;
  const [task] = hub.tasks();
  task?.start();
  await handle.pause();
  expect(task?.view.status).toBe("paused");
  await handle.resume();
  expect(task?.view.status).toBe("queued");
  await handle.cancel();
  await hub.clock.advance(0);
  await expect(handle.result).rejects.toMatchObject({ code: "task_cancelled" });
  const done = alice.command("other");
  await done.accepted;
  hub.tasks()[1]?.complete();
  await expect(done.pause()).rejects.toMatchObject({ code: "task_ended" });
  alice.dispose();
});

test("a command to another client is answered by that client, with its progress", async () => {
  const [alice, bob] = await Promise.all([connected("alice"), connected("bob")]);
  bob.subscribe([MessageType.COMMAND], async ({ source, payload: { commandId, name, params } }) => {
    await bob.send({
      type: MessageType.PROGRESS,
      target: source,
      payload: { taskId: commandId, progress: 50 },
    });
    await bob.sendJSON({ commandId, result: { name, sum: params.a + params.b } }, { target: source });
  });
  const handle = alice.command("add", { a: 2, b: 3 }, { target: "bob", requireAck: true });
  const receipts: string[] = [];
  alice.on("ack", ({ payload }) => receipts.push(`${payload.status} ${payload.commandId === handle.id}`));
  const steps: number[] = [];
  for await (const { progress } of handle.progress()) {
    steps.push(progress);
  }
  await expect(handle.result).resolves.toEqual({ name: "add", sum: 5 });
  await hub.clock.advance(1000);
  expect(steps).toEqual([50]);
  expect(receipts).toEqual(["delivered true", "acknowledged true"]);
  alice.dispose();
  bob.dispose();
});

test("a command that waits in a persisted outbox is sent by the next page, and found there", async () => {
  const items = new Map<string, StoredItem>();
  const store: Persistence = {
    load: async () => ({ outbox: [...items.values()] }),
    put: async (item) => void items.set(item.id, item),
    remove: async (id) => void items.delete(id),
    setCursor: async () => {},
    close: async () => {},
  };
  hub.offline();
  const before = createSSENotificationSDK({ ...hub.config, clientId: "alice", store });
  const { id } = before.command("report");
  await hub.clock.advance(0);
  before.dispose();
  await hub.clock.advance(0);
  expect([...items.keys()]).toEqual([id]);
  hub.online();
  hub.onTask("report", (task) => task.complete(1));
  const after = await connected("alice", { store });
  await hub.clock.advance(0);
  await expect(after.attach(id).result).resolves.toBe(1);
  expect(items.size).toBe(0);
  after.dispose();
});

test("after dispose no timer of commands, outbox or inbox is left", async () => {
  const alice = await connected("alice");
  const handle = alice.command("report", {}, { target: "bob", timeout: 60_000 });
  await handle.accepted;
  hub.failRequests("unreachable", { times: 3 });
  const sent = alice.sendText("x", { timeout: 60_000 });
  await hub.clock.advance(10);
  alice.dispose();
  await expect(sent).rejects.toMatchObject({ code: "disposed" });
  await expect(handle.result).rejects.toMatchObject({ code: "disposed" });
  await hub.clock.advance(0);
  expect(hub.clock.timers()).toBe(0);
});

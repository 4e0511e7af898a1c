import { beforeEach, describe, expect, test } from "vitest";
import {
  CommandAction,
  createSSENotificationSDK,
  type Message,
  MessagePriority,
  MessageType,
  type SSENotificationSDK,
  type SSKSConfig,
} from "../src/index.ts";
import { createTestHub, type TestHub, VirtualPage } from "../src/testing/index.ts";

let hub: TestHub;
let page: VirtualPage;

beforeEach(() => {
  hub = createTestHub();
  page = new VirtualPage();
});

function client(config: Partial<SSKSConfig> = {}): SSENotificationSDK {
  return createSSENotificationSDK({ ...hub.config, clientId: "alice", page, ...config });
}

async function connected(config: Partial<SSKSConfig> = {}): Promise<SSENotificationSDK> {
  const sdk = client(config);
  await sdk.ready();
  return sdk;
}

function collect(sdk: SSENotificationSDK, types = [MessageType.JSON, MessageType.TEXT]): unknown[] {
  const payloads: unknown[] = [];
  sdk.subscribe(types, ({ payload }) => {
    payloads.push(payload);
  });
  return payloads;
}

describe("connecting", () => {
  test("defect 9: happens by itself, and a failure is an event and not an unhandled rejection", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on("unhandledRejection", listen);
    hub.failStreams({ status: 403, code: "forbidden" });
    const sdk = client();
    const errors: string[] = [];
    sdk.on("error", ({ code }) => errors.push(code));
    await hub.clock.advance(0);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(unhandled).toEqual([]);
    expect(errors).toEqual(["forbidden"]);
    expect(sdk.getConnectionState()).toBe("error");
  });

  test("waits for connect() where autoConnect is false", async () => {
    const sdk = client({ autoConnect: false });
    await hub.clock.advance(60_000);
    expect(hub.requests).toHaveLength(0);
    await sdk.connect();
    expect(sdk.isConnected()).toBe(true);
  });

  test("does not happen after a disconnect() in the same turn, with a store or without", async () => {
    const store = memoryStore();
    for (const config of [{}, { store }]) {
      const sdk = client(config);
      sdk.disconnect();
      await hub.clock.advance(60_000);
      expect(sdk.getConnectionState()).toBe("disconnected");
    }
    expect(hub.requests).toHaveLength(0);
  });

  test("tells its states and events in order", async () => {
    const sdk = client();
    const told: unknown[] = [];
    sdk.onConnectionChange((state, prev) => told.push(`${prev} to ${state}`));
    sdk.on("connected", ({ clientId, resumed }) => told.push({ clientId, resumed }));
    sdk.on("disconnected", ({ code }) => told.push(code));
    sdk.on("reconnecting", ({ attempt, maxAttempts }) => told.push([attempt, maxAttempts]));
    await sdk.ready();
    hub.cut({ how: "end" });
    await hub.clock.advance(5000);
    sdk.disconnect();
    expect(told).toEqual([
      "connecting to connected",
      { clientId: "alice", resumed: false },
      "connected to reconnecting",
      "stream_ended",
      [1, 10],
      "reconnecting to connected",
      { clientId: "alice", resumed: true },
      "connected to disconnected",
      "disconnected",
    ]);
  });
});

describe("a token", () => {
  test("defect 12: that was set reaches the stream, in its header and not in the URL", async () => {
    hub.allow("new", "alice");
    const sdk = client({ authToken: "old" });
    await hub.clock.advance(0);
    expect(sdk.getConnectionState()).toBe("error");
    sdk.setAuthToken("new");
    await sdk.ready();
    const { headers, query } = hub.requests.at(-1) ?? {};
    expect(headers?.authorization).toBe("Bearer new");
    expect(query).not.toHaveProperty("token");
  });

  test("that ends is replaced by a new connection, which goes on where the old one was", async () => {
    hub.allow("t1", "alice");
    hub.allow("t2", "alice");
    let token = "t1";
    const sdk = await connected({ authToken: () => token });
    const payloads = collect(sdk);
    const expired: string[] = [];
    sdk.on("tokenExpired", ({ code }) => expired.push(code));
    token = "t2";
    hub.expire("t1");
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    await hub.clock.advance(10_000);
    expect(sdk.isConnected()).toBe(true);
    expect(payloads).toEqual([1]);
    expect(expired).toEqual(["token_expired"]);
  });
});

describe("messages", () => {
  test("defect 13: sent while the client was away arrive once and in order when it is back", async () => {
    const sdk = await connected({ topics: ["news"] });
    const payloads = collect(sdk);
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    await hub.clock.advance(0);
    hub.cut();
    hub.publish({ source: "bob", topic: "news", payload: 2 });
    hub.publish({ source: "bob", target: "alice", payload: 3 });
    await hub.clock.advance(10_000);
    expect(payloads).toEqual([1, 2, 3]);
  });

  test("are announced as events, each kind by its own name, and the hub's own events are not", async () => {
    const sdk = await connected();
    const told: string[] = [];
    for (const event of ["message", "progress", "ack"] as const) {
      sdk.on(event, ({ type }) => told.push(`${event} ${type}`));
    }
    hub.publish({ source: "bob", target: "alice", type: "progress", payload: { taskId: "t", progress: 5 } });
    hub.publish({ source: "alice", target: "bob", payload: 1, requireAck: true, id: "q" });
    const bob = await connected({ clientId: "bob" });
    bob.subscribe([MessageType.JSON], () => {});
    await hub.clock.advance(1000);
    expect(told).toContain("message progress");
    expect(told).toContain("progress progress");
    expect(told).toContain("ack ack");
    expect(told.filter((one) => /system|heartbeat/.test(one))).toEqual([]);
  });

  test("that are lost are told by a gap", async () => {
    const sdk = await connected({ topics: ["news"] });
    const gaps: string[] = [];
    sdk.on("gap", ({ reason }) => gaps.push(reason));
    hub.cut();
    hub.restart("lost");
    await hub.clock.advance(10_000);
    expect(gaps).toEqual(["unknown_epoch"]);
  });

  test("replaced is told, and ends the connection", async () => {
    const first = await connected({ exclusive: true });
    const replaced: string[] = [];
    first.on("replaced", ({ code }) => replaced.push(code));
    const second = await connected({ exclusive: true });
    await hub.clock.advance(60_000);
    expect(replaced).toEqual(["replaced"]);
    expect(first.getConnectionState()).toBe("disconnected");
    expect(second.isConnected()).toBe(true);
  });
});

describe("the iterator of messages", () => {
  test("gives them one by one, and counts one as handled when the next is asked for", async () => {
    const sdk = await connected();
    const messages = sdk.messages<number>({ types: [MessageType.JSON] });
    for (const payload of [1, 2, 3]) {
      hub.publish({ source: "bob", target: "alice", payload });
    }
    expect((await messages.next()).value?.payload).toBe(1);
    await hub.clock.advance(1000);
    expect(hub.acked("alice")).toBeUndefined();
    expect((await messages.next()).value?.payload).toBe(2);
    await hub.clock.advance(1000);
    expect(hub.acked("alice")).toBeDefined();
    expect((await messages.next()).value?.payload).toBe(3);
  });

  test("ends with break, with its signal and with dispose, and leaves no subscription", async () => {
    const sdk = await connected();
    const controller = new AbortController();
    const aborted = sdk.messages({ signal: controller.signal }).next();
    const disposed = sdk.messages().next();
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    for await (const { payload } of sdk.messages()) {
      expect(payload).toBe(1);
      break;
    }
    await Promise.all([aborted, disposed]);
    const waiting = sdk.messages().next();
    expect(sdk.getStats().dispatcher.subscriberCount).toBe(3);
    controller.abort();
    expect(sdk.getStats().dispatcher.subscriberCount).toBe(2);
    sdk.dispose();
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(await sdk.messages({ signal: AbortSignal.abort() }).next()).toMatchObject({ done: true });
  });

  test("throws when the connection has come to an end for good", async () => {
    const sdk = await connected();
    const next = expect(sdk.messages().next()).rejects.toMatchObject({ code: "kicked" });
    hub.disconnect("kicked");
    await next;
  });
});

describe("sending", () => {
  test("text, JSON and commands arrive as such, with what was asked for", async () => {
    const sdk = await connected();
    await sdk.sendText("hi", { target: "bob", metadata: { a: 1 } });
    await sdk.sendJSON({ n: 1 }, { topic: "news", ttl: 5000, priority: MessagePriority.LOW });
    const id = await sdk.sendCommand(CommandAction.EXECUTE, { x: 1 }, { target: "bob", requireAck: true });
    expect(hub.received).toMatchObject([
      {
        type: "text",
        source: "alice",
        target: "bob",
        payload: { content: "hi" },
        metadata: { a: 1 },
        priority: 1,
      },
      { type: "json", topic: "news", payload: { n: 1 }, ttl: 5000, priority: 0 },
      {
        type: "command",
        target: "bob",
        priority: 2,
        payload: { commandId: id, action: "execute", params: { x: 1 }, requireAck: true },
      },
    ]);
  });

  test("defect 15: a command of priority LOW stays one", async () => {
    const sdk = await connected();
    await sdk.sendCommand(CommandAction.EXECUTE, {}, { target: "bob", priority: MessagePriority.LOW });
    expect(hub.received[0]?.priority).toBe(0);
  });

  test("defect 18: ids are UUIDs that sort by time, no two of them the same", async () => {
    const ids = new Set<string>();
    const sdk = await connected();
    await Promise.all(Array.from({ length: 1000 }, (_, i) => sdk.sendJSON(i, { target: "bob" })));
    for (const { id } of hub.received) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      ids.add(id);
    }
    expect(ids.size).toBe(1000);
  });

  test("defect 3: takes callbacks, and a failure that they are told of is no unhandled rejection", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on("unhandledRejection", listen);
    const sdk = await connected();
    hub.failRequests({ status: 403, code: "forbidden" }, { path: "/api/messages" });
    const told: string[] = [];
    sdk.sendText("no", { callback: { onError: ({ message }) => told.push(message) } });
    await hub.clock.advance(0);
    sdk.send({ payload: 1 }, { callback: { onSuccess: ({ payload }) => told.push(`${payload} arrived`) } });
    await hub.clock.advance(0);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(told).toHaveLength(2);
    expect(told[1]).toBe("1 arrived");
    expect(unhandled).toEqual([]);
  });

  test("revives a connection that gave up", async () => {
    hub.offline();
    const sdk = client({ maxReconnectAttempts: 0 });
    await hub.clock.advance(1000);
    expect(sdk.getConnectionState()).toBe("error");
    hub.online();
    await sdk.sendText("hi", { target: "bob" });
    expect(sdk.isConnected()).toBe(true);
  });

  test("to a full queue is told", async () => {
    const sdk = client({ autoConnect: false, messageQueueSize: 1 });
    const lost: unknown[] = [];
    sdk.on("queueOverflow", ({ payload }) => lost.push(payload));
    sdk.sendJSON(1, { target: "bob" }).catch(() => {});
    await expect(sdk.sendJSON(2, { target: "bob" })).rejects.toMatchObject({ code: "queue_full" });
    sdk.sendJSON(3, { target: "bob", priority: MessagePriority.HIGH }).catch(() => {});
    expect(lost).toEqual([2, 1]);
  });
});

describe("topics", () => {
  test("that are added and removed reach the live connection, and the next one", async () => {
    const sdk = await connected();
    const payloads = collect(sdk);
    await sdk.subscribeTopic("orders/+/new items");
    hub.publish({ source: "bob", topic: "orders/eu/new items", payload: 1 });
    await hub.clock.advance(0);
    hub.cut();
    hub.publish({ source: "bob", topic: "orders/us/new items", payload: 2 });
    await hub.clock.advance(10_000);
    await sdk.unsubscribeTopic("orders/+/new items");
    hub.publish({ source: "bob", topic: "orders/eu/new items", payload: 3 });
    await hub.clock.advance(1000);
    expect(payloads).toEqual([1, 2]);
    expect(sdk.getTopics()).toEqual([]);
  });

  test("that are added while a stream is being asked for are told to it once it is there", async () => {
    const sdk = client();
    const payloads = collect(sdk);
    await sdk.subscribeTopic("early");
    await sdk.ready();
    await hub.clock.advance(0);
    hub.publish({ source: "bob", topic: "early", payload: 1 });
    await hub.clock.advance(0);
    expect(payloads).toEqual([1]);
  });

  test("whose telling gets lost come with a new stream", async () => {
    const sdk = await connected();
    const payloads = collect(sdk);
    hub.failRequests("unreachable", { path: "/api/connections" });
    await sdk.subscribeTopic("news");
    await hub.clock.advance(10_000);
    hub.publish({ source: "bob", topic: "news", payload: 1 });
    await hub.clock.advance(0);
    expect(payloads).toEqual([1]);
  });

  test("that the hub refuses are not kept", async () => {
    const sdk = await connected();
    hub.failRequests({ status: 403, code: "forbidden" }, { path: "/api/connections" });
    await expect(sdk.subscribeTopic("secret")).rejects.toMatchObject({ code: "forbidden" });
    expect(sdk.getTopics()).toEqual([]);
  });
});

describe("default handlers", () => {
  test("run for messages, after the subscriptions, and for the connection", async () => {
    const told: string[] = [];
    const sdk = client();
    sdk.setDefaultHandlers({
      [MessageType.JSON]: () => {
        told.push("default");
      },
      onConnect: () => told.push("connect"),
      onDisconnect: (reason) => told.push(`disconnect ${reason}`),
      onReconnecting: (attempt, max) => told.push(`reconnecting ${attempt}/${max}`),
      onStateChange: (state) => told.push(state),
      onError: (error) => told.push(`error ${(error as Error & { code: string }).code}`),
    });
    sdk.subscribe([MessageType.JSON], () => {
      told.push("subscription");
    });
    await sdk.ready();
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    await hub.clock.advance(0);
    hub.cut();
    await hub.clock.advance(0);
    sdk.disconnect("enough");
    expect(told).toEqual([
      "connected",
      "connect",
      "subscription",
      "default",
      "reconnecting",
      "disconnect network",
      "error network",
      "reconnecting 1/10",
      "disconnected",
    ]);
  });

  test("that throw, and listeners that throw, disturb nobody else", async () => {
    const sdk = client();
    const bad = (): never => {
      throw new Error("bad");
    };
    const errors: string[] = [];
    sdk.setDefaultHandlers({ onConnect: bad, onStateChange: bad, [MessageType.JSON]: bad });
    sdk.on("message", bad);
    sdk.on("connected", async () => bad());
    sdk.onError(({ message }) => {
      errors.push(message);
    });
    const payloads = collect(sdk);
    await sdk.ready();
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    hub.publish({ source: "bob", target: "alice", payload: 2 });
    await hub.clock.advance(60_000);
    expect(payloads).toEqual([1, 2]);
    expect(errors).toHaveLength(2);
    expect(sdk.isConnected()).toBe(true);
  });
});

describe("dispose", () => {
  test("defect 16: rejects what waits, and leaves no timer, no listener and no stream, however often it is called", async () => {
    const sdk = await connected();
    collect(sdk);
    hub.failRequests("unanswered", { path: "/api/messages" });
    const sent = expect(sdk.sendText("hi", { target: "bob" })).rejects.toMatchObject({ code: "disposed" });
    const queued = expect(sdk.sendText("later", { target: "bob" })).rejects.toMatchObject({
      code: "disposed",
    });
    await hub.clock.advance(100);
    sdk.dispose();
    sdk.dispose();
    await Promise.all([sent, queued]);
    await hub.clock.advance(0);
    expect(hub.clock.timers()).toBe(0);
    expect(page.listeners()).toBe(0);
    expect(hub.streams()).toHaveLength(0);
    await expect(sdk.sendText("too late")).rejects.toMatchObject({ code: "disposed" });
  });

  test("sends the acks that are due", async () => {
    const sdk = await connected();
    collect(sdk);
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    await hub.clock.advance(0);
    sdk.dispose();
    await hub.clock.advance(0);
    expect(hub.acked("alice")).toBeDefined();
    expect(hub.clock.timers()).toBe(0);
  });

  test("and connect() in one turn, as a component that is mounted twice does, end connected", async () => {
    const sdk = client();
    sdk.dispose();
    const payloads = collect(sdk);
    await sdk.connect();
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    await sdk.sendText("hi", { target: "bob" });
    await hub.clock.advance(0);
    expect(payloads).toEqual([1]);
    expect(hub.streams()).toHaveLength(1);
  });
});

test("defect 17: nothing is written to the console unless debug is set", async () => {
  const written: unknown[] = [];
  const methods = ["debug", "info", "log", "warn", "error"] as const;
  const saved = methods.map((method) => console[method]);
  for (const method of methods) {
    console[method] = (...entry: unknown[]) => {
      written.push(entry);
    };
  }
  try {
    const sdk = await connected();
    sdk.subscribe([MessageType.JSON], () => {
      throw new Error("bad");
    });
    hub.publish({ source: "bob", target: "alice", payload: 1 });
    hub.cut();
    await hub.clock.advance(60_000);
    sdk.dispose();
  } finally {
    methods.forEach((method, i) => {
      console[method] = saved[i] as typeof console.log;
    });
  }
  expect(written).toEqual([]);
});

test("a command's handle gives its progress and its result", async () => {
  hub.onTask("report", (task) => {
    task.progress(50);
    task.complete({ rows: 3 });
  });
  const sdk = await connected();
  const handle = sdk.command<{ rows: number }>("report", { year: 2026 });
  const steps: number[] = [];
  for await (const { progress } of handle.progress()) {
    steps.push(progress);
  }
  expect(steps).toEqual([50]);
  expect(await handle.result).toEqual({ rows: 3 });
  const other = sdk.command("never");
  sdk.dispose();
  await expect(other.result).rejects.toMatchObject({ code: "disposed" });
});

test("acks that are due go out when the page is hidden", async () => {
  const sdk = await connected();
  collect(sdk);
  hub.publish({ source: "bob", target: "alice", payload: 1 });
  await hub.clock.advance(0);
  expect(hub.acked("alice")).toBeUndefined();
  page.hide();
  await hub.clock.advance(0);
  expect(hub.acked("alice")).toBeDefined();
});

test("a store brings back the outbox and the cursor", async () => {
  const store = memoryStore();
  const first = client({ autoConnect: false, store });
  first.sendText("kept", { target: "bob" }).catch(() => {});
  await hub.clock.advance(0);
  first.dispose();
  const second = await connected({ store });
  await hub.clock.advance(0);
  expect(hub.received.map(({ payload }) => payload)).toEqual([{ content: "kept" }]);
  const payloads = collect(second);
  hub.publish({ source: "bob", payload: 1 });
  await hub.clock.advance(1000);
  second.dispose();
  hub.publish({ source: "bob", payload: 2 });
  const third = client({ store });
  const more = collect(third);
  await hub.clock.advance(1000);
  expect([payloads, more]).toEqual([[1], [2]]);
});

test("a store that fails, at once or later, keeps nobody from connecting and sending", async () => {
  for (const load of [
    () => Promise.reject(new Error("no database")),
    () => {
      throw new Error("no database");
    },
  ]) {
    const sdk = await connected({ store: { ...memoryStore(), load } });
    await sdk.sendText("hi", { target: "bob" });
    sdk.dispose();
  }
  expect(hub.received).toHaveLength(2);
});

test("statistics and history are those of the parts", async () => {
  const sdk = await connected();
  collect(sdk);
  hub.publish({ source: "bob", target: "alice", payload: 1 });
  await sdk.sendText("hi", { target: "bob" });
  await hub.clock.advance(0);
  expect(sdk.getMessageHistory(MessageType.JSON).map(({ payload }: Message) => payload)).toEqual([1]);
  expect(sdk.getStats()).toMatchObject({
    connection: { state: "connected", isConnected: true },
    queue: { totalEnqueued: 1, totalProcessed: 1, queueSize: 0 },
    dispatcher: { subscriberCount: 1 },
  });
});

function memoryStore(): NonNullable<SSKSConfig["store"]> {
  const items = new Map<string, Parameters<NonNullable<SSKSConfig["store"]>["put"]>[0]>();
  let cursor: string | undefined;
  return {
    load: async () => ({ outbox: [...items.values()], cursor }),
    put: async (item) => {
      items.set(item.id, item);
    },
    remove: async (id) => {
      items.delete(id);
    },
    setCursor: async (next) => {
      cursor = next;
    },
    close: async () => {},
  };
}

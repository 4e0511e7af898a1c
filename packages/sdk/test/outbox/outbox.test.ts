import { expect, test } from "vitest";
import type { HubError } from "../../src/errors.ts";
import { createApi } from "../../src/http/api.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { createOutbox, type Outbox } from "../../src/outbox/outbox.ts";
import { MessageQueueManager } from "../../src/outbox/queue.ts";
import type { Persistence, StoredItem } from "../../src/store/index.ts";
import { type Message, MessagePriority, MessageType, type SendOptions } from "../../src/types.ts";
import {
  broken,
  type FakeEnv,
  type FakeRequest,
  fakeEnv,
  json,
  never,
  problem,
} from "../support/fake-env.ts";

const { LOW, NORMAL, HIGH, CRITICAL } = MessagePriority;

interface Fixture {
  env: FakeEnv;
  outbox: Outbox;
  queue: MessageQueueManager;
  /** What each message that was sent came to, in the order in which it became known. */
  outcomes: string[];
  send(id: string, options?: SendOptions, more?: Partial<Message>): void;
}

function fixture(
  options: { size?: number; online?: boolean; store?: Persistence; respond?: typeof accept } = {},
): Fixture {
  const { size = 100, online = true, store, respond = accept } = options;
  const env = fakeEnv(respond);
  const queue = new MessageQueueManager(size, env);
  const api = createApi(env, createCredentials(), "https://hub.test/", 10_000);
  const outbox = createOutbox(env, api, queue, { clientId: "alice", messageQueueSize: size, store });
  if (online) {
    outbox.setOnline(true);
  }
  const outcomes: string[] = [];
  return {
    env,
    outbox,
    queue,
    outcomes,
    send(id, sendOptions, more) {
      outbox.send({ ...message(id), ...more }, sendOptions).then(
        () => outcomes.push(`${id} ok`),
        (error) => outcomes.push(`${id} ${error?.code ?? error}`),
      );
    },
  };
}

function message(id: string): Message {
  return { id, type: MessageType.JSON, priority: NORMAL, timestamp: 1, source: "alice", payload: id };
}

function sent(request: FakeRequest): Message[] {
  const body = JSON.parse(request.body ?? "null");
  return Array.isArray(body) ? body : [body];
}

function ids(env: FakeEnv): string[][] {
  return env.requests.map((request) => sent(request).map(({ id }) => id));
}

function accept(request: FakeRequest): Response | Promise<Response> {
  const results = sent(request).map(({ id }) => ({ success: true, messageId: id }));
  return json(request.body?.startsWith("[") ? { success: true, results } : results[0]);
}

test("defect 1: 1,000 sends in a row through a queue of 100 succeed", async () => {
  const { env, outcomes, outbox, queue } = fixture();
  for (let i = 0; i < 1000; i++) {
    await outbox.send(message(`m${i}`));
  }
  expect(queue.getStats()).toMatchObject({ totalProcessed: 1000, totalFailed: 0, queueSize: 0 });
  expect(ids(env).flat()).toEqual(Array.from({ length: 1000 }, (_, i) => `m${i}`));
  expect(outcomes).toEqual([]);
});

test("1,000 sends at once while connected succeed too, in their order and in few requests", async () => {
  const { env, send, outcomes } = fixture();
  for (let i = 0; i < 1000; i++) {
    send(`m${i}`);
  }
  await env.settle();
  expect(outcomes).toEqual(Array.from({ length: 1000 }, (_, i) => `m${i} ok`));
  expect(ids(env).flat()).toEqual(Array.from({ length: 1000 }, (_, i) => `m${i}`));
  expect(env.requests).toHaveLength(10);
});

test("1,000 sends while offline keep the highest priorities and report the rest", async () => {
  const { env, send, outcomes, outbox, queue } = fixture({ online: false });
  for (let i = 0; i < 1000; i++) {
    send(`m${i}`, { priority: i % 10 === 0 ? HIGH : i % 2 ? LOW : NORMAL });
  }
  await env.settle();
  expect(queue.size()).toBe(100);
  expect(outcomes).toHaveLength(900);
  expect(new Set(outcomes.map((outcome) => outcome.split(" ")[1]))).toEqual(
    new Set(["evicted", "queue_full"]),
  );
  expect(env.requests).toHaveLength(0);
  outbox.setOnline(true);
  await env.settle();
  expect(ids(env).flat()).toEqual(Array.from({ length: 100 }, (_, i) => `m${i * 10}`));
  expect(outcomes.slice(900)).toEqual(Array.from({ length: 100 }, (_, i) => `m${i * 10} ok`));
});

test("one request is in flight at a time, and what came meanwhile goes in the order of its priority", async () => {
  const answers: (() => void)[] = [];
  const { env, send } = fixture({
    respond: (request) => new Promise((resolve) => answers.push(() => resolve(accept(request)))),
  });
  send("a");
  await env.settle();
  send("b", { priority: LOW });
  send("c");
  send("d", { priority: CRITICAL });
  await env.settle();
  expect(ids(env)).toEqual([["a"]]);
  answers.shift()?.();
  await env.settle();
  expect(ids(env)).toEqual([["a"], ["d", "c", "b"]]);
});

test("a request whose outcome is unknown is repeated with the same bytes before anything later", async () => {
  const { env, send, outcomes } = fixture({ respond: broken });
  send("a");
  send("b");
  await env.settle();
  send("urgent", { priority: CRITICAL });
  await env.advance(1000);
  await env.advance(1999);
  expect(env.requests).toHaveLength(2);
  await env.advance(1);
  env.respond = accept;
  await env.advance(5000);
  expect(ids(env)).toEqual([["a", "b"], ["a", "b"], ["a", "b"], ["a", "b"], ["urgent"]]);
  expect(new Set(env.requests.slice(0, 4).map((request) => request.body)).size).toBe(1);
  expect(outcomes).toEqual(["a ok", "b ok", "urgent ok"]);
  expect(env.timers()).toBe(0);
});

test("a message is sent as it was when it was handed over", async () => {
  const { env, outbox } = fixture({ online: false });
  const given = { ...message("a"), payload: { n: 1 } };
  void outbox.send(given);
  given.payload.n = 2;
  outbox.setOnline(true);
  await env.settle();
  expect(env.requests.flatMap(sent)[0]?.payload).toEqual({ n: 1 });
});

test("defect 18: what is missing is filled in, with ids that sort by time and cannot collide", async () => {
  const { env, outbox } = fixture();
  for (let i = 0; i < 100; i++) {
    void outbox.send({ type: MessageType.TEXT, payload: { content: "x" } } as Message);
  }
  await env.settle();
  const all = env.requests.flatMap(sent);
  expect(new Set(all.map(({ id }) => id)).size).toBe(100);
  expect(all[0]).toMatchObject({
    id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    source: "alice",
    priority: NORMAL,
    timestamp: env.now(),
  });
});

test("defect 3: callbacks of send hear of success, refusal and timeout", async () => {
  const { env, outbox } = fixture({
    respond: (request) => (sent(request)[0]?.id === "bad" ? problem(403, "forbidden") : accept(request)),
  });
  const told: string[] = [];
  const callback = {
    onSuccess: ({ id }: Message) => told.push(`success ${id}`),
    onError: (error: Error, { id }: Message) => told.push(`error ${id} ${(error as HubError).code}`),
    onTimeout: ({ id }: Message) => told.push(`timeout ${id}`),
  };
  void outbox.send(message("good"), { callback });
  await env.settle();
  void outbox.send(message("bad"), { callback });
  await env.settle();
  outbox.setOnline(false);
  void outbox.send(message("late"), { callback, timeout: 5000 });
  await env.advance(4999);
  expect(told).toEqual(["success good", "error bad forbidden"]);
  await env.advance(1);
  expect(told).toEqual(["success good", "error bad forbidden", "timeout late"]);
  outbox.setOnline(true);
  await env.settle();
  expect(ids(env)).toEqual([["good"], ["bad"]]);
});

test("a message that is aborted or timed out while its request is repeated is not sent again", async () => {
  const { env, send, outcomes } = fixture({ respond: broken });
  const abort = new AbortController();
  send("a", { signal: abort.signal });
  send("b", { timeout: 2000 });
  send("c");
  await env.settle();
  abort.abort("changed my mind");
  await env.advance(1000);
  await env.advance(1500);
  env.respond = accept;
  await env.advance(2000);
  expect(ids(env)).toEqual([["a", "b", "c"], ["b", "c"], ["c"]]);
  expect(outcomes).toEqual(["a changed my mind", "b timeout", "c ok"]);
  expect(env.timers()).toBe(0);
});

test("a signal that has aborted sends nothing", async () => {
  const { env, send, outcomes } = fixture();
  send("a", { signal: AbortSignal.abort("before") });
  await env.settle();
  expect([outcomes, env.requests]).toEqual([["a before"], []]);
});

test("a refused message fails alone, with its own error, and the others of its batch go", async () => {
  const { env, send, outbox, outcomes } = fixture({
    online: false,
    respond: (request) => {
      const all = sent(request);
      if (all.every(({ id }) => id !== "bad")) {
        return accept(request);
      }
      return problem(400, "invalid_field", { field: all.length > 1 ? "[2].topic" : "topic" });
    },
  });
  const fields: unknown[] = [];
  const callback = { onError: (error: Error) => fields.push((error as HubError).field) };
  for (const id of ["a", "b", "bad", "c", "d"]) {
    send(id, { callback });
  }
  outbox.setOnline(true);
  await env.settle();
  expect(outcomes).toEqual(["a ok", "b ok", "bad invalid_field", "c ok", "d ok"]);
  expect(fields).toEqual(["topic"]);
});

test("a wait that the hub asks for is kept, also over a reconnect, and spread", async () => {
  const { env, send, outbox, outcomes } = fixture({
    respond: () => problem(503, "overloaded", { retryAfterMs: 8000 }),
  });
  send("a");
  await env.settle();
  env.respond = accept;
  outbox.setOnline(false);
  outbox.setOnline(true);
  await env.advance(9999);
  expect(env.requests).toHaveLength(1);
  await env.advance(1);
  expect(outcomes).toEqual(["a ok"]);
});

test("a new connection ends the wait after a broken one", async () => {
  const { env, send, outbox, outcomes } = fixture({ respond: broken });
  send("a");
  await env.advance(20_000);
  env.respond = accept;
  outbox.setOnline(false);
  await env.settle();
  expect(env.timers()).toBe(0);
  outbox.setOnline(true);
  await env.settle();
  expect(outcomes).toEqual(["a ok"]);
});

test("a message outlives an hour without a hub", async () => {
  const { env, send, outcomes } = fixture({ respond: broken });
  send("a");
  await env.advance(3_600_000);
  expect(outcomes).toEqual([]);
  env.respond = accept;
  await env.advance(30_000);
  expect(outcomes).toEqual(["a ok"]);
  expect(env.requests[0]?.path).toBe("/api/messages");
  expect(env.requests.at(-1)?.path).toBe("/api/messages?resend=1");
});

test("the hub is asked to search only for what is older than its idempotency window", async () => {
  const { env, send, outbox } = fixture({ respond: broken });
  outbox.idempotencyWindow = 20_000;
  send("a");
  await env.advance(40_000);
  expect(env.requests.map((request) => request.path.split("?")[1])).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    "resend=1",
  ]);
});

test("messages wait for other credentials, because it was not they who were refused", async () => {
  const { env, send, outcomes } = fixture({ respond: () => problem(401, "token_expired") });
  send("a");
  await env.settle();
  expect(outcomes).toEqual([]);
  env.respond = accept;
  await env.advance(1000);
  expect(outcomes).toEqual(["a ok"]);
});

test("a message that meets a defect of the hub each time fails in the end and lets the others go", async () => {
  const { env, send, outcomes } = fixture({
    respond: (request) =>
      sent(request).some(({ id }) => id === "bad") ? problem(500, "internal") : accept(request),
  });
  for (const id of ["a", "bad", "b"]) {
    send(id);
  }
  await env.advance(120_000);
  expect(outcomes).toEqual(["a ok", "bad internal", "b ok"]);
});

test("an answer that is not a hub's, like a login page, is no acceptance", async () => {
  const { env, send, outcomes } = fixture({ respond: () => new Response("<html>Welcome", { status: 200 }) });
  send("a");
  await env.settle();
  expect(outcomes).toEqual([]);
  env.respond = () => Response.redirect("https://portal.test/login");
  await env.advance(1000);
  expect(outcomes).toEqual([]);
  env.respond = accept;
  await env.advance(2000);
  expect(outcomes).toEqual(["a ok"]);
});

test("commands go one by one to their route, those with a topic as messages", async () => {
  const { env, send } = fixture();
  const type = MessageType.COMMAND;
  send("a");
  send("c1", {}, { type, target: "bob" });
  send("c2", {}, { type });
  send("b");
  send("c3", {}, { type, topic: "jobs" });
  await env.settle();
  expect(
    env.requests.map((request) => [
      request.path,
      sent(request)
        .map(({ id }) => id)
        .join(),
    ]),
  ).toEqual([
    ["/api/messages", "a"],
    ["/api/commands", "c1"],
    ["/api/commands", "c2"],
    ["/api/messages", "b,c3"],
  ]);
});

test("a request stays below the hub's limits on messages and bytes", async () => {
  const { env, send } = fixture({ online: true });
  const payload = "ü".repeat(120_000);
  for (let i = 0; i < 5; i++) {
    send(`m${i}`, {}, { payload });
  }
  await env.settle();
  expect(ids(env)).toEqual([["m0", "m1"], ["m2", "m3"], ["m4"]]);
  expect(Math.max(...env.requests.map(({ body = "" }) => Buffer.byteLength(body)))).toBeLessThan(1_048_576);
});

test("an id that waits already, and a payload that is no JSON, is refused at once", async () => {
  const { env, send, outcomes } = fixture({ respond: () => never() });
  send("a");
  send("a");
  send("b", {}, { payload: 1n });
  await env.settle();
  expect(outcomes).toEqual(["a id_conflict", expect.stringMatching("BigInt")]);
});

test("defect 16: dispose rejects what waits and what is on its way, and leaves no timer", async () => {
  const { env, send, outbox, outcomes } = fixture({ respond: () => never() });
  send("a", { timeout: 9000 });
  await env.settle();
  send("b", { timeout: 9000 });
  outbox.dispose();
  outbox.dispose();
  send("c");
  await env.settle();
  expect(outcomes.sort()).toEqual(["a disposed", "b disposed", "c disposed"]);
  expect(env.timers()).toBe(0);
  expect(env.requests[0]?.signal.aborted).toBe(true);

  const waiting = fixture({ respond: () => problem(503, "overloaded", { retryAfterMs: 60_000 }) });
  waiting.send("d");
  await waiting.env.settle();
  waiting.outbox.dispose();
  await waiting.env.settle();
  expect(waiting.env.timers()).toBe(0);
});

function memory(failing = false): Persistence & { items: Map<string, StoredItem> } {
  const items = new Map<string, StoredItem>();
  const change = async (run: () => void): Promise<void> => {
    if (failing) {
      throw new Error("private mode");
    }
    run();
  };
  return {
    items,
    load: async () => ({ outbox: [...items.values()] }),
    put: (item) => change(() => items.set(item.id, item)),
    remove: (id) => change(() => items.delete(id)),
    setCursor: async () => {},
    close: async () => {},
  };
}

test("a persisted outbox goes out after a reload: first, in its order, with the same bytes", async () => {
  const store = memory();
  const before = fixture({ store, online: false });
  before.send("a");
  before.send("b", { priority: HIGH });
  before.send("c");
  await before.env.settle();
  before.outbox.dispose();
  await before.env.settle();
  expect([...store.items.keys()]).toEqual(["a", "b", "c"]);
  const bodies = [...store.items.values()].map(({ body }) => body);

  const after = fixture({ store, online: false });
  after.send("d");
  after.outbox.restore((await store.load()).outbox.filter(({ id }) => id !== "d"));
  after.outbox.setOnline(true);
  await after.env.settle();
  expect(ids(after.env)).toEqual([["b", "a", "c", "d"]]);
  const [a, b, c] = bodies;
  expect(after.env.requests[0]?.body?.startsWith(`[${[b, a, c]},`)).toBe(true);
  expect(store.items.size).toBe(0);
});

test("a refused or evicted message leaves the store, too", async () => {
  const store = memory();
  const { env, send, outbox } = fixture({
    store,
    online: false,
    size: 1,
    respond: () => problem(403, "forbidden"),
  });
  send("low", { priority: LOW });
  send("high", { priority: HIGH });
  send("full", { priority: LOW });
  await env.settle();
  expect([...store.items.keys()]).toEqual(["high"]);
  outbox.setOnline(true);
  await env.settle();
  expect(store.items.size).toBe(0);
});

test("a store that fails costs persistence and no message", async () => {
  const { env, send, outcomes } = fixture({ store: memory(true) });
  send("a");
  await env.settle();
  expect(outcomes).toEqual(["a ok"]);
});

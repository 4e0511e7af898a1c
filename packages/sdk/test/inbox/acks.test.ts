import { expect, test } from "vitest";
import { createApi } from "../../src/http/api.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { type Acks, createAcks } from "../../src/inbox/acks.ts";
import type { Persistence } from "../../src/store/index.ts";
import {
  broken,
  type FakeEnv,
  type FakeRequest,
  fakeEnv,
  json,
  never,
  problem,
} from "../support/fake-env.ts";

function fixture(store?: Persistence): { env: FakeEnv; acks: Acks } {
  const env = fakeEnv(() => json({ success: true, applied: true }));
  const api = createApi(env, createCredentials(), "https://hub.test/", 10_000);
  return { env, acks: createAcks(env, api, { clientId: "alice", device: "phone", store }) };
}

function bodies(env: FakeEnv): Record<string, unknown>[] {
  return env.requests.map(({ body }: FakeRequest) => JSON.parse(body ?? ""));
}

const id = (n: number): { source: string; id: string } => ({ source: "bob", id: `m${n}` });

test("acks of 50 ms go as one, with the newest cursor and where reading began", async () => {
  const { env, acks } = fixture();
  acks.from = "e-1";
  acks.advance("e-5", true);
  acks.message(id(1));
  acks.advance("e-7", true);
  acks.message(id(2));
  acks.message(id(1));
  await env.advance(49);
  expect(env.requests).toHaveLength(0);
  await env.advance(1);
  expect(env.requests[0]?.path).toBe("/api/acks");
  expect(bodies(env)).toEqual([
    { clientId: "alice", device: "phone", cursor: "e-7", from: "e-1", messages: [id(1), id(2)] },
  ]);
  await env.advance(1000);
  expect(env.requests).toHaveLength(1);
  expect(env.timers()).toBe(0);
});

test("32 acks do not wait", async () => {
  const { env, acks } = fixture();
  for (let n = 1; n <= 32; n++) {
    acks.advance(`e-${n}`, true);
  }
  await env.settle();
  expect(bodies(env)).toMatchObject([{ cursor: "e-32" }]);
  expect(env.timers()).toBe(0);
});

test("topics and heartbeats alone are not acknowledged, because only the mailbox has a stored cursor", async () => {
  const { env, acks } = fixture();
  for (let n = 1; n <= 100; n++) {
    acks.advance(`e-${n}`, false);
  }
  await env.advance(1000);
  expect(env.requests).toHaveLength(0);
});

test("one request is on its way at a time, and what came meanwhile follows it", async () => {
  const { env, acks } = fixture();
  let answer = (_: Response): void => {};
  env.respond = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  acks.advance("e-1", true);
  await env.advance(50);
  for (let n = 2; n <= 100; n++) {
    acks.advance(`e-${n}`, true);
  }
  await env.advance(1000);
  expect(env.requests).toHaveLength(1);
  answer(json({ success: true, applied: true }));
  await env.advance(50);
  expect(bodies(env).map(({ cursor }) => cursor)).toEqual(["e-1", "e-100"]);
});

test("what failed is sent again after 1, 2, 5 s, or when the hub says, with what came since", async () => {
  const { env, acks } = fixture();
  env.respond = broken;
  acks.advance("e-1", true);
  acks.message(id(1));
  await env.advance(50);
  acks.message(id(2));
  await env.advance(999);
  expect(env.requests).toHaveLength(1);
  env.respond = () => problem(503, "overloaded", { retryAfterMs: 4000 });
  await env.advance(1);
  for (let n = 3; n < 100; n++) {
    acks.message(id(n));
  }
  await env.advance(4999);
  expect(env.requests).toHaveLength(2);
  env.respond = () => json({ success: true, applied: true });
  await env.advance(1);
  expect(bodies(env)[2]).toMatchObject({
    cursor: "e-1",
    messages: Array.from({ length: 99 }, (_, n) => id(n + 1)),
  });
  await env.advance(60_000);
  expect(env.requests).toHaveLength(3);
});

test("a cursor that the hub calls invalid is given up, the messages beside it are not", async () => {
  const { env, acks } = fixture();
  env.respond = () => problem(400, "invalid_cursor");
  acks.advance("nonsense", true);
  acks.message(id(1));
  await env.advance(50);
  env.respond = () => json({ success: true, applied: true });
  await env.advance(50);
  expect(bodies(env)[1]).toEqual({ clientId: "alice", device: "phone", messages: [id(1)] });
  await env.advance(60_000);
  expect(env.requests).toHaveLength(2);
});

test("acks that the hub refuses for good are not repeated", async () => {
  const { env, acks } = fixture();
  env.respond = () => problem(403, "forbidden");
  acks.advance("e-1", true);
  acks.message(id(1));
  await env.advance(60_000);
  expect(env.requests).toHaveLength(1);
});

test("a flush for the end of a page goes at once, outlives it, and repeats what is on its way", async () => {
  const { env, acks } = fixture();
  env.respond = () => never();
  acks.advance("e-1", true);
  await env.advance(50);
  acks.message(id(1));
  void acks.flush(true);
  await env.settle();
  expect(env.requests.map(({ keepalive }) => keepalive)).toEqual([false, true]);
  expect(bodies(env)[1]).toMatchObject({ cursor: "e-1", messages: [id(1)] });
});

test("no request has more than 60 KiB, whatever the ids are made of", async () => {
  for (const letter of ["a", "\u00fc", "\u20ac", '"', "\\"]) {
    const { env, acks } = fixture();
    for (let n = 0; n < 1000; n++) {
      acks.message({ source: letter.repeat(85), id: `${n}${letter.repeat(80)}` });
    }
    await acks.flush(true);
    await env.advance(60_000);
    const sizes = env.requests.map(({ body }) => Buffer.byteLength(body ?? ""));
    expect(Math.max(...sizes)).toBeLessThan(60 * 1024);
    const acked = bodies(env).flatMap(({ messages }) => messages as object[]);
    expect(new Set(acked.map((ref) => JSON.stringify(ref))).size).toBe(1000);
  }
});

test("acks that wait while the hub is away have a bound, and the oldest go first", async () => {
  const { env, acks } = fixture();
  env.respond = broken;
  for (let n = 0; n < 10_000; n++) {
    acks.message(id(n));
  }
  await env.settle();
  env.respond = () => json({ success: true, applied: true });
  await env.advance(120_000);
  const acked = new Set(
    bodies(env)
      .slice(1)
      .flatMap(({ messages }) => (messages as { id: string }[]).map((ref) => ref.id)),
  );
  expect([acked.size, acked.has("m1807"), acked.has("m1808"), acked.has("m9999")]).toEqual([
    8192,
    false,
    true,
    true,
  ]);
});

test("the settled cursor is persisted, also when no ack is due, and a store that fails changes nothing", async () => {
  const cursors: string[] = [];
  const store = {
    setCursor: async (cursor: string) => {
      cursors.push(cursor);
      throw new Error("private mode");
    },
  } as unknown as Persistence;
  const { env, acks } = fixture(store);
  acks.advance("e-1", false);
  acks.advance("e-2", false);
  await env.advance(50);
  expect([cursors, env.requests]).toEqual([["e-2"], []]);
  acks.advance("e-3", true);
  await env.advance(50);
  expect(cursors).toEqual(["e-2", "e-3"]);
  expect(bodies(env)).toMatchObject([{ cursor: "e-3" }]);
});

test("defect 16: dispose sends what waits a last time, and leaves no timer", async () => {
  const { env, acks } = fixture();
  acks.advance("e-1", true);
  acks.dispose();
  acks.dispose();
  await env.settle();
  acks.advance("e-2", true);
  await env.settle();
  expect(bodies(env).map(({ cursor }) => cursor)).toEqual(["e-1"]);
  expect(env.requests[0]?.keepalive).toBe(true);
  expect(env.timers()).toBe(0);
});

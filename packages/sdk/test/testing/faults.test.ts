import { afterEach, expect, test } from "vitest";
import { createTestHub, type TestHub } from "../../src/testing/index.ts";
import { Reader } from "../support/reader.ts";

const readers: Reader[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) {
    reader.close();
  }
});

async function listen(hub: TestHub, query = "", init: RequestInit = {}): Promise<Reader> {
  const reader = await Reader.open(hub.fetch, `${hub.url}/sse?v=1&clientId=alice${query}`, init);
  readers.push(reader);
  return reader;
}

/** A reader behind its `connect` event. */
async function connected(hub: TestHub, query = "", init: RequestInit = {}): Promise<Reader> {
  const reader = await listen(hub, query, init);
  expect((await reader.event()).message.payload).toMatchObject({ event: "connect" });
  return reader;
}

/** All bytes of a stream until it ends or breaks. */
async function bytes(hub: TestHub): Promise<{ text: Uint8Array; broke: boolean }> {
  const response = await hub.fetch(`${hub.url}/sse?clientId=alice`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const chunks: number[] = [];
  for (;;) {
    const read = await reader.read().catch(() => undefined);
    if (!read || read.done) {
      return { text: Uint8Array.from(chunks), broke: !read };
    }
    chunks.push(...(read.value as Uint8Array));
  }
}

test("the same script gives the same bytes", async () => {
  const run = async () => {
    const hub = createTestHub();
    hub.publish({ id: "1", target: "alice", payload: "grüße" });
    hub.failStreams({ cutAfter: 600 });
    const { text } = await bytes(hub);
    // Each hub has an epoch of its own.
    return new TextDecoder().decode(text).replaceAll(/[e]+[0-9a-f]+-/g, "epoch-");
  };
  expect(await run()).toBe(await run());
});

test("a stream is cut behind exactly so many bytes, wherever that is", async () => {
  const hub = createTestHub();
  hub.publish({ id: "1", target: "alice", payload: "👋🏽 grüße" });
  const whole = await listen(hub);
  const length = hub.streams()[0]?.pipe.written as number;
  whole.close();
  for (let cutAfter = 0; cutAfter <= length; cutAfter += 1) {
    hub.failStreams({ cutAfter, how: cutAfter % 2 ? "reset" : "end" });
    const { text, broke } = await bytes(hub);
    expect([text.length, broke]).toEqual([cutAfter, cutAfter % 2 === 1]);
  }
  expect(hub.streams()).toEqual([]);
});

test("an open stream is cut in the middle of what comes next", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.cut({ afterBytes: 30 });
  hub.publish({ target: "alice", payload: 1 });
  await expect(reader.next()).rejects.toThrow("terminated");
  const again = await connected(hub);
  expect(await again.payloads(1)).toEqual([1]);
});

test("pieces of a stream are as small as asked for", async () => {
  const hub = createTestHub({ chunkBytes: 1 });
  hub.publish({ target: "alice", payload: "ü" });
  expect(await (await connected(hub)).payloads(1)).toEqual(["ü"]);
});

test("events in small pieces do not get into each other", async () => {
  const hub = createTestHub({ chunkBytes: 1 });
  const reader = await connected(hub);
  const pending = reader.payloads(3);
  await hub.clock.settle();
  hub.reorder();
  for (const payload of ["one", "two", "three"]) {
    hub.publish({ target: "alice", payload });
  }
  expect(await pending).toEqual(["two", "one", "three"]);
});

test("nothing arrives on a stalled stream, and its client gets it all by its cursor", async () => {
  const hub = createTestHub();
  const reader = await connected(hub, "&heartbeat=1000");
  hub.stall();
  hub.publish({ target: "alice", payload: 1 });
  let came = false;
  reader.next().then(
    () => {
      came = true;
    },
    () => {},
  );
  await hub.clock.advance(60_000);
  expect([came, hub.streams().length]).toEqual([false, 1]);
  expect(await (await connected(hub)).payloads(1)).toEqual([1]);
});

test("a duplicate has the same identity and the same cursor", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.duplicate();
  hub.publish({ target: "alice", payload: 1 });
  const [first, second] = [await reader.event(), await reader.event()];
  expect(second).toEqual(first);
});

test("a message that came before its turn is ahead in the cursor and is not lost by a cut", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.reorder();
  hub.publish({ target: "alice", payload: 1 });
  hub.cut({ afterBytes: 300 });
  hub.publish({ target: "alice", payload: 2 });
  const ahead = await reader.event();
  expect([ahead.message.payload, ahead.id]).toEqual([2, expect.stringMatching(/-0\+2$/)]);
  const again = await connected(hub, "", { headers: { "last-event-id": ahead.id as string } });
  hub.publish({ target: "alice", payload: 3 });
  expect(await again.payloads(2)).toEqual([1, 3]);
});

test("a refusal is a problem document with Retry-After, as often as asked for", async () => {
  const hub = createTestHub();
  hub.failStreams({ status: 503, retryAfterMs: 2500 }, { times: 2 });
  for (const status of [503, 503, 200]) {
    const { response } = await listen(hub);
    expect(response.status).toBe(status);
    if (status === 503) {
      expect(response.headers.get("retry-after")).toBe("3");
      expect(await response.json()).toMatchObject({ code: "overloaded", retryAfterMs: 2500 });
    }
  }
});

test("a token is wanted, refused once it is expired, and its streams are told", async () => {
  const hub = createTestHub();
  hub.allow("one", "alice");
  const refused = await listen(hub);
  expect([refused.response.status, (await refused.response.json()).code]).toEqual([401, "missing_token"]);
  const headers = { authorization: "Bearer one" };
  const reader = await connected(hub, "", { headers });
  hub.expire("one");
  const told = await reader.event();
  expect(told.message.payload).toMatchObject({ detail: { reason: "token_expired", reconnect: true } });
  expect(await reader.next()).toBe(undefined);
  const late = await listen(hub, "", { headers });
  expect([late.response.status, (await late.response.json()).code]).toEqual([401, "token_expired"]);
});

test("retention is a gap to those who have not been sent it, and to nobody else", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.publish({ target: "alice", payload: 1 });
  const { id } = await reader.event();
  hub.publish({ target: "bob", payload: "of no interest" });
  hub.forget();
  expect(await (await listen(hub, `&lastEventId=${id}`)).event()).toMatchObject({ id });
  hub.publish({ target: "alice", payload: 2 });
  hub.forget();
  const missed = await listen(hub, `&lastEventId=${id}`);
  expect((await missed.event()).id).toBe(undefined);
  const gap = await missed.event();
  expect(gap.message.payload).toEqual({
    event: "gap",
    detail: { from: id, to: gap.id, reason: "expired" },
  });
});

test("a restart begins another epoch that goes on, and a lost store knows no cursor", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.publish({ target: "alice", payload: 1 });
  const { id } = await reader.event();
  hub.restart();
  await expect(reader.next()).rejects.toThrow();
  hub.publish({ target: "alice", payload: 2 });
  const second = await connected(hub, `&lastEventId=${id}`);
  expect(await second.payloads(1)).toEqual([2]);
  hub.restart("lost");
  const third = await connected(hub, `&lastEventId=${id}`);
  expect((await third.event()).message.payload).toMatchObject({ detail: { reason: "unknown_epoch" } });
});

test("maintenance says when to come back, and a buffering proxy shows nothing before the end", async () => {
  const hub = createTestHub();
  const reader = await connected(hub);
  hub.maintenance(7000);
  expect((await reader.event()).message.payload).toEqual({
    event: "maintenance",
    detail: { retryAfterMs: 7000 },
    recommendedAction: "reconnect",
  });
  expect([reader.retry, await reader.next()]).toEqual([7000, undefined]);

  hub.failStreams("buffered");
  const held = await listen(hub);
  let came = false;
  const first = held.event().then((seen) => {
    came = true;
    return seen;
  });
  await hub.clock.advance(60_000);
  expect(came).toBe(false);
  hub.maintenance();
  expect((await first).message.payload).toMatchObject({ event: "connect" });
});

test("a lost answer leaves the message with the hub, and the repeat is a duplicate", async () => {
  const hub = createTestHub();
  const body = JSON.stringify({ id: "1", source: "alice", topic: "t", payload: 1 });
  const post = () => hub.fetch(`${hub.url}/api/messages`, { method: "POST", body });
  hub.failRequests("answer lost", { path: "/api/messages" });
  await expect(post()).rejects.toThrow(TypeError);
  expect(await (await post()).json()).toMatchObject({ messageId: "1", duplicate: true });
  expect(hub.received.map(({ id }) => id)).toEqual(["1"]);
  hub.offline();
  await expect(post()).rejects.toThrow(TypeError);
  hub.online();
  expect((await post()).status).toBe(200);
});

test("a client that does not read gets nothing sent beyond its socket, and no live-only message", async () => {
  const hub = createTestHub();
  const { body } = await hub.fetch(`${hub.url}/sse?clientId=alice&heartbeat=250`);
  const big = "x".repeat(50_000);
  for (let i = 0; i < 10; i += 1) {
    hub.publish({ target: "alice", payload: big });
  }
  const [stream] = hub.streams();
  expect(stream?.queued).toBeGreaterThan(5);
  const written = stream?.pipe.written;
  await hub.clock.advance(1000);
  hub.publish({ target: "alice", durable: false, payload: 1 });
  expect(stream?.pipe.written).toBe(written);
  await body?.cancel();
  expect(hub.streams()).toEqual([]);
});

test("an aborted request leaves no listener and no stream", async () => {
  const hub = createTestHub();
  const abort = new AbortController();
  let listeners = 0;
  const { signal } = abort;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = ((...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  }) as typeof add;
  signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  }) as typeof remove;
  const response = await hub.fetch(`${hub.url}/sse?clientId=alice`, { signal });
  const body = (response.body as ReadableStream).getReader();
  // The `retry:` line and the `connect` event.
  await body.read();
  await body.read();
  const pending = body.read();
  abort.abort(new Error("enough"));
  await expect(pending).rejects.toThrow("enough");
  await hub.clock.settle();
  expect([listeners, hub.streams().length, hub.clock.timers()]).toEqual([0, 0, 0]);
  await expect(hub.fetch(hub.url, { signal })).rejects.toThrow("enough");
});

test("what is not acknowledged is repeated after 10 s, then later and later, ten times in all", async () => {
  const hub = createTestHub();
  const bob = await connected(hub, "&heartbeat=300000");
  const reader = await Reader.open(hub.fetch, `${hub.url}/sse?clientId=worker&heartbeat=300000`);
  readers.push(reader);
  await reader.event();
  hub.publish({ id: "m", source: "alice", target: "worker", requireAck: true, payload: 1 });
  expect((await reader.event()).message.redelivery).toBe(undefined);
  for (let redelivery = 1; redelivery < 10; redelivery += 1) {
    await hub.clock.advance(Math.min(300_000, 10_000 * 2 ** (redelivery - 1)));
    expect(await reader.event()).toMatchObject({ id: undefined, message: { redelivery } });
  }
  await hub.clock.advance(300_000);
  expect((await bob.event()).message.payload).toMatchObject({ status: "delivered" });
  expect((await bob.event()).message.payload).toMatchObject({ status: "expired", success: false });
});

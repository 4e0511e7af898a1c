// What a hub does, as claims that the real one and the one of /testing must both keep.

import { expect } from "vitest";
import type { Message } from "../../src/wire/message.ts";
import { Reader } from "./reader.ts";

export interface Site {
  url: string;
  fetch: typeof globalThis.fetch;
}

type Claim = (hub: Guest) => Promise<void>;

let guests = 0;

/** A caller with names of its own, so that all claims can share one hub. */
export class Guest {
  readonly #site: Site;
  readonly #readers: Reader[] = [];
  readonly alice: string;
  readonly bob: string;
  readonly topic: string;

  constructor(site: Site) {
    guests += 1;
    this.#site = site;
    this.alice = `alice-${guests}`;
    this.bob = `bob-${guests}`;
    this.topic = `guest-${guests}/news`;
  }

  async sse(query: Record<string, string>, headers: Record<string, string> = {}): Promise<Reader> {
    const search = new URLSearchParams({ v: "1", ...query }).toString().replaceAll("+", "%20");
    const reader = await Reader.open(this.#site.fetch, `${this.#site.url}/sse?${search}`, { headers });
    this.#readers.push(reader);
    return reader;
  }

  /** A stream behind its `connect` event. */
  async listen(query: Record<string, string>, headers: Record<string, string> = {}) {
    const reader = await this.sse(query, headers);
    const { id, message } = await reader.event();
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what it names.
    return { reader, id, detail: (message.payload as any).detail };
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await this.#site.fetch(`${this.#site.url}${path}`, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what it names.
    return { status: response.status, headers: response.headers, body: (await response.json()) as any };
  }

  /** Publishes and returns the answer, which must be a success. */
  async publish(message: Partial<Message>) {
    const { status, body } = await this.call("POST", "/api/messages", message);
    expect(body, JSON.stringify(body)).toMatchObject({ success: true });
    expect(status).toBe(200);
    return body;
  }

  close(): void {
    for (const reader of this.#readers) {
      reader.close();
    }
  }
}

const keys = (value: object) => Object.keys(value).sort();

export const contract: Record<string, Claim> = {
  "a stream begins with retry and connect": async (hub) => {
    const { reader, id, detail } = await hub.listen({ clientId: hub.alice, topics: hub.topic });
    expect(reader.retry).toBeGreaterThan(0);
    expect(reader.response.headers.get("content-type")).toBe("text/event-stream");
    expect(keys(detail)).toEqual([
      "clientId",
      "connectionId",
      "cursor",
      "heartbeatInterval",
      "idempotencyWindow",
      "maxEventBytes",
      "resumed",
      "topics",
    ]);
    expect(detail).toMatchObject({ clientId: hub.alice, resumed: false, topics: [hub.topic] });
    expect(id).toBe(detail.cursor);
  },

  "a message has its fields in the order of the protocol and comes once": async (hub) => {
    const { reader } = await hub.listen({ clientId: hub.alice, topics: hub.topic });
    const sent = {
      id: "1",
      type: "json",
      priority: 2,
      timestamp: 5,
      source: hub.bob,
      payload: { n: 1 },
    } as const;
    const answer = await hub.publish({ ...sent, target: hub.alice, metadata: { a: 1 }, ttl: 60_000 });
    await hub.publish({ ...sent, id: "2", topic: hub.topic, excludeClientId: "nobody" });
    await hub.publish({ ...sent, id: "3", type: "error" });
    const mailbox = await reader.event();
    expect(JSON.stringify(mailbox.message)).toBe(
      JSON.stringify({
        id: "1",
        type: "json",
        priority: 2,
        timestamp: 5,
        source: hub.bob,
        target: hub.alice,
        payload: { n: 1 },
        metadata: { a: 1 },
        ttl: 60_000,
      }),
    );
    expect(keys(answer)).toEqual(["cursor", "messageId", "recipients", "success"]);
    expect(answer).toMatchObject({ messageId: "1", recipients: 1 });
    expect(mailbox).toMatchObject({ name: "json", id: expect.any(String) });
    expect(await reader.event()).toMatchObject({ message: { id: "2", excludeClientId: "nobody" } });
    expect(await reader.event()).toMatchObject({
      name: "message_error",
      message: { id: "3", type: "error" },
    });
  },

  "live-only messages and progress have no id and no cursor": async (hub) => {
    const { reader } = await hub.listen({ clientId: hub.alice });
    const live = await hub.publish({ target: hub.alice, durable: false, payload: 1 });
    expect(keys(live)).toEqual(["messageId", "recipients", "success"]);
    await hub.publish({ target: hub.alice, type: "progress", payload: { taskId: "t", progress: 5 } });
    expect(await reader.event()).toMatchObject({ id: undefined, message: { durable: false, payload: 1 } });
    expect(await reader.event()).toMatchObject({ id: undefined, name: "progress" });
    const away = await hub.call("POST", "/api/messages", { target: hub.bob, durable: false, payload: 1 });
    expect([away.status, away.body.code]).toEqual([404, "not_connected"]);
  },

  "who comes back with a cursor gets what it missed, once, in order": async (hub) => {
    const first = await hub.listen({ clientId: hub.alice, topics: `${hub.topic}/#` });
    await hub.publish({ target: hub.alice, payload: "a" });
    const { id } = await first.reader.event();
    first.reader.close();
    await hub.publish({ topic: `${hub.topic}/x`, payload: "b" });
    await hub.publish({ target: hub.bob, payload: "not for alice" });
    await hub.publish({ target: hub.alice, payload: "c" });
    for (const again of [
      await hub.listen({ clientId: hub.alice, topics: `${hub.topic}/#` }, { "last-event-id": id as string }),
      await hub.listen({ clientId: hub.alice, topics: `${hub.topic}/#`, lastEventId: id as string }),
    ]) {
      expect(again.detail).toMatchObject({ resumed: true, cursor: id });
      await hub.publish({ target: hub.alice, payload: "d" });
      expect((await again.reader.payloads(3)).slice(0, 2)).toEqual(["b", "c"]);
    }
  },

  "without a cursor the mailbox comes from the ack cursor and the rest from now": async (hub) => {
    const first = await hub.listen({ clientId: hub.alice });
    await hub.publish({ target: hub.alice, payload: 1 });
    await hub.publish({ target: hub.alice, payload: 2 });
    await hub.publish({ topic: hub.topic, payload: "before" });
    const { id } = await first.reader.event();
    const ack = await hub.call("POST", "/api/acks", {
      clientId: hub.alice,
      cursor: id,
      from: first.detail.cursor,
    });
    expect(ack.body).toMatchObject({ success: true, applied: true, cursor: expect.any(String) });
    const second = await hub.listen({ clientId: hub.alice, topics: hub.topic });
    expect(second.detail.resumed).toBe(false);
    await hub.publish({ topic: hub.topic, payload: "after" });
    expect(await second.reader.payloads(2)).toEqual([2, "after"]);
    const other = await hub.listen({ clientId: hub.alice, device: "phone" });
    expect(await other.reader.payloads(2)).toEqual([1, 2]);
  },

  "an ack that is not of an unbroken reading changes nothing": async (hub) => {
    const first = await hub.listen({ clientId: hub.alice });
    await hub.publish({ target: hub.alice, payload: 1 });
    const one = await first.reader.event();
    await hub.publish({ target: hub.alice, payload: 2 });
    const two = await first.reader.event();
    const skipping = await hub.call("POST", "/api/acks", {
      clientId: hub.alice,
      cursor: two.id,
      from: one.id,
    });
    expect(skipping.body).toEqual({ success: true, applied: false });
    const strange = await hub.call("POST", "/api/acks", {
      clientId: hub.alice,
      cursor: "0000000000000000-1",
    });
    expect(strange.body).toEqual({ success: true, applied: false });
    const malformed = await hub.call("POST", "/api/acks", { clientId: hub.alice, cursor: "x" });
    expect([malformed.status, malformed.body.code]).toEqual([400, "invalid_cursor"]);
    const empty = await hub.call("POST", "/api/acks", { clientId: hub.alice });
    expect([empty.status, empty.body.code]).toEqual([400, "invalid_field"]);
  },

  "a cursor that no hub has written gives a gap and then all that is kept": async (hub) => {
    await hub.publish({ topic: hub.topic, payload: "kept" });
    for (const cursor of ["nonsense", "0000000000000000-5"]) {
      const query = { clientId: hub.alice, topics: hub.topic, types: "json", lastEventId: cursor };
      const { reader, id, detail } = await hub.listen(query);
      expect([id, detail.resumed]).toEqual([undefined, false]);
      const gap = await reader.event();
      expect(gap.message.payload).toEqual({
        event: "gap",
        detail: { from: cursor, to: gap.id, reason: "unknown_epoch" },
      });
      let seen = await reader.event();
      while (seen.message.topic !== hub.topic) {
        seen = await reader.event();
      }
      expect(seen.message.payload).toBe("kept");
    }
  },

  "a message that comes again is answered as before, and another content is refused": async (hub) => {
    const message = { id: "same", source: hub.bob, topic: hub.topic, payload: { a: 1 } };
    const first = await hub.publish(message);
    expect(await hub.publish(message)).toEqual({ ...first, duplicate: true });
    const other = await hub.call("POST", "/api/messages", { ...message, payload: { a: 2 } });
    expect([other.status, other.body.code]).toEqual([409, "id_conflict"]);
  },

  "refusals name their code and field": async (hub) => {
    const payload = 1;
    const cases: [unknown, number, string, string?][] = [
      [{}, 400, "invalid_field", "payload"],
      [{ type: "shout", payload }, 400, "invalid_field", "type"],
      [{ type: "system", payload }, 403, "reserved_type", "type"],
      [{ payload: { event: "task_completed" } }, 403, "reserved_type", "payload.event"],
      [{ priority: 4, payload }, 400, "invalid_field", "priority"],
      [{ ttl: -1, payload }, 400, "invalid_field", "ttl"],
      [{ durable: "no", payload }, 400, "invalid_field", "durable"],
      [{ metadata: 5, payload }, 400, "invalid_field", "metadata"],
      [{ target: "a", topic: "b", payload }, 400, "invalid_field", "topic"],
      [{ target: "$hub", payload }, 400, "invalid_field", "target"],
      [{ id: "", payload }, 400, "invalid_field", "id"],
      [{ id: "a\u0007", payload }, 400, "invalid_field", "id"],
      [{ source: "x".repeat(257), payload }, 400, "invalid_field", "source"],
      [{ topic: "a//b", payload }, 400, "invalid_field", "topic"],
      [{ topic: "a/+", payload }, 400, "invalid_field", "topic"],
      [{ requireAck: true, payload }, 422, "unsupported_combination", "requireAck"],
      [[{ payload }, { type: "shout", payload }], 400, "invalid_field", "[1].type"],
      [Array(1001).fill({ payload }), 400, "invalid_field", "[1000]"],
      ["{", 400, "invalid_json"],
    ];
    for (const [body, status, code, field] of cases) {
      const refused = await hub.call("POST", "/api/messages", body);
      const said = [refused.status, refused.body.code, refused.body.field];
      expect(said, JSON.stringify(body).slice(0, 100)).toEqual([status, code, field]);
      expect(refused.body.type).toBe(`urn:tidings:error:${code}`);
      expect(refused.headers.get("content-type")).toBe("application/problem+json");
    }
    const stream = await hub.sse({ topics: "a//b", clientId: hub.alice });
    expect([stream.response.status, (await stream.response.json()).field]).toEqual([400, "topics"]);
    const nobody = await hub.sse({});
    expect([nobody.response.status, (await nobody.response.json()).field]).toEqual([400, "clientId"]);
    const nowhere = await hub.call("GET", "/api/nowhere");
    expect([nowhere.status, nowhere.body.code]).toEqual([404, "not_found"]);
  },

  "a batch is accepted in order": async (hub) => {
    const { reader } = await hub.listen({ clientId: hub.alice });
    const target = hub.alice;
    const { body } = await hub.call("POST", "/api/messages", [
      { id: "1", target, payload: 1 },
      { id: "2", target, payload: 2 },
    ]);
    expect(body.results.map((result: { messageId: string }) => result.messageId)).toEqual(["1", "2"]);
    expect(await reader.payloads(2)).toEqual([1, 2]);
  },

  "topics, direct, broadcast and commands have routes of their own": async (hub) => {
    const { reader } = await hub.listen({ clientId: hub.alice, topics: hub.topic });
    const text = { "content-type": "text/plain" };
    await hub.call("POST", `/api/topics/${hub.topic}`, "hello", { ...text, "tidings-priority": "3" });
    await hub.call(
      "POST",
      `/api/direct/${hub.alice}`,
      { payload: 2 },
      { "idempotency-key": `key-${hub.alice}` },
    );
    const everyone = await hub.call("POST", "/api/broadcast", {
      message: { payload: 3, source: hub.bob },
      excludeClientId: hub.bob,
    });
    expect(keys(everyone.body)).toEqual(["messageId", "sentCount", "success"]);
    const command = await hub.call("POST", "/api/commands", {
      target: hub.alice,
      payload: { commandId: "c1", action: "execute" },
    });
    expect(command.body).toMatchObject({ success: true, commandId: "c1", messageId: expect.any(String) });
    expect((await reader.event()).message).toMatchObject({
      type: "text",
      priority: 3,
      payload: { content: "hello" },
    });
    expect((await reader.event()).message).toMatchObject({ id: `key-${hub.alice}`, payload: 2 });
    expect((await reader.event()).message).toMatchObject({ excludeClientId: hub.bob, payload: 3 });
    expect((await reader.event()).message).toMatchObject({ type: "command", target: hub.alice });
  },

  "the newest exclusive connection wins, and the replaced instance is sent away": async (hub) => {
    const query = { clientId: hub.alice, exclusive: "true" };
    const old = await hub.listen({ ...query, instance: "one" });
    await hub.listen({ ...query, instance: "two" });
    const told = await old.reader.event();
    expect([told.id, told.message.payload]).toEqual([
      undefined,
      { event: "disconnect", detail: { reason: "replaced", reconnect: false } },
    ]);
    expect(await old.reader.next()).toBe(undefined);
    expect((await hub.sse({ ...query, instance: "one" })).response.status).toBe(204);
  },

  "a connection is listed, changed and kicked by its id": async (hub) => {
    const { reader, detail } = await hub.listen({ clientId: hub.alice });
    const path = `/api/connections/${detail.connectionId}`;
    const { body: list } = await hub.call("GET", "/api/connections");
    const own = list.find((one: { clientId: string }) => one.clientId === hub.alice);
    expect(keys(own)).toEqual([
      "clientId",
      "connectionId",
      "createdAt",
      "lastActiveAt",
      "queued",
      "remoteAddr",
      "topics",
      "uptime",
    ]);
    const added = await hub.call("PUT", `${path}/topics/${encodeURIComponent(`${hub.topic}/#`)}`);
    expect(added.body).toEqual({ cursor: expect.any(String) });
    await hub.publish({ topic: `${hub.topic}/deep/er`, payload: "added" });
    expect(await reader.payloads(1)).toEqual(["added"]);
    await hub.call("DELETE", `${path}/topics/${encodeURIComponent(`${hub.topic}/#`)}`);
    expect((await hub.call("DELETE", path)).body).toEqual({ success: true });
    expect((await reader.event()).message.payload).toMatchObject({
      detail: { reason: "kicked", reconnect: false },
    });
    expect((await hub.call("DELETE", path)).status).toBe(404);
  },

  "types and exclusion hold for shared messages only": async (hub) => {
    const { reader } = await hub.listen({ clientId: hub.alice, topics: hub.topic, types: "text" });
    await hub.publish({ topic: hub.topic, type: "json", payload: "left out by its type" });
    await hub.publish({ topic: hub.topic, type: "text", payload: "left out", excludeClientId: hub.alice });
    await hub.publish({ target: hub.alice, type: "json", payload: "mailbox" });
    await hub.publish({ topic: hub.topic, type: "text", payload: "topic" });
    expect(await reader.payloads(2)).toEqual(["mailbox", "topic"]);
  },

  "since says where shared messages start": async (hub) => {
    for (const payload of [1, 2, 3]) {
      await hub.publish({ topic: hub.topic, type: "text", payload });
    }
    const query = { clientId: hub.alice, topics: hub.topic };
    const last = await hub.listen({ ...query, since: "last:0" });
    await hub.publish({ topic: hub.topic, type: "text", payload: 4 });
    expect(await last.reader.payloads(1)).toEqual([4]);
    const earliest = await hub.listen({ ...query, since: "earliest" });
    const seen: unknown[] = [];
    while (seen.length < 4) {
      const { message } = await earliest.reader.event();
      seen.push(...(message.topic === hub.topic ? [message.payload] : []));
    }
    expect(seen).toEqual([1, 2, 3, 4]);
    const bad = await hub.sse({ ...query, since: "last:1001" });
    expect([bad.response.status, (await bad.response.json()).field]).toEqual([400, "since"]);
  },

  "a message that asks for an ack is repeated at a connect until it is acknowledged, with receipts": async (
    hub,
  ) => {
    const bob = await hub.listen({ clientId: hub.bob });
    const first = await hub.listen({ clientId: hub.alice });
    await hub.publish({ id: "m", source: hub.bob, target: hub.alice, requireAck: true, payload: 1 });
    const sent = await first.reader.event();
    expect(sent.message).toMatchObject({ requireAck: true });
    const receipt = { messageId: "m", clientId: hub.alice, success: true };
    expect((await bob.reader.event()).message.payload).toEqual({ ...receipt, status: "delivered" });
    await hub.call("POST", "/api/acks", { clientId: hub.alice, cursor: sent.id, from: first.detail.cursor });
    first.reader.close();
    const second = await hub.listen({ clientId: hub.alice });
    expect(await second.reader.event()).toMatchObject({ id: undefined, message: { id: "m", redelivery: 1 } });
    const messages = [{ source: hub.bob, id: "m" }];
    expect((await hub.call("POST", "/api/acks", { clientId: hub.alice, messages })).body.applied).toBe(true);
    const acknowledged = await bob.reader.event();
    expect(acknowledged.message).toMatchObject({
      type: "ack",
      source: "$hub",
      payload: { ...receipt, status: "acknowledged" },
    });
    const { body } = await hub.call("GET", `/api/messages/m?source=${hub.bob}`);
    expect(body.receipts.map((one: { status: string }) => one.status)).toEqual(["delivered", "acknowledged"]);
  },

  "history comes in pages both ways": async (hub) => {
    for (const payload of [1, 2, 3]) {
      await hub.publish({ topic: hub.topic, payload });
    }
    const pages: unknown[][] = [];
    let after = "";
    do {
      const path = `/api/messages?topic=${hub.topic}&order=desc&limit=2${after}`;
      const { body } = await hub.call("GET", path);
      pages.push(body.messages.map((message: Message) => message.payload));
      after = body.next ? `&after=${body.next}` : "";
    } while (after);
    expect(pages.flat()).toEqual([3, 2, 1]);
    const bad = await hub.call("GET", "/api/messages?limit=0");
    expect([bad.status, bad.body.field]).toEqual([400, "limit"]);
  },
};

import v8 from "node:v8";
import vm from "node:vm";
import { expect, test } from "vitest";
import { createApi } from "../../src/http/api.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { createAcks } from "../../src/inbox/acks.ts";
import { EventDispatcher } from "../../src/inbox/dispatcher.ts";
import { createInbox, HANDLER_RETRY_DELAYS, type Inbox } from "../../src/inbox/inbox.ts";
import { type Message, MessageType } from "../../src/types.ts";
import { type FakeEnv, fakeEnv, json } from "../support/fake-env.ts";
import { type Gate, gate, message } from "../support/messages.ts";

const { JSON: DATA, TEXT, SYSTEM, HEARTBEAT, COMMAND } = MessageType;

interface Fixture {
  env: FakeEnv;
  dispatcher: EventDispatcher;
  inbox: Inbox;
  /** The newest cursor up to which all is settled. */
  settledCursor(): string | undefined;
  receive(message: Message, cursor?: string): void | Promise<void>;
  /** The bodies of all acks. */
  acked(): Record<string, unknown>[];
}

function fixture(observe?: (message: Message) => boolean): Fixture {
  const env = fakeEnv(() => json({ success: true, applied: true }));
  const dispatcher = new EventDispatcher({ env, retryDelays: HANDLER_RETRY_DELAYS, highWaterMark: 10 });
  const acks = createAcks(env, createApi(env, createCredentials(), "https://hub.test/", 10_000), {
    clientId: "alice",
  });
  const { advance } = acks;
  let settled: string | undefined;
  acks.advance = (cursor, mailbox) => {
    settled = cursor;
    advance(cursor, mailbox);
  };
  const inbox = createInbox(dispatcher, acks, "alice", observe);
  return {
    env,
    dispatcher,
    inbox,
    settledCursor: () => settled,
    receive: (given, cursor) => inbox.receive({ message: given, cursor, name: given.type }),
    acked: () => env.requests.map(({ body }) => JSON.parse(body ?? "")),
  };
}

/** A handler that waits for its gate, by message id. */
function gated(dispatcher: EventDispatcher, types: MessageType[]): Map<string, Gate> {
  const gates = new Map<string, Gate>();
  dispatcher.subscribe(types, ({ id }) => {
    const waits = gate();
    gates.set(id, waits);
    return waits.passed;
  });
  return gates;
}

const mail = (id: string, more: Partial<Message> = {}): Message => message(id, { target: "alice", ...more });

function hubEvent(event: string, detail: object): Message {
  return message("x", { source: "$hub", type: SYSTEM, target: "alice", payload: { event, detail } });
}

test("a message reaches its handlers once, however often it comes, and identity is source and id", () => {
  const { dispatcher, receive } = fixture();
  const got: string[] = [];
  dispatcher.subscribe([DATA], ({ source, id }) => void got.push(`${source}/${id}`));
  receive(message("a"), "e-1");
  receive(message("a"), "e-1");
  receive(message("a", { redelivery: 1 }));
  receive(message("a", { source: "carol" }), "e-2");
  receive(message("b", { durable: false }));
  receive(message("b", { durable: false }));
  expect(got).toEqual(["bob/a", "carol/a", "bob/b"]);
});

test("a repeat of a message that is still in its handler is not given to it again", async () => {
  const { env, dispatcher, receive } = fixture();
  const gates = gated(dispatcher, [DATA]);
  receive(message("a"), "e-1");
  gates.get("a")?.open();
  gates.clear();
  receive(message("a"), "e-1");
  await env.settle();
  expect(gates.size).toBe(0);
});

test("the hub's own events come through each time, also when they say the same", () => {
  const { dispatcher, receive } = fixture();
  let events = 0;
  dispatcher.subscribe([SYSTEM, HEARTBEAT], () => void events++);
  receive(hubEvent("gap", { from: "a", to: "b", reason: "expired" }), "b");
  receive(hubEvent("gap", { from: "a", to: "b", reason: "expired" }), "b");
  receive(message("h", { source: "$hub", type: HEARTBEAT }), "b");
  receive(message("h", { source: "$hub", type: HEARTBEAT }), "b");
  expect(events).toBe(4);
});

test("the mailbox is acknowledged once the handlers are through, from where reading began", async () => {
  const { env, dispatcher, settledCursor, receive, acked } = fixture();
  const gates = gated(dispatcher, [DATA]);
  receive(hubEvent("connect", { cursor: "e-0", resumed: false }), "e-0");
  receive(mail("a"), "e-1");
  await env.advance(1000);
  expect(acked()).toEqual([]);
  expect(settledCursor()).toBe("e-0");
  gates.get("a")?.open();
  await env.advance(50);
  expect(settledCursor()).toBe("e-1");
  expect(acked()).toEqual([{ clientId: "alice", cursor: "e-1", from: "e-0", messages: [] }]);
});

test("a resumed stream keeps where reading began, one that could not be resumed begins anew", async () => {
  const { env, dispatcher, receive, acked } = fixture();
  dispatcher.subscribe([DATA], () => {});
  const connects = [
    [false, "e-0"],
    [true, "e-7"],
    [false, "f-2"],
  ] as const;
  for (const [n, [resumed, cursor]] of connects.entries()) {
    receive(hubEvent("connect", { cursor, resumed }), cursor);
    receive(mail(`m${n}`), `${cursor}9`);
    await env.advance(50);
  }
  expect(acked().map(({ from }) => from)).toEqual(["e-0", "e-0", "f-2"]);
});

test("only the hub's connect event says where reading began", async () => {
  const { env, receive, acked } = fixture();
  receive({ ...hubEvent("connect", { cursor: "forged", resumed: false }), source: "mallory" }, "e-1");
  await env.advance(50);
  expect(acked()).toEqual([{ clientId: "alice", cursor: "e-1", messages: [] }]);
});

test("the acknowledged cursor is that of the last event before the first one that is not settled, in the order of arrival", async () => {
  const { env, dispatcher, settledCursor, receive } = fixture();
  const gates = gated(dispatcher, [DATA]);
  dispatcher.subscribe([TEXT], () => {});
  const other = gated(dispatcher, [COMMAND]);
  receive(mail("t0", { type: TEXT }), "e-1");
  receive(mail("slow"), "e-2");
  receive(mail("t1", { type: TEXT }), "e-3");
  receive(mail("c"), "e-4");
  receive(mail("command", { type: COMMAND }), "e-5");
  receive(mail("t2", { type: TEXT }), "e-6");
  receive(mail("live", { type: TEXT }));
  expect(settledCursor()).toBe("e-1");
  other.get("command")?.open();
  await env.settle();
  expect(settledCursor()).toBe("e-1");
  gates.get("slow")?.open();
  await env.settle();
  expect(settledCursor()).toBe("e-3");
  gates.get("c")?.open();
  await env.settle();
  expect(settledCursor()).toBe("e-6");
});

test("messages that settle out of order are all covered in the end, and memory holds the open ones only", async () => {
  const { env, dispatcher, settledCursor, receive, acked } = fixture();
  const hung = gated(dispatcher, [DATA]);
  dispatcher.subscribe([TEXT], () => {});
  receive(mail("hung"), "e-0");
  for (let n = 1; n <= 100_000; n++) {
    receive(mail(`t${n}`, { type: TEXT }), `e-${n}`);
  }
  expect(settledCursor()).toBeUndefined();
  hung.get("hung")?.open();
  await env.advance(50);
  expect(settledCursor()).toBe("e-100000");
  expect(acked()).toMatchObject([{ cursor: "e-100000" }]);
});

test("defect 14: one slow handler holds back the reader at its bound, and no message is lost", async () => {
  const { env, dispatcher, receive } = fixture();
  const gates = gated(dispatcher, [DATA]);
  const texts: string[] = [];
  dispatcher.subscribe([TEXT], ({ id }) => void texts.push(id));
  let n = 0;
  const next = (): void | Promise<void> => {
    const held = receive(message(`d${n++}`), `e-${n}`);
    return held ?? receive(message(`t${n}`, { type: TEXT }), `e-${n}`);
  };
  let held = next();
  while (!held) {
    held = next();
  }
  expect([n, texts.length]).toEqual([11, 10]);
  let read = false;
  void held.then(() => {
    read = true;
  });
  await env.settle();
  expect(read).toBe(false);
  gates.get("d0")?.open();
  await env.settle();
  expect(read).toBe(true);
});

test("a message that asks for an ack is named once it was handled, and again when the hub repeats it", async () => {
  const { env, dispatcher, receive, acked } = fixture();
  dispatcher.subscribe([DATA, COMMAND], () => {});
  receive(mail("a", { requireAck: true }), "e-1");
  receive(mail("c", { type: COMMAND, payload: { requireAck: true } }), "e-2");
  receive(message("not for us", { type: COMMAND, payload: { requireAck: true }, topic: "jobs" }), "e-3");
  await env.advance(50);
  receive(mail("a", { requireAck: true, redelivery: 1 }));
  await env.advance(50);
  expect(acked().map(({ messages }) => messages)).toEqual([
    [
      { source: "bob", id: "a" },
      { source: "bob", id: "c" },
    ],
    [{ source: "bob", id: "a" }],
  ]);
});

test("a handler that fails is tried three more times, then the message counts as settled, but is not acknowledged by name", async () => {
  const { env, dispatcher, settledCursor, receive, acked } = fixture();
  let calls = 0;
  let broken = true;
  dispatcher.subscribe([DATA], () => {
    calls++;
    if (broken) {
      throw new Error("no");
    }
  });
  receive(mail("a", { requireAck: true }), "e-1");
  await env.advance(10_000);
  expect([calls, settledCursor()]).toEqual([4, "e-1"]);
  expect(acked()).toEqual([{ clientId: "alice", cursor: "e-1", messages: [] }]);

  broken = false;
  receive(mail("a", { requireAck: true, redelivery: 1 }));
  await env.advance(1000);
  expect(calls).toBe(5);
  expect(acked()[1]).toEqual({ clientId: "alice", messages: [{ source: "bob", id: "a" }] });
});

test("a message that asks for an ack and that nobody handles waits for a handler", async () => {
  const { env, dispatcher, receive, acked } = fixture();
  receive(mail("a", { requireAck: true }), "e-1");
  await env.advance(50);
  const got: string[] = [];
  dispatcher.subscribe([DATA], ({ id }) => void got.push(id));
  receive(mail("a", { requireAck: true, redelivery: 1 }));
  await env.advance(50);
  expect(got).toEqual(["a"]);
  expect(acked().map(({ messages }) => messages)).toEqual([[], [{ source: "bob", id: "a" }]]);
});

test("what an observer took counts as handled", async () => {
  const { env, receive, acked } = fixture(({ id }) => id === "mine");
  receive(mail("mine", { requireAck: true }), "e-1");
  receive(mail("other", { requireAck: true }), "e-2");
  await env.advance(50);
  expect(acked().map(({ messages }) => messages)).toEqual([[{ source: "bob", id: "mine" }]]);
});

test("1,000,000 messages through the inbox, some of them twice, keep the heap flat", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const { env, dispatcher, receive } = fixture();
  let handled = 0;
  dispatcher.subscribe([DATA], () => void handled++);
  dispatcher.subscribe([DATA], async () => void handled++);
  const run = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++) {
      await receive(mail(`m${n}`), `e-${n}`);
      if (n % 10 === 0) {
        await receive(mail(`m${n}`), `e-${n}`);
      }
      if (n % 1000 === 0) {
        await env.advance(50);
        env.requests.length = 0;
      }
    }
  };
  await run(0, 50_000);
  const before = heap();
  await run(50_000, 1_000_000);
  await env.settle();
  expect(handled).toBe(2_000_000);
  expect(heap() - before).toBeLessThan(2_000_000);
});

test("defect 16: after dispose nothing is acknowledged that was not handled, and no timer is left", async () => {
  const { env, dispatcher, inbox, receive, acked } = fixture();
  dispatcher.subscribe([TEXT], () => {});
  const gates = gated(dispatcher, [DATA]);
  dispatcher.subscribe([COMMAND], () => Promise.reject(new Error("no")));
  receive(mail("t", { type: TEXT }), "e-1");
  receive(mail("a"), "e-2");
  receive(mail("b", { requireAck: true }), "e-3");
  receive(mail("c", { type: COMMAND }), "e-4");
  await env.settle();
  inbox.dispose();
  gates.get("a")?.open();
  await env.advance(60_000);
  expect(acked()).toEqual([{ clientId: "alice", cursor: "e-1", messages: [] }]);
  expect(env.timers()).toBe(0);
});

import { getEventListeners } from "node:events";
import v8 from "node:v8";
import vm from "node:vm";
import { expect, test } from "vitest";
import type { HubError } from "../../src/errors.ts";
import { EventDispatcher } from "../../src/inbox/dispatcher.ts";
import { type Message, MessageType } from "../../src/types.ts";
import { fakeEnv, never } from "../support/fake-env.ts";
import { type Gate, gate, message } from "../support/messages.ts";

const { JSON: DATA, TEXT, PROGRESS } = MessageType;

test("a subscription gets the types that it names, in the order of arrival", async () => {
  const dispatcher = new EventDispatcher();
  const got: string[] = [];
  dispatcher.subscribe([DATA, TEXT], ({ id }) => void got.push(id));
  await dispatcher.dispatch(message("a"));
  await dispatcher.dispatch(message("b", { type: PROGRESS }));
  await dispatcher.dispatch(message("c", { type: TEXT }));
  expect(got).toEqual(["a", "c"]);
  expect(dispatcher.getStats()).toEqual({
    totalDispatched: 3,
    totalHandled: 2,
    totalErrors: 0,
    subscriberCount: 1,
  });
});

test("higher priorities run first, equal ones in the order of subscription, default handlers last and always", async () => {
  const dispatcher = new EventDispatcher();
  const ran: string[] = [];
  dispatcher.setDefaultHandlers({ json: () => void ran.push("default") });
  dispatcher.subscribe([DATA], () => void ran.push("low"), { priority: -1 });
  dispatcher.subscribe([DATA], () => void ran.push("first"));
  dispatcher.subscribe([DATA], () => void ran.push("second"));
  dispatcher.subscribe([DATA], () => void ran.push("high"), { priority: 10 });
  await dispatcher.dispatch(message("a"));
  expect(ran).toEqual(["high", "first", "second", "low", "default"]);
  expect(dispatcher.getSubscriberCount()).toBe(4);
});

test("defect 10: a default handler is there once, however often it is set", async () => {
  const dispatcher = new EventDispatcher();
  const ran: string[] = [];
  dispatcher.setDefaultHandlers({ heartbeat: () => void ran.push("old"), text: () => void ran.push("text") });
  dispatcher.setDefaultHandlers({ heartbeat: () => void ran.push("new"), json: undefined });
  await dispatcher.dispatch(message("a", { type: MessageType.HEARTBEAT }));
  await dispatcher.dispatch(message("b", { type: TEXT }));
  await dispatcher.dispatch(message("c"));
  expect(ran).toEqual(["new", "text"]);
});

test("once means once, also while the handler is busy and when it dispatches itself", async () => {
  const dispatcher = new EventDispatcher();
  const got: string[] = [];
  dispatcher.subscribeOnce(DATA, async ({ id }) => {
    got.push(id);
    await dispatcher.dispatch(message("nested"));
  });
  await Promise.all([dispatcher.dispatch(message("a")), dispatcher.dispatch(message("b"))]);
  expect(got).toEqual(["a"]);
  expect(dispatcher.getSubscriberCount()).toBe(0);
});

test("an id names one subscription: the newer replaces the older, and unsubscribing twice is harmless", async () => {
  const dispatcher = new EventDispatcher();
  const got: string[] = [];
  expect(dispatcher.subscribe([DATA], () => void got.push("old"), { id: "mine" })).toBe("mine");
  dispatcher.subscribe([DATA], () => void got.push("new"), { id: "mine" });
  const other = dispatcher.subscribe([DATA], () => void got.push("other"));
  await dispatcher.dispatch(message("a"));
  expect(dispatcher.unsubscribe("mine")).toBe(true);
  expect(dispatcher.unsubscribe("mine")).toBe(false);
  await dispatcher.dispatch(message("b"));
  expect(got).toEqual(["new", "other", "other"]);
  expect(dispatcher.unsubscribe(other)).toBe(true);
});

test("the same handler subscribed twice is two subscriptions", async () => {
  const dispatcher = new EventDispatcher();
  let calls = 0;
  const handler = (): void => {
    calls++;
  };
  dispatcher.subscribe([DATA], handler);
  dispatcher.subscribe([DATA], handler);
  await dispatcher.dispatch(message("a"));
  expect(calls).toBe(2);
});

test("a signal ends its subscription, and unsubscribing leaves no listener on it", async () => {
  const dispatcher = new EventDispatcher();
  const abort = new AbortController();
  const listeners = (): number => getEventListeners(abort.signal, "abort").length;
  const first = dispatcher.subscribe([DATA], () => {}, { signal: abort.signal });
  dispatcher.subscribe([DATA], () => {}, { signal: abort.signal });
  dispatcher.unsubscribe(first);
  expect([dispatcher.getSubscriberCount(), listeners()]).toEqual([1, 1]);
  abort.abort();
  expect([dispatcher.getSubscriberCount(), listeners()]).toEqual([0, 0]);
  dispatcher.subscribe([DATA], () => {}, { signal: abort.signal });
  expect(dispatcher.getSubscriberCount()).toBe(0);
});

test("a signal that aborts after its subscription had its one message ends no other", async () => {
  const dispatcher = new EventDispatcher();
  const abort = new AbortController();
  const { signal } = abort;
  dispatcher.subscribe([DATA], () => {}, { id: "mine", once: true, signal });
  dispatcher.subscribe([TEXT], async () => {}, { once: true, signal });
  await dispatcher.dispatch(message("a"));
  await dispatcher.dispatch(message("b", { type: TEXT }));
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  dispatcher.subscribe([DATA], () => {}, { id: "mine" });
  abort.abort();
  expect(dispatcher.getSubscriberCount()).toBe(1);
});

test("clear ends the wait of a handler for another try, also of one that is called once", async () => {
  const env = fakeEnv();
  const dispatcher = new EventDispatcher({ env, retryDelays: [60_000] });
  const fail = (): Promise<void> => Promise.reject(new Error("no"));
  dispatcher.subscribeOnce(DATA, fail);
  dispatcher.subscribe([DATA], fail);
  const through = dispatcher.dispatch(message("a"));
  await env.settle();
  expect([env.timers(), dispatcher.getSubscriberCount()]).toEqual([2, 1]);
  dispatcher.clear();
  await through;
  expect(env.timers()).toBe(0);
});

test("a subscription that is ended by an earlier handler does not get the message any more", async () => {
  const dispatcher = new EventDispatcher();
  const got: string[] = [];
  dispatcher.subscribe([DATA], () => void dispatcher.unsubscribe("second"));
  dispatcher.subscribe([DATA], ({ id }) => void got.push(id), { id: "second" });
  await dispatcher.dispatch(message("a"));
  expect(got).toEqual([]);
});

test("defect 14: an error in one handler breaks no other, and is counted and reported with its cause", async () => {
  const errors: [string, unknown, string][] = [];
  const onError = (error: HubError, { id }: Message): void => {
    errors.push([error.code, error.cause, id]);
    throw new Error("the listener fails, too");
  };
  const dispatcher = new EventDispatcher({ env: fakeEnv(), onError });
  const got: string[] = [];
  dispatcher.subscribe([DATA], () => {
    throw "sync";
  });
  dispatcher.subscribe([DATA], () => Promise.reject("async"));
  dispatcher.subscribe([DATA], ({ id }) => void got.push(id));
  await dispatcher.dispatch(message("a"));
  await dispatcher.dispatch(message("b"));
  expect(got).toEqual(["a", "b"]);
  expect(errors.slice(0, 2)).toEqual([
    ["handler_failed", "sync", "a"],
    ["handler_failed", "async", "a"],
  ]);
  expect(dispatcher.getStats()).toMatchObject({ totalHandled: 2, totalErrors: 4 });
});

test("defect 14: a slow handler holds up its own messages only, and gets them in order", async () => {
  const dispatcher = new EventDispatcher();
  const gates = new Map<string, Gate>();
  const slow: string[] = [];
  const quick: string[] = [];
  dispatcher.subscribe([DATA], async ({ id }) => {
    slow.push(id);
    const waits = gate();
    gates.set(id, waits);
    await waits.passed;
  });
  dispatcher.subscribe([DATA], ({ id }) => void quick.push(id));
  const all = ["a", "b", "c"].map((id) => dispatcher.dispatch(message(id)));
  expect(quick).toEqual(["a", "b", "c"]);
  expect(slow).toEqual(["a"]);
  gates.get("a")?.open();
  await all[0];
  expect(slow).toEqual(["a", "b"]);
  gates.get("b")?.open();
  await all[1];
  gates.get("c")?.open();
  await Promise.all(all);
  expect(slow).toEqual(["a", "b", "c"]);
});

test("a reader is held back while a slow handler has its bound of messages waiting", async () => {
  const env = fakeEnv();
  const dispatcher = new EventDispatcher({ highWaterMark: 2 });
  const gates: Gate[] = [];
  const slow = (): Promise<void> => {
    const waits = gate();
    gates.push(waits);
    return waits.passed;
  };
  const id = dispatcher.subscribe([DATA], slow);
  const held: string[] = [];
  const deliver = (name: string, type: MessageType = DATA): void => {
    const room = dispatcher.deliver(message(name, { type }), () => {});
    if (room) {
      held.push(name);
      void room.then(() => held.splice(held.indexOf(name), 1));
    }
  };
  deliver("running");
  deliver("first");
  expect(held).toEqual([]);
  deliver("second");
  deliver("other", TEXT);
  await env.settle();
  expect(held).toEqual(["second"]);
  gates[0]?.open();
  await env.settle();
  expect(held).toEqual([]);
  dispatcher.subscribe([DATA], slow, { id: "another" });
  for (const name of ["third", "fourth", "fifth"]) {
    deliver(name);
  }
  expect(held).toEqual(["third", "fourth", "fifth"]);
  dispatcher.unsubscribe(id);
  await env.settle();
  expect(held).toEqual(["fifth"]);
  dispatcher.unsubscribe("another");
  await env.settle();
  expect(held).toEqual([]);
});

test("a handler that fails is called again after each delay, before its later messages, and then given up", async () => {
  const env = fakeEnv();
  const errors: string[] = [];
  const dispatcher = new EventDispatcher({
    env,
    retryDelays: [100, 500],
    onError: (_, { id }) => errors.push(id),
  });
  const calls: string[] = [];
  dispatcher.subscribe([DATA], ({ id }) => {
    calls.push(id);
    if (id === "bad" || (id === "once" && calls.length === 4)) {
      throw new Error(id);
    }
  });
  for (const id of ["bad", "once", "good"]) {
    void dispatcher.dispatch(message(id));
  }
  await env.advance(99);
  expect(calls).toEqual(["bad"]);
  await env.advance(1);
  await env.advance(499);
  expect(calls).toEqual(["bad", "bad"]);
  await env.advance(1);
  expect(calls).toEqual(["bad", "bad", "bad", "once"]);
  await env.advance(100);
  expect(calls).toEqual(["bad", "bad", "bad", "once", "once", "good"]);
  expect(errors).toEqual(["bad"]);
  expect(dispatcher.getStats()).toMatchObject({ totalHandled: 2, totalErrors: 1 });
});

test("unsubscribing drops what waits, ends a wait for another try, and settles all of it", async () => {
  const env = fakeEnv();
  const dispatcher = new EventDispatcher({ env, retryDelays: [60_000] });
  const id = dispatcher.subscribe([DATA], () => Promise.reject(new Error("no")));
  const all = Promise.all(["a", "b"].map((name) => dispatcher.dispatch(message(name))));
  await env.settle();
  expect(env.timers()).toBe(1);
  dispatcher.unsubscribe(id);
  await all;
  expect(env.timers()).toBe(0);
});

test("history holds the newest 50, by type where that is asked", async () => {
  const dispatcher = new EventDispatcher();
  for (let i = 0; i < 60; i++) {
    await dispatcher.dispatch(message(`m${i}`, { type: i % 2 ? TEXT : DATA }));
  }
  const history = dispatcher.getHistory();
  expect([history.length, history[0]?.id, history.at(-1)?.id]).toEqual([50, "m10", "m59"]);
  expect(dispatcher.getHistory(TEXT)).toHaveLength(25);
  history.pop();
  expect(dispatcher.getHistory()).toHaveLength(50);
});

test("clear ends everything, also handlers that never return", async () => {
  const dispatcher = new EventDispatcher();
  let calls = 0;
  dispatcher.setDefaultHandlers({ json: () => void calls++ });
  dispatcher.subscribe([DATA], () => never());
  void dispatcher.dispatch(message("a"));
  dispatcher.clear();
  await dispatcher.dispatch(message("b"));
  expect(calls).toBe(1);
  expect(dispatcher.getSubscriberCount()).toBe(0);
  expect(dispatcher.getHistory().map(({ id }) => id)).toEqual(["b"]);
});

test("1,000,000 messages through the dispatcher keep the heap flat", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const dispatcher = new EventDispatcher();
  let handled = 0;
  dispatcher.subscribe([DATA], () => void handled++);
  dispatcher.subscribe([DATA], async () => void handled++);
  dispatcher.setDefaultHandlers({ json: () => void handled++ });
  const run = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      await dispatcher.dispatch(message(`m${i}`));
    }
  };
  await run(0, 10_000);
  const before = heap();
  await run(10_000, 1_000_000);
  expect(handled).toBe(3_000_000);
  expect(heap() - before).toBeLessThan(1_000_000);
});

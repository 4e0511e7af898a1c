import { expect, test } from "vitest";
import { HubError } from "../../src/errors.ts";
import { MessageQueueManager } from "../../src/outbox/queue.ts";
import { type Message, MessagePriority, MessageType } from "../../src/types.ts";
import { fakeEnv } from "../support/fake-env.ts";

const { LOW, NORMAL, HIGH, CRITICAL } = MessagePriority;

function message(id: string, priority: MessagePriority = NORMAL): Message {
  return { id, type: MessageType.JSON, priority, timestamp: 1, source: "alice", payload: id };
}

function ids(queue: MessageQueueManager): string[] {
  return queue.getProcessableItems().map((item) => item.message.id);
}

test("higher priorities go first, equal ones in the order of arrival", () => {
  const queue = new MessageQueueManager();
  for (const [id, priority] of Object.entries({ a: LOW, b: NORMAL, c: CRITICAL, d: NORMAL, e: HIGH })) {
    expect(queue.enqueue(message(id, priority))).toBe(true);
  }
  expect(queue.enqueue(message("f", LOW), { priority: CRITICAL })).toBe(true);
  expect(ids(queue)).toEqual(["c", "f", "e", "b", "d", "a"]);
  expect(queue.peek()?.message.id).toBe("c");
  expect(queue.dequeue()?.message.id).toBe("c");
  expect(queue.get("c")).toBeUndefined();
  expect(queue.get("f")?.priority).toBe(CRITICAL);
  expect(queue.size()).toBe(5);
});

test("defect 1: what succeeded leaves the queue, so that it never fills up with what was sent", () => {
  const queue = new MessageQueueManager(2);
  for (let i = 0; i < 1000; i++) {
    expect(queue.enqueue(message(`m${i}`))).toBe(true);
    const item = queue.peek();
    if (item) {
      queue.handleSuccess(item);
    }
  }
  expect(queue.getStats()).toEqual({
    totalEnqueued: 1000,
    totalProcessed: 1000,
    totalFailed: 0,
    totalRetried: 0,
    queueSize: 0,
  });
  expect(queue.isEmpty()).toBe(true);
});

test("defect 2: a full queue gives up the oldest of its lowest priority for something higher, and tells its callback", () => {
  const queue = new MessageQueueManager(3);
  const evicted: string[] = [];
  const callback = {
    onError: (error: Error, { id }: Message) => evicted.push(`${id} ${(error as HubError).code}`),
  };
  for (const [id, priority] of Object.entries({ n: NORMAL, l1: LOW, l2: LOW })) {
    queue.enqueue(message(id, priority), { callback });
  }
  expect(queue.enqueue(message("l3", LOW), { callback })).toBe(false);
  expect(queue.enqueue(message("h", HIGH), { callback })).toBe(true);
  expect(evicted).toEqual(["l1 evicted"]);
  expect(queue.enqueue(message("n2", NORMAL), { callback })).toBe(true);
  expect(queue.enqueue(message("n3", NORMAL), { callback })).toBe(false);
  expect(evicted).toEqual(["l1 evicted", "l2 evicted"]);
  expect(ids(queue)).toEqual(["h", "n", "n2"]);
  expect(queue.getStats().totalFailed).toBe(2);
});

test("a message that is being sent is not evicted", () => {
  const queue = new MessageQueueManager(1);
  queue.enqueue(message("l", LOW));
  const item = queue.peek();
  expect(item).not.toBeNull();
  Object.assign(item as object, { sending: true });
  expect(queue.enqueue(message("h", HIGH))).toBe(false);
  expect(queue.size()).toBe(1);
  expect(queue.getProcessableItems()).toEqual([]);
});

test("a callback that sends again while its message is evicted does not break the bound", () => {
  const queue = new MessageQueueManager(1);
  const again: boolean[] = [];
  queue.enqueue(message("l", LOW), {
    callback: { onError: () => again.push(queue.enqueue(message("l2", LOW))) },
  });
  expect(queue.enqueue(message("h", HIGH))).toBe(true);
  expect(again).toEqual([false]);
  expect(ids(queue)).toEqual(["h"]);
});

test("an id is in the queue once", () => {
  const queue = new MessageQueueManager();
  expect(queue.enqueue(message("a"))).toBe(true);
  expect(queue.enqueue(message("a", HIGH))).toBe(false);
  expect(queue.size()).toBe(1);
});

test("defect 3: retry delays are 1, 2, 5, 10 and 30 seconds, and repeats are counted", () => {
  const queue = new MessageQueueManager();
  expect([0, 1, 2, 3, 4, 5, 99].map((count) => queue.getRetryDelay(count))).toEqual([
    1000, 2000, 5000, 10000, 30000, 30000, 30000,
  ]);
  queue.enqueue(message("a"));
  const item = queue.peek();
  if (!item) {
    throw new Error("the queue lost it");
  }
  expect([1, 2, 3, 4, 5, 6].map(() => queue.incrementRetry(item))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
  expect(item.retryCount).toBe(6);
  expect(queue.getStats().totalRetried).toBe(6);
});

test("each outcome reaches its callback, and an error in a callback stays there", async () => {
  const env = fakeEnv();
  const queue = new MessageQueueManager(10, env);
  const told: string[] = [];
  const callback = {
    onSuccess: ({ id }: Message) => told.push(`success ${id}`),
    onError: (error: Error, { id }: Message) => told.push(`error ${id} ${error.message}`),
    onTimeout: ({ id }: Message) => told.push(`timeout ${id}`),
  };
  queue.onFailure = (_, { id }) => told.push(`failed ${id}`);
  for (const id of ["a", "b", "c"]) {
    queue.enqueue(message(id), { callback });
  }
  const [a, b, c] = queue.getProcessableItems();
  if (!a || !b || !c) {
    throw new Error("the queue lost one");
  }
  queue.handleSuccess(a);
  queue.handleFailure(b, new Error("no"));
  queue.handleFailure(c, new HubError("timeout", "late"));
  expect(told).toEqual(["success a", "error b no", "failed b", "timeout c", "failed c"]);

  queue.enqueue(message("d"), {
    callback: {
      onSuccess: () => {
        throw new Error("mine");
      },
    },
  });
  const d = queue.peek();
  expect(() => d && queue.handleSuccess(d)).not.toThrow();
  await env.settle();
  expect(env.logged).toHaveLength(1);
});

test("what is removed or cleared is gone", () => {
  const queue = new MessageQueueManager();
  queue.enqueue(message("a"));
  queue.enqueue(message("b"));
  expect(queue.remove("a")).toBe(true);
  expect(queue.remove("a")).toBe(false);
  queue.clear();
  expect(queue.isEmpty()).toBe(true);
  expect(queue.peek()).toBeNull();
  expect(queue.dequeue()).toBeNull();
});

test("restored items stand before those that came since, each in its priority", () => {
  const queue = new MessageQueueManager(2);
  queue.enqueue(message("new"));
  queue.enqueue(message("urgent", CRITICAL));
  const restored = ["old1", "old2"].map((id) => ({
    message: message(id),
    priority: NORMAL,
    enqueuedAt: 0,
    retryCount: 1,
  }));
  queue.restore(restored);
  expect(ids(queue)).toEqual(["urgent", "old1", "old2", "new"]);
});

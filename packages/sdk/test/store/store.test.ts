import { IDBFactory } from "fake-indexeddb";
import { expect, test } from "vitest";
import { indexedDbStore, type StoredItem } from "../../src/store/index.ts";
import { MessagePriority } from "../../src/types.ts";

function item(id: string, enqueuedAt: number): StoredItem {
  return { id, body: `{"id":"${id}"}`, priority: MessagePriority.NORMAL, enqueuedAt };
}

test("another page finds what was kept, in the order in which it was sent, and not what was removed", async () => {
  const factory = new IDBFactory();
  const before = indexedDbStore("alice", factory);
  await Promise.all([
    before.put(item("z", 1)),
    before.put(item("gone", 2)),
    before.put(item("a", 3)),
    before.setCursor("e-1"),
    before.remove("gone"),
    before.setCursor("e-2"),
  ]);
  await before.close();
  const after = indexedDbStore("alice", factory);
  expect(await after.load()).toEqual({ outbox: [item("z", 1), item("a", 3)], cursor: "e-2" });
  expect(await indexedDbStore("bob", factory).load()).toEqual({ outbox: [], cursor: undefined });
});

test("a store that was closed opens again", async () => {
  const store = indexedDbStore("alice", new IDBFactory());
  await store.put(item("a", 1));
  await store.close();
  await store.close();
  expect((await store.load()).outbox).toEqual([item("a", 1)]);
});

test("a connection that the browser dropped is made again", async () => {
  const factory = new IDBFactory();
  const databases: IDBDatabase[] = [];
  const open = factory.open.bind(factory);
  factory.open = (...given) => {
    const request = open(...given);
    request.addEventListener("success", () => databases.push(request.result));
    return request;
  };
  const store = indexedDbStore("alice", factory);
  await store.put(item("a", 1));
  databases[0]?.close();
  await store.put(item("b", 2));
  expect(databases).toHaveLength(2);
  await store.close();
  const { outbox } = await indexedDbStore("alice", factory).load();
  expect(outbox.map(({ id }) => id)).toEqual(["a", "b"]);
});

const refusing = {
  open() {
    throw new DOMException("not allowed here", "SecurityError");
  },
} as unknown as IDBFactory;

const failing = {
  open() {
    const request = { error: new DOMException("private mode", "InvalidStateError"), onerror: () => {} };
    queueMicrotask(() => request.onerror());
    return request;
  },
} as unknown as IDBFactory;

test.each([
  ["there is no IndexedDB", undefined],
  ["IndexedDB throws", refusing],
  ["IndexedDB fails", failing],
])("where %s, memory takes its place and nothing rejects", async (_, factory) => {
  const store = indexedDbStore("alice", factory);
  expect(await store.load()).toEqual({ outbox: [], cursor: undefined });
  await store.put(item("a", 1));
  await store.put(item("b", 2));
  await store.remove("a");
  await store.setCursor("e-1");
  expect(await store.load()).toEqual({ outbox: [item("b", 2)], cursor: "e-1" });
  await store.close();
});

test("a page that is told to give the database up does", async () => {
  const factory = new IDBFactory();
  const store = indexedDbStore("alice", factory);
  await store.put(item("a", 1));
  await new Promise((resolve, reject) => {
    const request = factory.deleteDatabase("alice");
    request.onsuccess = resolve;
    request.onblocked = reject;
  });
  expect(await store.load()).toEqual({ outbox: [], cursor: undefined });
});

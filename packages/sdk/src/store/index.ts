import type { MessagePriority } from "../types.ts";

/** A message of the outbox that is not accepted yet. */
export interface StoredItem {
  id: string;
  /** The message as the request body has it; a repeat has the same bytes. */
  body: string;
  priority: MessagePriority;
  /** Rises with each item, so it is their order, too. */
  enqueuedAt: number;
}

/**
 * Where an outbox and a cursor outlive the page.
 *
 * Calls come in order and may overlap. A call that fails costs persistence, never the message itself.
 */
export interface Persistence {
  load(): Promise<{ outbox: StoredItem[]; cursor?: string }>;
  put(item: StoredItem): Promise<void>;
  remove(id: string): Promise<void>;
  setCursor(cursor: string): Promise<void>;
  close(): Promise<void>;
}

/** The cursor lies among the messages, under an id that none of them has. */
type Row = StoredItem | { id: ""; cursor: string };

/**
 * Keeps outbox and cursor in IndexedDB; where there is none, or it fails, in memory, as long as this object lives.
 *
 * One `name` is for one client id and one hub: whoever opens it sends what is in it. Tabs may share it, because the hub takes
 * a message once.
 */
export function indexedDbStore(name: string, factory?: IDBFactory): Persistence {
  const memory = new Map<string, Row>();
  let opened: Promise<IDBDatabase> | undefined;

  const open = async (): Promise<IDBDatabase> => {
    // Even looking at `indexedDB` throws in some frames.
    const request = (factory ?? indexedDB).open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(ROWS, { keyPath: "id" });
    const database = await done(request);
    // Another page may delete it; it must not wait for this one.
    database.onversionchange = () => database.close();
    return database;
  };

  const run = async <T>(
    mode: IDBTransactionMode,
    use: (rows: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T | undefined> => {
    // A browser may drop the connection while a page sleeps: then a new one is tried.
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        opened ??= open();
        const transaction = (await opened).transaction(ROWS, mode);
        const request = use(transaction.objectStore(ROWS));
        await done(transaction);
        return request.result;
      } catch {
        opened = undefined;
      }
    }
    return undefined;
  };

  const write = async (row: Row): Promise<void> => {
    memory.set(row.id, row);
    await run("readwrite", (rows) => rows.put(row));
  };

  return {
    async load() {
      const outbox: StoredItem[] = [];
      let cursor: string | undefined;
      for (const row of (await run<Row[]>("readonly", (rows) => rows.getAll())) ?? memory.values()) {
        if ("cursor" in row) {
          cursor = row.cursor;
        } else {
          outbox.push(row);
        }
      }
      return { outbox: outbox.sort((a, b) => a.enqueuedAt - b.enqueuedAt), cursor };
    },
    put: write,
    async remove(id) {
      memory.delete(id);
      await run("readwrite", (rows) => rows.delete(id));
    },
    setCursor: (cursor) => write({ id: "", cursor }),
    async close() {
      const database = await opened?.catch(() => undefined);
      opened = undefined;
      database?.close();
    },
  };
}

const ROWS = "rows";

/** The end of a request, or of a whole transaction. */
function done<T>(work: IDBRequest<T> | IDBTransaction): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (): void => reject(work.error);
    Object.assign(work, {
      onsuccess: () => resolve((work as IDBRequest<T>).result),
      oncomplete: resolve,
      onerror: failed,
      onabort: failed,
      onblocked: failed,
    });
  });
}

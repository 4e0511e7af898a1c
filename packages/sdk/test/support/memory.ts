import type { Persistence, StoredItem } from "../../src/index.ts";

/** What outlives a page. */
export class Memory implements Persistence {
  readonly #items: Map<string, StoredItem> = new Map();
  #cursor: string | undefined;

  get size(): number {
    return this.#items.size;
  }

  async load(): Promise<{ outbox: StoredItem[]; cursor?: string }> {
    return { outbox: [...this.#items.values()], cursor: this.#cursor };
  }

  async put(item: StoredItem): Promise<void> {
    this.#items.set(item.id, item);
  }

  async remove(id: string): Promise<void> {
    this.#items.delete(id);
  }

  async setCursor(cursor: string): Promise<void> {
    this.#cursor = cursor;
  }

  async close(): Promise<void> {}
}

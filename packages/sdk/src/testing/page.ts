import type { Page, PageEvent } from "../env.ts";

/** A browser's page that a test moves: `new SSENotificationSDK({ ..., page })`. */
export class VirtualPage implements Page {
  #visible = true;
  readonly #listeners: Map<PageEvent, Set<(persisted: boolean) => void>> = new Map();

  visible(): boolean {
    return this.#visible;
  }

  listen(event: PageEvent, run: (persisted: boolean) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    // A function of its own, so that the same one twice is two listeners.
    const listener = (persisted: boolean): void => run(persisted);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** How many listeners there are. */
  listeners(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }

  /** Another tab comes to the front. */
  hide(): void {
    this.#visible = false;
    this.fire("hidden");
  }

  show(): void {
    this.#visible = true;
    this.fire("visible");
  }

  /** Tells the listeners of an event; `persisted` goes with `pagehide` and `pageshow`. */
  fire(event: PageEvent, persisted = false): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      listener(persisted);
    }
  }
}

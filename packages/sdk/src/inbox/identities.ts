/** How many settled identities are known at least; at most twice as many are kept. */
export const SETTLED_MIN = 8192;

/**
 * Knows which messages came before: all that are not settled, and the newest that are.
 *
 * Two generations make forgetting free: the older one is dropped when the newer one is full.
 */
export class Identities {
  readonly #open = new Set<string>();
  #settled = new Set<string>();
  #older = new Set<string>();

  /** `undefined` for a message that is new; it is open from now on. */
  meet(identity: string): "open" | "settled" | undefined {
    if (this.#open.has(identity)) {
      return "open";
    }
    if (this.#settled.has(identity) || this.#older.has(identity)) {
      return "settled";
    }
    this.#open.add(identity);
    return undefined;
  }

  settle(identity: string): void {
    this.#open.delete(identity);
    if (this.#settled.size === SETTLED_MIN) {
      this.#older = this.#settled;
      this.#settled = new Set();
    }
    this.#settled.add(identity);
  }

  /** When it comes again it is new. */
  forget(identity: string): void {
    this.#open.delete(identity);
  }
}

/** How many settled identities are known at least; at most twice as many are kept. */
export const SETTLED_MIN = 8192;

/** Knows which messages came before: all that are not settled, and the newest that are. */
export interface Identities {
  /** `undefined` for a message that is new; it is open from now on. */
  meet(identity: string): "open" | "settled" | undefined;
  settle(identity: string): void;
  /** When it comes again it is new. */
  forget(identity: string): void;
}

/** Two generations make forgetting free: the older one is dropped when the newer one is full. */
export function createIdentities(): Identities {
  const open = new Set<string>();
  let settled = new Set<string>();
  let older = settled;
  const forget = (identity: string): void => void open.delete(identity);
  return {
    meet(identity) {
      if (settled.has(identity) || older.has(identity)) {
        return "settled";
      }
      return open.size === open.add(identity).size ? "open" : undefined;
    },
    settle(identity) {
      forget(identity);
      if (settled.size === SETTLED_MIN) {
        older = settled;
        settled = new Set();
      }
      settled.add(identity);
    },
    forget,
  };
}

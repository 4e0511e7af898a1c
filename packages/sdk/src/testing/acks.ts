import type { Log } from "./log.ts";
import { Refused } from "./problem.ts";

interface Stored {
  position: number;
  ahead: ReadonlySet<number>;
}

const BEGINNING: Stored = { position: 0, ahead: new Set() };
const AHEAD_MAX = 64;

/** How far each client, per device, has acknowledged its mailbox. */
export class Acks {
  readonly #log: Log;
  readonly #stored: Map<string, Stored> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  stored(clientId: string, device: string | undefined): Stored {
    return this.#stored.get(key(clientId, device)) ?? BEGINNING;
  }

  /** The stored cursor as a text; nothing while the client has none. */
  text(clientId: string, device: string | undefined): string | undefined {
    const stored = this.#stored.get(key(clientId, device));
    return (
      stored &&
      this.#log.cursor({ mailbox: stored.position, shared: stored.position, ahead: [...stored.ahead] })
    );
  }

  /** Returns whether the cursor asked for now counts as read. */
  move(clientId: string, device: string | undefined, cursor: string, from: string | undefined): boolean {
    const stored = this.stored(clientId, device);
    const asked = this.#locate(cursor, "cursor");
    const began = from === undefined ? stored.position : this.#locate(from, "from")?.mailbox;
    const reach = Math.max(stored.position, this.#log.mailboxesRemoved());
    if (!asked || began === undefined || began > reach) {
      return false;
    }
    const position = Math.max(stored.position, asked.mailbox);
    const ahead = [...new Set([...stored.ahead, ...asked.ahead])].filter((one) => one > position);
    ahead.sort((a, b) => a - b);
    this.#stored.set(key(clientId, device), { position, ahead: new Set(ahead.slice(0, AHEAD_MAX)) });
    return true;
  }

  clear(): void {
    this.#stored.clear();
  }

  #locate(cursor: string, field: string): { mailbox: number; ahead: number[] } | undefined {
    const { place, known, malformed } = this.#log.locate(cursor);
    if (malformed) {
      throw new Refused("invalid_cursor", "is not a cursor", { field });
    }
    return known ? place : undefined;
  }
}

function key(clientId: string, device: string | undefined): string {
  return `${clientId}\n${device ?? ""}`;
}

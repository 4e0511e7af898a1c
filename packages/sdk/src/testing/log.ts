import type { Message } from "../wire/message.ts";
import { formatCursor, type Place, parseCursor } from "./cursor.ts";
import { matches } from "./patterns.ts";

/** A stored message. */
export interface Entry {
  position: number;
  message: Message;
  storedAt: number;
}

/** Older ones are removed, as retention does it. */
const ENTRIES_MAX = 100_000;

/** Of all hubs of this process, so that none knows another's cursor. */
let epochs = 0;

/** The hub's one log: positions, epochs, and what retention took. */
export class Log {
  head = 0;
  epoch = "";
  readonly #entries: Map<number, Entry> = new Map();
  /** The last position of each earlier epoch. */
  readonly #lineage: Map<string, number> = new Map();
  /** The newest position that was removed, of each subject. */
  readonly #removed: Map<string, number> = new Map();

  constructor() {
    this.#begin();
  }

  append(message: Message, storedAt: number): Entry {
    this.head += 1;
    const entry = { position: this.head, message, storedAt };
    this.#entries.set(this.head, entry);
    if (this.#entries.size > ENTRIES_MAX) {
      this.#remove(this.#entries.values().next().value as Entry, storedAt);
    }
    return entry;
  }

  at(position: number): Entry | undefined {
    return this.#entries.get(position);
  }

  /** The oldest first. */
  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Removes everything, as retention does it. */
  trim(now: number): void {
    for (const entry of this.#entries.values()) {
      this.#remove(entry, now);
    }
  }

  /** The hub starts again: a new epoch of the same time line. */
  restart(): void {
    this.#lineage.set(this.epoch, this.head);
    this.#begin();
  }

  /** Another hub with an empty store answers from now on; it knows no cursor. */
  replace(): void {
    this.#lineage.clear();
    this.#removed.clear();
    this.#entries.clear();
    this.head = 0;
    this.#begin();
  }

  /** Where everything is that this log has. */
  end(): string {
    return this.cursor({ mailbox: this.head, shared: this.head, ahead: [] });
  }

  cursor(place: Omit<Place, "epoch">): string {
    return formatCursor({ epoch: this.epoch, ...place });
  }

  /**
   * The place of a cursor in this log. Beyond the end of its epoch it is cut, and `known` is false; where the hub has
   * never written it there is no place.
   */
  locate(text: string): { place?: Place; known: boolean; malformed: boolean } {
    const place = parseCursor(text);
    const last = place?.epoch === this.epoch ? this.head : this.#lineage.get(place?.epoch ?? "");
    if (!place || last === undefined) {
      return { known: false, malformed: !place };
    }
    const cut = {
      epoch: this.epoch,
      mailbox: Math.min(place.mailbox, last),
      shared: Math.min(place.shared, last),
      ahead: place.ahead.filter((position) => position <= last),
    };
    const known = cut.mailbox === place.mailbox && cut.shared === place.shared;
    return { place: cut, known, malformed: false };
  }

  /** The position of the oldest message that is kept. */
  oldest(): number {
    return this.#entries.keys().next().value ?? this.head + 1;
  }

  /** Whether retention took something of a mailbox behind this position. */
  lostMailbox(clientId: string, position: number): boolean {
    return (this.#removed.get(`client.${clientId}`) ?? 0) > position;
  }

  /** Whether retention took a broadcast, or a message of one of these topics, behind this position. */
  lostShared(patterns: string[], position: number): boolean {
    return [...this.#removed].some(([subject, removed]) => {
      const topic = subject.startsWith("topic.") ? subject.slice(6) : undefined;
      const read = topic === undefined ? subject === "all" : patterns.some((one) => matches(one, topic));
      return read && removed > position;
    });
  }

  /** The newest position that retention took from any mailbox. */
  mailboxesRemoved(): number {
    const mailboxes = [...this.#removed].filter(([subject]) => subject.startsWith("client."));
    return Math.max(0, ...mailboxes.map(([, position]) => position));
  }

  #begin(): void {
    epochs += 1;
    this.epoch = epochs.toString(16).padStart(16, "e");
  }

  #remove({ position, message, storedAt }: Entry, now: number): void {
    this.#entries.delete(position);
    // What nobody would have been sent any more is no loss.
    if (storedAt + (message.ttl ?? Number.POSITIVE_INFINITY) > now) {
      this.#removed.set(subjectOf(message), position);
    }
  }
}

function subjectOf({ target, topic }: Message): string {
  if (target !== undefined) {
    return `client.${target}`;
  }
  return topic === undefined ? "all" : `topic.${topic}`;
}

import type { ReceiptPayload, ReceiptStatus } from "../wire/events.ts";
import type { Message } from "../wire/message.ts";
import type { VirtualClock } from "./clock.ts";
import type { Entry } from "./log.ts";
import type { TestStream } from "./stream.ts";

/** The same numbers as the hub's own defaults. */
const FIRST_DELAY_MS = 10_000;
const DELAY_MAX_MS = 300_000;
const ATTEMPTS_MAX = 10;

interface Pending {
  entry: Entry;
  attempts: number;
  stop: () => void;
}

export interface ReceiptsHub {
  clock: VirtualClock;
  streams(clientId: string): TestStream[];
  /** Stores the receipt for the source of a message. */
  receipt(source: string, payload: ReceiptPayload): void;
}

/** Messages that wait for an ack of their own: repeated until it comes, with receipts to their source. */
export class Receipts {
  readonly #hub: ReceiptsHub;
  readonly #pending: Map<string, Pending> = new Map();
  readonly #told: Map<string, { clientId: string; status: ReceiptStatus; at: number }[]> = new Map();

  constructor(hub: ReceiptsHub) {
    this.#hub = hub;
  }

  wait(entry: Entry): void {
    this.#pending.set(identity(entry.message), { entry, attempts: 0, stop: () => {} });
  }

  /** It has been written to a connection as itself. */
  delivered({ message }: Entry): void {
    const pending = this.#pending.get(identity(message));
    if (pending && pending.attempts === 0) {
      this.#tell(message, "delivered");
      this.#attempted(pending);
    }
  }

  /** A client is back: what its stream's start counts as sent comes again. */
  connected(stream: TestStream): void {
    for (const pending of this.#pending.values()) {
      const { message, position } = pending.entry;
      if (message.target === stream.clientId && pending.attempts > 0 && stream.startedBehind(position)) {
        this.#repeat(pending);
      }
    }
  }

  ack(clientId: string, matches: (message: Message) => boolean): void {
    for (const [key, pending] of this.#pending) {
      const { message } = pending.entry;
      if (message.target === clientId && matches(message)) {
        this.#forget(key, pending);
        if (pending.attempts === 0) {
          this.#tell(message, "delivered");
        }
        this.#tell(message, "acknowledged");
      }
    }
  }

  of(message: Message): { clientId: string; status: ReceiptStatus; at: number }[] {
    return this.#told.get(identity(message)) ?? [];
  }

  clear(): void {
    for (const [key, pending] of this.#pending) {
      this.#forget(key, pending);
    }
    this.#told.clear();
  }

  #repeat(pending: Pending): void {
    const { entry, attempts } = pending;
    const streams = this.#hub.streams(entry.message.target as string);
    if (streams.length === 0) {
      return;
    }
    if (attempts >= ATTEMPTS_MAX) {
      this.#forget(identity(entry.message), pending);
      this.#tell(entry.message, "expired");
      return;
    }
    for (const stream of streams) {
      stream.again({ ...entry.message, redelivery: attempts });
    }
    this.#attempted(pending);
  }

  #attempted(pending: Pending): void {
    pending.stop();
    pending.attempts += 1;
    const delay = Math.min(DELAY_MAX_MS, FIRST_DELAY_MS * 2 ** (pending.attempts - 1));
    pending.stop = this.#hub.clock.background(() => this.#repeat(pending), delay);
  }

  #forget(key: string, pending: Pending): void {
    pending.stop();
    this.#pending.delete(key);
  }

  #tell(message: Message, status: ReceiptStatus): void {
    const clientId = message.target as string;
    this.#told.set(identity(message), [...this.of(message), { clientId, status, at: this.#hub.clock.now() }]);
    if (message.source === "anonymous") {
      return;
    }
    const commandId = (message.payload as { commandId?: unknown } | null)?.commandId;
    this.#hub.receipt(message.source, {
      messageId: message.id,
      ...(message.type === "command" && typeof commandId === "string" ? { commandId } : {}),
      clientId,
      status,
      success: status !== "expired",
    });
  }
}

function identity({ source, id }: Message): string {
  return `${source}\n${id}`;
}

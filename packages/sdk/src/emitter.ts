import type { Logger } from "./env.ts";
import type { HubError } from "./errors.ts";
import type {
  ConnectDetail,
  ConnectionState,
  Gap,
  Message,
  ProgressMessage,
  ReceiptMessage,
} from "./types.ts";
import { attempt } from "./wait.ts";

/** What the SDK tells its application, beside the messages that it subscribed to. */
export interface SdkEvents {
  stateChange: StateChange;
  connected: ConnectDetail;
  /** The stream was lost or closed; `reason.code` says why. */
  disconnected: HubError;
  /** An attempt will be made after `delay` milliseconds. */
  reconnecting: { attempt: number; maxAttempts: number; delay: number };
  message: Message;
  ack: ReceiptMessage;
  progress: ProgressMessage;
  /** Messages are lost for this client: load anew what they would have told. */
  gap: Gap;
  /** Another connection took this one's place. It is not made again by itself. */
  replaced: HubError;
  /** The hub no longer takes the token. A token function is asked for a new one by itself. */
  tokenExpired: HubError;
  /** A message gave way in a full outbox. */
  queueOverflow: Message;
  /** Never throws, also where nobody listens. */
  error: HubError;
}

export interface StateChange {
  from: ConnectionState;
  to: ConnectionState;
  reason?: HubError;
}

type Listener<T> = (value: T) => unknown;

/** Listeners by event. One that throws is logged, and disturbs nobody else. */
export class Emitter<Events> {
  // biome-ignore lint/suspicious/noExplicitAny: which value goes with which event is the methods' business.
  #listeners: Map<PropertyKey, Set<Listener<any>>> = new Map();
  #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Returns what ends it. The same function twice is called twice. */
  on<K extends keyof Events>(event: K, run: Listener<Events[K]>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    const listener: Listener<Events[K]> = (value) => run(value);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      attempt(this.#log, () => listener(value));
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}

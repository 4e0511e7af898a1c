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

/**
 * Listeners by event. One that throws is logged, and disturbs nobody else; what one of them causes is told when all have
 * heard what came before it.
 */
export interface Emitter<Events> {
  /** Returns what ends it. The same function twice is called twice. */
  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void;
  emit<K extends keyof Events>(event: K, value: Events[K]): void;
  clear(): void;
}

export function createEmitter<Events>(log: Logger): Emitter<Events> {
  const listeners = new Set<[event: keyof Events, Listener<never>]>();
  const untold: [keyof Events, unknown][] = [];
  return {
    on(event, listener) {
      const entry: [keyof Events, Listener<never>] = [event, listener];
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
    emit(event, value) {
      if (!listeners.size || untold.push([event, value]) > 1) {
        return;
      }
      for (; untold[0]; untold.shift()) {
        const [name, told] = untold[0];
        for (const [of, listener] of [...listeners]) {
          if (of === name) {
            attempt(log, () => listener(told as never));
          }
        }
      }
    },
    clear: () => listeners.clear(),
  };
}

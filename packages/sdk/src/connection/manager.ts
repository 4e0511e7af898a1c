import { type SSKSConfig, settle } from "../config.ts";
import { Emitter } from "../emitter.ts";
import { environment } from "../env.ts";
import { createCredentials } from "../http/credentials.ts";
import type { ConnectionState } from "../types.ts";
import { Connection, type ConnectionParts } from "./connection.ts";

type StateListener = (state: ConnectionState, prev: ConnectionState) => void;
type EventListener = (event: MessageEvent) => void;
type ErrorListener = (error: Error) => void;

/** A connection with listeners for its states, its raw events and its errors; it may be used without an SDK around it. */
export class SSEConnectionManager extends Connection {
  #ends: Map<unknown, () => void> = new Map();
  #events: Emitter<{ event: MessageEvent }>;

  constructor(config: SSKSConfig, parts: Partial<ConnectionParts> = {}) {
    const env = parts.env ?? environment(config);
    super({
      env,
      settings: parts.settings ?? settle(config),
      credentials: parts.credentials ?? createCredentials(config.authToken, config.headers),
      emitter: parts.emitter ?? new Emitter(env.log),
      sink: parts.sink,
    });
    this.parts.settings.instance ??= env.uuid();
    this.#events = new Emitter(env.log);
  }

  getState(): ConnectionState {
    return this.state;
  }

  isConnected(): boolean {
    return this.state === "connected";
  }

  addStateListener(listener: StateListener): void {
    this.#add(
      listener,
      this.parts.emitter.on("stateChange", ({ to, from }) => listener(to, from)),
    );
  }

  removeStateListener(listener: StateListener): void {
    this.#remove(listener);
  }

  /** Listens to each event as a browser's EventSource gives it. */
  addMessageListener(listener: EventListener): void {
    this.onEvent ??= ({ name, data, lastEventId }) =>
      this.#events.emit("event", new MessageEvent(name, { data, lastEventId }));
    this.#add(listener, this.#events.on("event", listener));
  }

  removeMessageListener(listener: EventListener): void {
    this.#remove(listener);
  }

  addErrorListener(listener: ErrorListener): void {
    this.#add(listener, this.parts.emitter.on("error", listener));
  }

  removeErrorListener(listener: ErrorListener): void {
    this.#remove(listener);
  }

  #add(listener: unknown, end: () => void): void {
    this.#remove(listener);
    this.#ends.set(listener, end);
  }

  #remove(listener: unknown): void {
    this.#ends.get(listener)?.();
    this.#ends.delete(listener);
  }
}

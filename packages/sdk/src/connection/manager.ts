import { type SSKSConfig, settle } from "../config.ts";
import { createEmitter, type Emitter, type SdkEvents } from "../emitter.ts";
import { environment } from "../env.ts";
import { createCredentials } from "../http/credentials.ts";
import type { CallOptions, ConnectionState } from "../types.ts";
import { type Connection, createConnection } from "./connection.ts";

type StateListener = (state: ConnectionState, prev: ConnectionState) => void;
type EventListener = (event: MessageEvent) => void;
type ErrorListener = (error: Error) => void;

/** A connection by itself, with listeners for its states, its raw events and its errors; nothing is acknowledged. */
export class SSEConnectionManager {
  #connection: Connection;
  #emitter: Emitter<SdkEvents & { event: MessageEvent }>;
  #ends: Map<unknown, () => void> = new Map();

  constructor(config: SSKSConfig) {
    const env = environment(config);
    const emitter = createEmitter<SdkEvents & { event: MessageEvent }>(env.log);
    const settings = settle(config);
    this.#emitter = emitter;
    this.#connection = createConnection({
      env,
      settings,
      emitter,
      credentials: createCredentials(config.authToken, config.headers),
      onEvent: ({ name, data, lastEventId }) =>
        emitter.emit("event", new MessageEvent(name, { data, lastEventId })),
    });
  }

  getState(): ConnectionState {
    return this.#connection.state;
  }

  isConnected(): boolean {
    return this.getState() === "connected";
  }

  connect(options?: CallOptions): Promise<void> {
    return this.#connection.connect(options);
  }

  disconnect(reason?: string): void {
    this.#connection.disconnect(reason);
  }

  reconnect(options?: CallOptions): Promise<void> {
    return this.#connection.reconnect(options);
  }

  addStateListener(listener: StateListener): void {
    this.#add(
      listener,
      this.#emitter.on("stateChange", ({ to, from }) => listener(to, from)),
    );
  }

  removeStateListener(listener: StateListener): void {
    this.#remove(listener);
  }

  /** Listens to each event as a browser's EventSource gives it. */
  addMessageListener(listener: EventListener): void {
    this.#add(listener, this.#emitter.on("event", listener));
  }

  removeMessageListener(listener: EventListener): void {
    this.#remove(listener);
  }

  addErrorListener(listener: ErrorListener): void {
    this.#add(listener, this.#emitter.on("error", listener));
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

import type { TaskOptions } from "./commands/commands.ts";
import type { CommandHandle } from "./commands/handle.ts";
import { type SSKSConfig, settle } from "./config.ts";
import { createEmitter, type SdkEvents } from "./emitter.ts";
import { environment } from "./env.ts";
import { HubError } from "./errors.ts";
import { createCredentials } from "./http/credentials.ts";
import type { DispatcherStats } from "./inbox/dispatcher.ts";
import { iterate, type MessagesOptions } from "./messages.ts";
import type { QueueStats } from "./outbox/queue.ts";
import { type Base, compose, type Parts } from "./parts.ts";
import {
  type CallOptions,
  CommandAction,
  type CommandOptions,
  type ConnectionState,
  type EventHandlerMap,
  type Message,
  type MessageHandler,
  MessagePriority,
  MessageType,
  type Outgoing,
  type SendOptions,
  type SendToOptions,
  type SubscribeOptions,
} from "./types.ts";
import { deferred } from "./wait.ts";

export interface SdkStats {
  connection: { state: ConnectionState; isConnected: boolean };
  queue: QueueStats;
  dispatcher: DispatcherStats;
}

/**
 * A client of a Tidings hub.
 *
 * What it sends is kept until the hub has accepted it; what it receives reaches each handler once, and is acknowledged
 * when the handlers are through; the connection is made again until somebody says that it shall not be.
 */
export class SSENotificationSDK {
  #parts: Parts;
  #handlers: EventHandlerMap = {};
  #disposed = false;

  /** Connects at once unless `autoConnect` is false. Throws `invalid_config` with the field that is at fault. */
  constructor(config: SSKSConfig) {
    const settings = settle(config);
    const env = environment(config);
    const emitter = createEmitter<SdkEvents>(env.log);
    const credentials = createCredentials(settings.authToken, settings.headers);
    this.#parts = this.#compose({ env, settings, credentials, emitter });
    if (settings.autoConnect) {
      // How it goes is told by events; who wants to wait for it calls `ready`.
      this.connect().catch(() => {});
    }
  }

  /**
   * Connects, or tries at once where an attempt is waited for. Resolves when the stream is open and rejects when there
   * are no more attempts; an abort or a timeout ends the wait alone. After `dispose` it begins a new life.
   */
  connect(options?: CallOptions): Promise<void> {
    this.#disposed = false;
    return this.#parts.connection.connect(options);
  }

  /** Resolves when the stream is open, over all reconnects; rejects when there are no more attempts. */
  ready(options?: CallOptions): Promise<void> {
    return this.#parts.connection.ready(options);
  }

  /** Leaves the stream, or the wait for one, for a new one that goes on where this one was. */
  reconnect(options?: CallOptions): Promise<void> {
    this.#disposed = false;
    return this.#parts.connection.reconnect(options);
  }

  /** Closes the stream. What is sent meanwhile waits for the next `connect`. */
  disconnect(reason?: string): void {
    this.#parts.connection.disconnect(reason);
  }

  isConnected(): boolean {
    return this.getConnectionState() === "connected";
  }

  getConnectionState(): ConnectionState {
    return this.#parts.connection.state;
  }

  /** Calls the handler with every message of these types; returns the subscription's id. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `Message`.
  subscribe<P = any>(
    messageTypes: MessageType[],
    handler: MessageHandler<P>,
    options?: SubscribeOptions,
  ): string {
    return this.#parts.dispatcher.subscribe(messageTypes, handler, options);
  }

  unsubscribe(subscriptionId: string): boolean {
    return this.#parts.dispatcher.unsubscribe(subscriptionId);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `Message`.
  subscribeOnce<P = any>(messageType: MessageType, handler: MessageHandler<P>): string {
    return this.#parts.dispatcher.subscribeOnce(messageType, handler);
  }

  /**
   * Messages for `for await`. One counts as handled when the next is asked for. Ends on dispose and when `signal`
   * aborts; throws when the connection has come to an end for good.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as for `Message`.
  messages<P = any>(options: MessagesOptions = {}): AsyncGenerator<Message<P>, void> {
    const { dispatcher, emitter, ended } = this.#parts;
    return iterate(dispatcher, emitter, ended.signal, options);
  }

  /** Adds a topic or pattern to the subscriptions. They are restored with every stream. */
  subscribeTopic(topic: string, options?: CallOptions): Promise<void> {
    return this.#parts.changeTopic(topic, true, options);
  }

  unsubscribeTopic(topic: string, options?: CallOptions): Promise<void> {
    return this.#parts.changeTopic(topic, false, options);
  }

  getTopics(): string[] {
    return [...this.#parts.connection.topics];
  }

  /**
   * Resolves when the hub has accepted the message; without a connection it waits in the queue. Who only uses the
   * callbacks need not look at the promise.
   */
  send(message: Outgoing, options?: SendOptions): Promise<void> {
    if (this.#disposed) {
      const refused = deferred<void>();
      refused.reject(new HubError("disposed"));
      return refused.promise;
    }
    this.#wake();
    return this.#parts.outbox.send(message, options);
  }

  sendText(content: string, options?: SendToOptions): Promise<void> {
    return this.#sendTo(MessageType.TEXT, { content }, options);
  }

  // biome-ignore lint/suspicious/noExplicitAny: data is any JSON.
  sendJSON(data: any, options?: SendToOptions): Promise<void> {
    return this.#sendTo(MessageType.JSON, data, options);
  }

  /** Resolves to the command's id when the hub has accepted it. */
  async sendCommand(
    action: CommandAction,
    // biome-ignore lint/suspicious/noExplicitAny: parameters are any JSON.
    params?: Record<string, any>,
    options: CommandOptions = {},
  ): Promise<string> {
    this.#wake();
    const { taskId, requireAck, target, ...sending } = options;
    const { timeout } = options;
    const commandId = this.#parts.env.uuid();
    const payload = { commandId, action, taskId, params, timeout, requireAck };
    await this.#parts.commands.publish(payload, target, { priority: MessagePriority.HIGH, ...sending });
    return commandId;
  }

  /**
   * Has the handler `name` run, by the hub or, with `target`, by that client; returns a handle to await, follow and
   * control it.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  command<R = any>(name: string, params?: object, options?: TaskOptions): CommandHandle<R> {
    this.#wake();
    return this.#parts.commands.command(name, params, options);
  }

  /** The handle of a command that was sent earlier, also by a page before this one. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  attach<R = any>(id: string, options?: CallOptions & { target?: string }): CommandHandle<R> {
    return this.#parts.commands.attach(id, options);
  }

  queryProgress(taskId: string, options?: CallOptions): Promise<void> {
    return this.#control(CommandAction.QUERY, taskId, options);
  }

  cancelTask(taskId: string, options?: CallOptions): Promise<void> {
    return this.#control(CommandAction.CANCEL, taskId, options);
  }

  pauseTask(taskId: string, options?: CallOptions): Promise<void> {
    return this.#control(CommandAction.PAUSE, taskId, options);
  }

  resumeTask(taskId: string, options?: CallOptions): Promise<void> {
    return this.#control(CommandAction.RESUME, taskId, options);
  }

  syncTask(taskId?: string, options?: CallOptions): Promise<void> {
    return this.#control(CommandAction.SYNC, taskId, options);
  }

  /** Listens to what happens to the SDK itself; returns what ends it. */
  on<K extends keyof SdkEvents>(event: K, listener: (value: SdkEvents[K]) => unknown): () => void {
    return this.#parts.emitter.on(event, listener);
  }

  onConnectionChange(callback: (state: ConnectionState, prevState: ConnectionState) => void): () => void {
    return this.on("stateChange", ({ to, from }) => callback(to, from));
  }

  onError(callback: (error: Error) => void): () => void {
    return this.on("error", callback);
  }

  /** Handlers that run for every message of their type, after the subscriptions, and callbacks for the connection. */
  setDefaultHandlers(handlers: EventHandlerMap): void {
    Object.assign(this.#handlers, handlers);
    this.#parts.dispatcher.setDefaultHandlers(handlers);
  }

  /** The newest 50 messages that were received, the oldest first. */
  getMessageHistory(type?: MessageType): Message[] {
    return this.#parts.dispatcher.getHistory(type);
  }

  getStats(): SdkStats {
    const { connection, queue, dispatcher } = this.#parts;
    return {
      connection: { state: connection.state, isConnected: this.isConnected() },
      queue: queue.getStats(),
      dispatcher: dispatcher.getStats(),
    };
  }

  /** The token of all further requests. A connection that was refused for its token is made again. */
  setAuthToken(token: string): void {
    this.#parts.credentials.set(token);
    this.#parts.connection.revive(true);
  }

  /** Closes the stream, rejects what waits with `disposed`, sends the acks that are due, and ends all subscriptions. */
  dispose(): void {
    if (this.#disposed) {
      return;
    }
    this.#disposed = true;
    this.#parts.dispose();
    this.#handlers = {};
    // Idle, but ready for the subscriptions of a component that is mounted again.
    this.#parts = this.#compose(this.#parts);
  }

  #compose(base: Base): Parts {
    const parts = compose(base);
    const { emitter } = parts;
    emitter.on("connected", () => this.#handlers.onConnect?.());
    emitter.on("disconnected", ({ code, message }) =>
      this.#handlers.onDisconnect?.(code === "disconnected" ? message : code),
    );
    emitter.on("reconnecting", ({ attempt, maxAttempts }) =>
      this.#handlers.onReconnecting?.(attempt, maxAttempts),
    );
    emitter.on("stateChange", ({ to, from }) => this.#handlers.onStateChange?.(to, from));
    emitter.on("error", (error) => this.#handlers.onError?.(error));
    return parts;
  }

  /** What is sent shall not wait for a connection that has given up. */
  #wake(): void {
    if (this.#disposed) {
      throw new HubError("disposed");
    }
    this.#parts.connection.revive();
  }

  async #control(action: CommandAction, taskId?: string, options?: CallOptions): Promise<void> {
    await this.sendCommand(action, undefined, { ...options, taskId });
  }

  #sendTo(type: MessageType, payload: unknown, options: SendToOptions = {}): Promise<void> {
    const { priority, callback, signal, timeout, ...address } = options;
    return this.send({ ...address, type, payload }, { priority, callback, signal, timeout });
  }
}

export function createSSENotificationSDK(config: SSKSConfig): SSENotificationSDK {
  return new SSENotificationSDK(config);
}

import { type Env, environment } from "../env.ts";
import { HubError } from "../errors.ts";
import { RETRY_DELAYS, retryDelay } from "../http/retry.ts";
import { type Message, type MessageCallback, MessagePriority } from "../types.ts";
import type { Deferred } from "../wait.ts";

export interface QueueItem {
  message: Message;
  enqueuedAt: number;
  priority: MessagePriority;
  retryCount: number;
  callback?: MessageCallback;
  /** The request body: a repeat has the same bytes. */
  body?: string;
  /** Part of a request whose outcome is not known yet; never evicted. */
  sending?: boolean;
  /** Sent in a request of its own, because a batch with it was refused. */
  alone?: boolean;
  /** Settled when it leaves the queue. */
  done?: Deferred<unknown>;
}

export interface QueueStats {
  totalEnqueued: number;
  totalProcessed: number;
  totalFailed: number;
  totalRetried: number;
  queueSize: number;
}

/**
 * Messages that wait to be accepted by the hub: the highest priority first, within a priority the oldest.
 *
 * A message leaves the queue when it was accepted, refused, evicted or removed, and its callback hears of it once.
 * A full queue takes a message only in place of one with a lower priority: the oldest of the lowest.
 */
export class MessageQueueManager {
  maxSize: number;
  /** Hears of every message that failed, whether or not it had a callback. */
  onFailure?: (error: Error, message: Message) => void;
  readonly #env: Env;
  /** By priority; a map keeps the order of arrival. */
  #levels: Map<string, QueueItem>[] = [0, 1, 2, 3].map(() => new Map());
  readonly #stats = { totalEnqueued: 0, totalProcessed: 0, totalFailed: 0, totalRetried: 0 };

  constructor(maxSize = 100, env: Env = environment()) {
    this.maxSize = maxSize;
    this.#env = env;
  }

  /** `false` when the queue is full of messages that are not less urgent, or has one with this id. */
  enqueue(
    message: Message,
    options: { priority?: MessagePriority; callback?: MessageCallback } = {},
  ): boolean {
    const { priority = message.priority ?? MessagePriority.NORMAL, callback } = options;
    return this.insert({ message, priority, callback, enqueuedAt: this.#env.now(), retryCount: 0 });
  }

  /** As `enqueue`, for an item that was made elsewhere. */
  insert(item: QueueItem): boolean {
    const { message, priority } = item;
    const victim = this.size() < this.maxSize ? undefined : this.#evictable(priority);
    if (this.get(message.id) || (!victim && this.size() >= this.maxSize)) {
      return false;
    }
    this.#level(priority).set(message.id, item);
    this.#stats.totalEnqueued++;
    if (victim) {
      this.handleFailure(
        victim,
        new HubError("evicted", "a more urgent message took its place in the queue"),
      );
    }
    return true;
  }

  /** Puts items that were there earlier before all others of their priority, whatever the bound. */
  restore(items: QueueItem[]): void {
    const newer = this.#items();
    this.#levels = this.#levels.map(() => new Map());
    for (const item of [...items, ...newer]) {
      this.#level(item.priority).set(item.message.id, item);
    }
  }

  dequeue(): QueueItem | null {
    const item = this.peek();
    if (item) {
      this.#delete(item);
    }
    return item;
  }

  peek(): QueueItem | null {
    return this.getProcessableItems()[0] ?? null;
  }

  size(): number {
    return this.#levels.reduce((size, level) => size + level.size, 0);
  }

  isEmpty(): boolean {
    return !this.size();
  }

  clear(): void {
    for (const item of this.#items()) {
      this.remove(item.message.id);
    }
  }

  getStats(): QueueStats {
    return { ...this.#stats, queueSize: this.size() };
  }

  /** The wait before repeat number `retryCount` + 1: 1, 2, 5, 10, then always 30 s. */
  getRetryDelay(retryCount: number): number {
    return retryDelay(this.#env, retryCount + 1);
  }

  /** Counts a repeat; `false` once there were as many as there are delays. */
  incrementRetry(item: QueueItem): boolean {
    this.#stats.totalRetried++;
    return ++item.retryCount <= RETRY_DELAYS.length;
  }

  /** It failed for good. */
  handleFailure(item: QueueItem, error: Error): void {
    this.#stats.totalFailed++;
    this.#delete(item);
    item.done?.reject(error);
    const { onError, onTimeout } = item.callback ?? {};
    const late = onTimeout && (error as HubError).code === "timeout";
    this.#tell(() => (late ? onTimeout(item.message) : onError?.(error, item.message)));
    this.#tell(() => this.onFailure?.(error, item.message));
  }

  handleSuccess(item: QueueItem, answer?: unknown): void {
    this.#stats.totalProcessed++;
    this.#delete(item);
    item.done?.resolve(answer);
    this.#tell(() => item.callback?.onSuccess?.(item.message));
  }

  /** What is not being sent, in the order in which it goes. */
  getProcessableItems(): QueueItem[] {
    return this.#items().filter((item) => !item.sending);
  }

  remove(messageId: string): boolean {
    const item = this.get(messageId);
    if (item) {
      this.#delete(item);
      item.done?.reject(new HubError("aborted", "it was removed from the queue"));
    }
    return !!item;
  }

  get(messageId: string): QueueItem | undefined {
    return this.#levels.find((level) => level.has(messageId))?.get(messageId);
  }

  #items(): QueueItem[] {
    return this.#levels.flatMap((level) => [...level.values()]);
  }

  /** The highest priority is the first level. */
  #level(priority: number): Map<string, QueueItem> {
    return this.#levels[3 - Math.min(3, Math.max(0, priority | 0))] as Map<string, QueueItem>;
  }

  #evictable(priority: number): QueueItem | undefined {
    for (let lower = 0; lower < priority; lower++) {
      for (const item of this.#level(lower).values()) {
        if (!item.sending) {
          return item;
        }
      }
    }
    return undefined;
  }

  #delete(item: QueueItem): void {
    const level = this.#level(item.priority);
    if (level.get(item.message.id) === item) {
      level.delete(item.message.id);
    }
  }

  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#env.log.error("a callback of a message failed", error);
    }
  }
}

import { type Env, environment } from "../env.ts";
import { HubError } from "../errors.ts";
import { RETRY_DELAYS, retryDelay } from "../http/retry.ts";
import { type Message, type MessageCallback, MessagePriority } from "../types.ts";
import { attempt, type Deferred } from "../wait.ts";

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

/** What the outbox needs of a queue. */
export class Queue {
  maxSize: number;
  /** Hears of every message that failed, whether or not it had a callback. */
  onFailure?: (error: Error, message: Message) => void;
  protected readonly env: Env;
  /** In the order of arrival. */
  #items = new Map<string, QueueItem>();
  readonly #stats: QueueStats = {
    totalEnqueued: 0,
    totalProcessed: 0,
    totalFailed: 0,
    totalRetried: 0,
    queueSize: 0,
  };

  constructor(maxSize = 100, env: Env = environment()) {
    this.maxSize = maxSize;
    this.env = env;
  }

  /** `false` when the queue is full of messages that are not less urgent, or has one with this id. */
  insert(item: QueueItem): boolean {
    const { message, priority } = item;
    const full = this.size() >= this.maxSize;
    const [victim] = full
      ? this.#sorted(1).filter((other) => !other.sending && other.priority < priority)
      : [];
    if (this.get(message.id) || (full && !victim)) {
      return false;
    }
    this.#items.set(message.id, item);
    this.#stats.totalEnqueued++;
    if (victim) {
      this.handleFailure(victim, new HubError("evicted"));
    }
    return true;
  }

  /** Puts items that were there earlier before all others of their priority, whatever the bound. */
  restore(items: QueueItem[]): void {
    this.#items = new Map([...items.map((item) => [item.message.id, item] as const), ...this.#items]);
  }

  size(): number {
    return this.#items.size;
  }

  getStats(): QueueStats {
    return { ...this.#stats, queueSize: this.size() };
  }

  /** Counts a repeat; `false` once there were as many as there are delays. */
  incrementRetry(item: QueueItem): boolean {
    this.#stats.totalRetried++;
    return ++item.retryCount <= RETRY_DELAYS.length;
  }

  /** It failed for good. */
  handleFailure(item: QueueItem, error: Error): void {
    const { message, callback = {} } = item;
    const { onError, onTimeout } = callback;
    this.#stats.totalFailed++;
    this.drop(item, error);
    const late = onTimeout && (error as HubError).code === "timeout";
    attempt(this.env.log, () => (late ? onTimeout(message) : onError?.(error, message)));
    attempt(this.env.log, () => this.onFailure?.(error, message));
  }

  handleSuccess(item: QueueItem, answer?: unknown): void {
    this.#stats.totalProcessed++;
    item.done?.resolve(answer);
    this.drop(item);
    attempt(this.env.log, () => item.callback?.onSuccess?.(item.message));
  }

  /** What is not being sent, in the order in which it goes. */
  getProcessableItems(): QueueItem[] {
    return this.#sorted(-1).filter((item) => !item.sending);
  }

  get(messageId: string): QueueItem | undefined {
    return this.#items.get(messageId);
  }

  /** Takes it out; whoever waits for it, still, gets the error. */
  protected drop(item: QueueItem, error?: Error): void {
    item.done?.reject(error);
    if (this.get(item.message.id) === item) {
      this.#items.delete(item.message.id);
    }
  }

  /** By priority, ascending or descending; the order of arrival stays within one. */
  #sorted(direction: number): QueueItem[] {
    return [...this.#items.values()].sort((a, b) => direction * (a.priority - b.priority));
  }
}

/**
 * Messages that wait to be accepted by the hub: the highest priority first, within a priority the oldest.
 *
 * A message leaves the queue when it was accepted, refused, evicted or removed, and its callback hears of it once.
 * A full queue takes a message only in place of one with a lower priority: the oldest of the lowest.
 */
export class MessageQueueManager extends Queue {
  /** `false` when the queue is full of messages that are not less urgent, or has one with this id. */
  enqueue(
    message: Message,
    options: { priority?: MessagePriority; callback?: MessageCallback } = {},
  ): boolean {
    const { priority = message.priority ?? MessagePriority.NORMAL, callback } = options;
    return this.insert({ message, priority, callback, enqueuedAt: this.env.now(), retryCount: 0 });
  }

  dequeue(): QueueItem | null {
    const item = this.peek();
    if (item) {
      this.drop(item);
    }
    return item;
  }

  peek(): QueueItem | null {
    return this.getProcessableItems()[0] ?? null;
  }

  isEmpty(): boolean {
    return !this.size();
  }

  clear(): void {
    for (const { message } of this.getProcessableItems()) {
      this.remove(message.id);
    }
  }

  /** The wait before repeat number `retryCount` + 1: 1, 2, 5, 10, then always 30 s. */
  getRetryDelay(retryCount: number): number {
    return retryDelay(this.env, retryCount + 1);
  }

  remove(messageId: string): boolean {
    const item = this.get(messageId);
    if (item) {
      this.drop(item, new HubError("aborted", "it was removed from the queue"));
    }
    return !!item;
  }
}

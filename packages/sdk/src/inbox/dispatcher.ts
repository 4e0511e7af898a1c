import { type Env, environment } from "../env.ts";
import { HubError } from "../errors.ts";
import type { EventHandlerMap, Message, MessageHandler, MessageType, SubscribeOptions } from "../types.ts";
import { attempt, type Deferred, deferred, pause } from "../wait.ts";

const HISTORY_MAX = 50;

export interface DispatcherOptions {
  env?: Env;
  /** The waits before a handler that failed is called again with the same message. */
  retryDelays?: readonly number[];
  /** The messages that may wait for one slow subscription before the reader is held back. */
  highWaterMark?: number;
  /** Hears of every message that a handler failed for good. */
  onError?: (error: HubError, message: Message) => void;
}

/** One message on its way through the handlers. */
export interface Delivery {
  message: Message;
  /** Handlers that it was given to. */
  handlers: number;
  /** Handlers that are not through. */
  open: number;
  /** A handler threw to the last, or was ended before its turn. */
  failed: boolean;
  settled: (delivery: Delivery) => void;
}

interface Subscription {
  id: string;
  types: readonly string[];
  handler: MessageHandler;
  priority: number;
  /** How many messages it still gets. */
  left: number;
  /** Messages behind the one that the handler is busy with. */
  queue: Delivery[];
  /** Resolves when the handler is through with the present one. */
  busy?: Deferred<void>;
  /** Aborted when it is called no more. */
  ended: AbortController;
}

export interface DispatcherStats {
  totalDispatched: number;
  totalHandled: number;
  totalErrors: number;
  subscriberCount: number;
}

/**
 * Gives each message to all whose types it has: the highest priority first, the default handler last.
 *
 * A handler gets its messages one at a time and in their order; while it is busy its messages wait, and nobody else's do.
 * An error stays with its handler.
 */
export class EventDispatcher {
  readonly #options: DispatcherOptions;
  readonly #env: Env;
  /** In the order in which they run; replaced at each change, so who is at it goes on with the old one. */
  #subscriptions: Subscription[] = [];
  #history: Message[] = [];
  #stats: DispatcherStats = { totalDispatched: 0, totalHandled: 0, totalErrors: 0, subscriberCount: 0 };
  #named = 0;

  constructor(options: DispatcherOptions = {}) {
    this.#options = options;
    this.#env = options.env ?? environment();
  }

  subscribe(messageTypes: MessageType[], handler: MessageHandler, options: SubscribeOptions = {}): string {
    const { id = `subscription-${++this.#named}`, priority = 0, once, signal } = options;
    this.unsubscribe(id);
    if (!signal?.aborted) {
      const ended = new AbortController();
      signal?.addEventListener("abort", () => this.unsubscribe(id), { signal: ended.signal });
      const left = once ? 1 : Number.POSITIVE_INFINITY;
      const subscription = { id, types: [...messageTypes], handler, priority, left, queue: [], ended };
      // The difference of two default handlers is no number, and their order does not matter.
      this.#subscriptions = [...this.#subscriptions, subscription].sort(
        (a, b) => b.priority - a.priority || 0,
      );
    }
    return id;
  }

  unsubscribe(subscriptionId: string): boolean {
    const subscription = this.#subscriptions.find(({ id }) => id === subscriptionId);
    if (subscription) {
      this.#end(subscription);
    }
    return !!subscription;
  }

  subscribeOnce(messageType: MessageType, handler: MessageHandler): string {
    return this.subscribe([messageType], handler, { once: true });
  }

  /** Adds handlers that run for every message of their type; one that is there already is replaced. */
  setDefaultHandlers(handlers: EventHandlerMap): void {
    for (const [type, handler] of Object.entries(handlers)) {
      const id = `default ${type}`;
      this.unsubscribe(id);
      if (handler) {
        this.subscribe([type as MessageType], handler as MessageHandler, { id, priority: LAST });
      }
    }
  }

  /** Resolves when all handlers are through with it; never rejects. */
  dispatch(message: Message): Promise<void> {
    return new Promise((resolve) => {
      void this.deliver(message, () => resolve());
    });
  }

  /**
   * As `dispatch`: `settled` is called once, before this returns if no handler takes its time.
   *
   * Gives a promise when a slow subscription has as much waiting as it may: whoever reads on awaits it first.
   */
  deliver(message: Message, settled: Delivery["settled"]): Promise<void> | undefined {
    const { highWaterMark = 100 } = this.#options;
    this.#stats.totalDispatched++;
    if (this.#history.push(message) > HISTORY_MAX) {
      this.#history.shift();
    }
    const delivery: Delivery = { message, handlers: 0, open: 1, failed: false, settled };
    let room: Promise<unknown> | undefined;
    for (const subscription of this.#subscriptions) {
      const { types, left, ended, queue, busy } = subscription;
      if (types.includes(message.type) && !ended.signal.aborted && left) {
        subscription.left--;
        delivery.handlers++;
        delivery.open++;
        if (!busy) {
          this.#run(subscription, delivery);
        } else if (queue.push(delivery) >= highWaterMark) {
          room = Promise.all([room, busy.promise]);
        }
      }
    }
    close(delivery);
    return room as Promise<void> | undefined;
  }

  /** The newest messages, the oldest of them first. */
  getHistory(type?: MessageType): Message[] {
    return this.#history.filter((message) => !type || message.type === type);
  }

  getStats(): DispatcherStats {
    return { ...this.#stats, subscriberCount: this.getSubscriberCount() };
  }

  getSubscriberCount(): number {
    return this.#subscriptions.filter(({ left, priority }) => left && priority !== LAST).length;
  }

  /** Ends all subscriptions and default handlers, and forgets the history. */
  clear(): void {
    for (const { id } of this.#subscriptions) {
      this.unsubscribe(id);
    }
    this.#history = [];
  }

  /** It is called no more, and what waits for it goes without it. */
  #end({ ended, busy, queue }: Subscription): void {
    this.#subscriptions = this.#subscriptions.filter((other) => other.ended !== ended);
    ended.abort();
    busy?.resolve();
    for (const delivery of queue.splice(0)) {
      delivery.failed = true;
      close(delivery);
    }
  }

  #run(subscription: Subscription, delivery: Delivery): void {
    let result: void | Promise<void>;
    try {
      result = subscription.handler(delivery.message);
    } catch (error) {
      result = Promise.reject(error);
    }
    if (typeof result?.then === "function") {
      void this.#finish(subscription, delivery, result);
    } else {
      this.#stats.totalHandled++;
      this.#through(subscription, delivery);
    }
  }

  /** The last message of a subscription ends it. */
  #through(subscription: Subscription, delivery: Delivery): void {
    if (!subscription.left) {
      this.#end(subscription);
    }
    close(delivery);
  }

  async #finish(subscription: Subscription, delivery: Delivery, result: Promise<void>): Promise<void> {
    const { handler, queue, ended } = subscription;
    const { retryDelays = [], onError } = this.#options;
    const { message } = delivery;
    const busy = deferred<void>();
    subscription.busy = busy;
    for (const delay of [...retryDelays, -1]) {
      try {
        await result;
        this.#stats.totalHandled++;
        break;
      } catch (cause) {
        if (delay >= 0) {
          await pause(this.#env, delay, ended.signal);
        }
        if (delay < 0 || ended.signal.aborted) {
          this.#stats.totalErrors++;
          delivery.failed = true;
          const error = new HubError("handler_failed", `a handler of ${message.type} failed`, { cause });
          attempt(this.#env.log, () => onError?.(error, message));
          break;
        }
        result = Promise.resolve(message).then(handler);
      }
    }
    subscription.busy = undefined;
    this.#through(subscription, delivery);
    while (!subscription.busy && queue[0]) {
      this.#run(subscription, queue.shift() as Delivery);
    }
    busy.resolve();
  }
}

/** The priority of default handlers. */
const LAST = Number.NEGATIVE_INFINITY;

function close(delivery: Delivery): void {
  if (--delivery.open === 0) {
    delivery.settled(delivery);
  }
}

import { type Env, environment } from "../env.ts";
import { HubError } from "../errors.ts";
import type { EventHandlerMap, Message, MessageHandler, MessageType, SubscribeOptions } from "../types.ts";
import { pause } from "../wait.ts";

const HISTORY_MAX = 50;

export interface DispatcherOptions {
  env?: Env;
  /** The waits before a handler that failed is called again with the same message. */
  retryDelays?: readonly number[];
  /** The messages that may wait for one slow subscription before `room` holds the reader back. */
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
  types: readonly MessageType[];
  handler: MessageHandler;
  priority: number;
  once: boolean;
  /** Messages behind the one that the handler is busy with. */
  queue: Delivery[];
  busy: boolean;
  ended: boolean;
  /** Ends the wait for another try. */
  nap?: AbortController;
  unlisten?: () => void;
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
  onError?: DispatcherOptions["onError"];
  readonly #env: Env;
  readonly #retryDelays: readonly number[];
  readonly #highWaterMark: number;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #defaults = new Map<string, Subscription>();
  /** Who gets a type, in order; made when it is needed. */
  #routes = new Map<MessageType, Subscription[]>();
  #history: Message[] = [];
  #dispatched = 0;
  #handled = 0;
  #errors = 0;
  #named = 0;
  /** Subscriptions whose queue is at the high-water mark, and those who wait for them. */
  readonly #crowded = new Set<Subscription>();
  #waiting: (() => void)[] = [];

  constructor(options: DispatcherOptions = {}) {
    this.#env = options.env ?? environment();
    this.#retryDelays = options.retryDelays ?? [];
    this.#highWaterMark = options.highWaterMark ?? 100;
    this.onError = options.onError;
  }

  subscribe(messageTypes: MessageType[], handler: MessageHandler, options: SubscribeOptions = {}): string {
    const { id = `subscription-${++this.#named}`, priority = 0, once = false, signal } = options;
    this.unsubscribe(id);
    if (!signal?.aborted) {
      const subscription = { ...newSubscription(id, [...messageTypes], handler), priority, once };
      const end = (): boolean => this.unsubscribe(id);
      signal?.addEventListener("abort", end);
      subscription.unlisten = () => signal?.removeEventListener("abort", end);
      this.#subscriptions.set(id, subscription);
      this.#routes.clear();
    }
    return id;
  }

  unsubscribe(subscriptionId: string): boolean {
    const subscription = this.#subscriptions.get(subscriptionId);
    if (subscription) {
      this.#retire(subscription);
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
      const earlier = this.#defaults.get(type);
      if (earlier) {
        this.#end(earlier);
      }
      this.#defaults.delete(type);
      if (handler) {
        this.#defaults.set(type, newSubscription(type, [], handler as MessageHandler));
      }
    }
    this.#routes.clear();
  }

  /** Resolves when all handlers are through with it; never rejects. */
  dispatch(message: Message): Promise<void> {
    return new Promise((resolve) => {
      this.deliver(message, () => resolve());
    });
  }

  /** As `dispatch`: `settled` is called once, before this returns if no handler takes its time. */
  deliver(message: Message, settled: (delivery: Delivery) => void): void {
    this.#dispatched++;
    if (this.#history.push(message) > HISTORY_MAX) {
      this.#history.shift();
    }
    const delivery: Delivery = { message, handlers: 0, open: 1, failed: false, settled };
    for (const subscription of this.#route(message.type)) {
      if (!subscription.ended && (!subscription.once || this.#retire(subscription))) {
        delivery.handlers++;
        delivery.open++;
        this.#give(subscription, delivery);
      }
    }
    close(delivery);
  }

  /** A promise while some subscription has as much waiting as it may; whoever reads on awaits it first. */
  room(): Promise<void> | undefined {
    return this.#crowded.size ? new Promise((resolve) => this.#waiting.push(resolve)) : undefined;
  }

  /** The newest messages, the oldest of them first. */
  getHistory(type?: MessageType): Message[] {
    return this.#history.filter((message) => type === undefined || message.type === type);
  }

  getStats(): DispatcherStats {
    return {
      totalDispatched: this.#dispatched,
      totalHandled: this.#handled,
      totalErrors: this.#errors,
      subscriberCount: this.#subscriptions.size,
    };
  }

  getSubscriberCount(): number {
    return this.#subscriptions.size;
  }

  /** Ends all subscriptions and default handlers, and forgets the history. */
  clear(): void {
    for (const subscription of [...this.#subscriptions.values(), ...this.#defaults.values()]) {
      this.#retire(subscription);
      this.#end(subscription);
    }
    this.#defaults.clear();
    this.#history = [];
  }

  #route(type: MessageType): Subscription[] {
    let route = this.#routes.get(type);
    if (!route) {
      route = [...this.#subscriptions.values()].filter(({ types }) => types.includes(type));
      route.sort((a, b) => b.priority - a.priority);
      route.push(...[this.#defaults.get(type)].filter((handler) => !!handler));
      this.#routes.set(type, route);
    }
    return route;
  }

  #give(subscription: Subscription, delivery: Delivery): void {
    if (!subscription.busy) {
      this.#run(subscription, delivery);
    } else if (subscription.queue.push(delivery) >= this.#highWaterMark) {
      this.#crowded.add(subscription);
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
      subscription.busy = true;
      void this.#finish(subscription, delivery, result);
    } else {
      this.#handled++;
      close(delivery);
    }
  }

  async #finish(subscription: Subscription, delivery: Delivery, result: void | Promise<void>): Promise<void> {
    const { message } = delivery;
    for (let attempt = 0; ; attempt++) {
      try {
        await result;
        this.#handled++;
        break;
      } catch (cause) {
        const delay = this.#retryDelays[attempt];
        if (delay === undefined || subscription.ended) {
          this.#failed(delivery, cause);
          break;
        }
        subscription.nap = new AbortController();
        await pause(this.#env, delay, subscription.nap.signal).catch(() => {});
        result = subscription.ended
          ? Promise.reject(cause)
          : Promise.resolve(message).then(subscription.handler);
      }
    }
    subscription.busy = false;
    close(delivery);
    while (!subscription.busy && subscription.queue.length) {
      this.#run(subscription, subscription.queue.shift() as Delivery);
    }
    this.#relieve(subscription);
  }

  #failed(delivery: Delivery, cause: unknown): void {
    this.#errors++;
    delivery.failed = true;
    const error = new HubError(
      "handler_failed",
      `a handler failed with a message of type ${delivery.message.type}`,
      {
        cause,
      },
    );
    this.#env.log.error(error.message, cause);
    try {
      this.onError?.(error, delivery.message);
    } catch (thrown) {
      this.#env.log.error("an error listener failed", thrown);
    }
  }

  /** It gets no further message; those it has it keeps. `false` when that was so before. */
  #retire(subscription: Subscription): boolean {
    subscription.unlisten?.();
    this.#routes.clear();
    return (
      this.#subscriptions.get(subscription.id) === subscription && this.#subscriptions.delete(subscription.id)
    );
  }

  /** It is called no more, and what waits for it goes without it. */
  #end(subscription: Subscription): void {
    subscription.ended = true;
    subscription.nap?.abort();
    for (const delivery of subscription.queue.splice(0)) {
      delivery.failed = true;
      close(delivery);
    }
    this.#relieve(subscription);
  }

  #relieve(subscription: Subscription): void {
    if (
      subscription.queue.length < this.#highWaterMark &&
      this.#crowded.delete(subscription) &&
      !this.#crowded.size
    ) {
      for (const resume of this.#waiting.splice(0)) {
        resume();
      }
    }
  }
}

function newSubscription(id: string, types: readonly MessageType[], handler: MessageHandler): Subscription {
  return { id, types, handler, priority: 0, once: false, queue: [], busy: false, ended: false };
}

function close(delivery: Delivery): void {
  if (--delivery.open === 0) {
    delivery.settled(delivery);
  }
}

import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { HubError, toHubError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { pause, retryDelay } from "../http/retry.ts";
import type { Persistence, StoredItem } from "../store/index.ts";
import { type Message, MessagePriority, MessageType, type SendOptions } from "../types.ts";
import type { MessageQueueManager, QueueItem } from "./queue.ts";

/** While connected the queue empties as fast as the hub answers, so a burst may be longer than what is kept offline. */
const CONNECTED_FACTOR = 10;

/** What one request carries: far below the hub's 1,000 messages, and below its 1 MiB however the text is encoded. */
const BATCH_ITEMS = 100;
const BATCH_UNITS = 300_000;

/** A message to be sent; what is missing is filled in. */
type Outgoing = Partial<Message> & Pick<Message, "payload">;

/** What the hub says of a message that it accepted. */
export interface Accepted {
  success: boolean;
  messageId: string;
  cursor?: string;
  recipients?: number;
  duplicate?: boolean;
  commandId?: string;
  taskId?: string;
  status?: string;
}

/**
 * Sends what is in the queue, one request at a time.
 *
 * A request whose outcome is unknown is repeated with the same ids and bytes before any later message is sent, so that the
 * hub sees the messages of this client once and in order.
 */
export class Outbox {
  /** For how long the hub knows an identity without searching: `connect.detail.idempotencyWindow.ms`. */
  idempotencyWindow = 600_000;
  readonly #env: Env;
  readonly #http: HttpClient;
  readonly #queue: MessageQueueManager;
  readonly #settings: Pick<Settings, "clientId" | "messageQueueSize" | "store">;
  readonly #ended = new AbortController();
  #online = false;
  #draining = false;
  #underWay: QueueItem[] = [];
  /** The wait before a repeat that a change of the connection ends; one that the hub asked for is not here. */
  #nap?: AbortController;
  #newest = 0;

  constructor(
    env: Env,
    http: HttpClient,
    queue: MessageQueueManager,
    settings: Pick<Settings, "clientId" | "messageQueueSize" | "store">,
  ) {
    this.#env = env;
    this.#http = http;
    this.#queue = queue;
    this.#settings = settings;
  }

  /**
   * Resolves when the hub has accepted the message, however long that takes; `timeout` and `signal` bound it.
   *
   * Rejects with the hub's refusal, `queue_full`, `evicted`, `timeout`, `disposed` or the signal's reason. Who only uses the
   * callbacks need not look at the promise.
   */
  send(message: Outgoing, options?: SendOptions): Promise<void> {
    const sent = this.publish(message, options).then(() => {});
    sent.catch(() => {});
    return sent;
  }

  /** As `send`, with the hub's answer. */
  publish(message: Outgoing, options: SendOptions = {}): Promise<Accepted> {
    const { callback, signal, timeout } = options;
    const published = new Promise<Accepted>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#ended.signal.aborted) {
        throw disposed();
      }
      const item = this.#item(message, options.priority);
      if (this.#queue.get(item.message.id)) {
        throw new HubError("id_conflict", "a message with this id waits already", { field: "id" });
      }
      const fail = (error: Error): void => this.#queue.handleFailure(item, error);
      const abort = (): void => fail(signal?.reason);
      let timer: unknown;
      const ended =
        <T>(end: (value: T) => void) =>
        (value: T): void => {
          this.#env.clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          this.#forget(item);
          end(value);
        };
      item.callback = callback;
      item.resolve = ended(resolve as (answer: unknown) => void);
      item.reject = ended(reject);
      const { body = "", priority, enqueuedAt } = item;
      this.#persist((store) => store.put({ id: item.message.id, body, priority, enqueuedAt }));
      if (timeout !== undefined) {
        timer = this.#env.setTimeout(() => fail(new HubError("timeout", "not accepted in time")), timeout);
      }
      signal?.addEventListener("abort", abort);
      if (!this.#queue.insert(item)) {
        fail(new HubError("queue_full", "the queue is full of messages that are not less urgent"));
      }
    });
    published.catch((error) => this.#env.log.warn("a message was not sent", error));
    void this.#drain();
    return published;
  }

  /** What an earlier page left: it goes first, with the bytes that it had. */
  restore(stored: StoredItem[]): void {
    const items = stored.map(({ id, body, ...item }): QueueItem => {
      this.#newest = Math.max(this.#newest, item.enqueuedAt);
      const forget = (): void => this.#forget(restored);
      // It may have been sent before: that counts as an attempt.
      const restored = {
        ...item,
        message: JSON.parse(body),
        body,
        retryCount: 1,
        resolve: forget,
        reject: forget,
      };
      return restored;
    });
    this.#queue.restore(items);
    void this.#drain();
  }

  /** Told at each change of the connection, and may be told again. */
  setOnline(connected: boolean): void {
    this.#online = connected;
    this.#queue.maxSize = this.#settings.messageQueueSize * (connected ? CONNECTED_FACTOR : 1);
    this.#nap?.abort();
    void this.#drain();
  }

  /** Rejects all that waits; what is persisted stays for the next page. */
  dispose(): void {
    this.#ended.abort();
    this.#online = false;
    for (const item of [...this.#queue.getProcessableItems(), ...this.#waiting(this.#underWay)]) {
      this.#queue.handleFailure(item, disposed());
    }
  }

  async #drain(): Promise<void> {
    if (this.#draining) {
      return;
    }
    this.#draining = true;
    // Messages that are sent in one turn go in the order of their priorities, and together.
    await Promise.resolve();
    while (this.#online) {
      const batch = this.#next();
      if (!batch.length) {
        break;
      }
      const failure = await this.#post(batch);
      if (failure && (this.#online || failure.retryAfterMs !== undefined)) {
        await this.#wait(batch, failure);
      }
    }
    this.#draining = false;
  }

  /** The messages of the next request: those of the last one that are not settled, before any other. */
  #next(): QueueItem[] {
    const again = this.#waiting(this.#underWay);
    const candidates = again.length ? again : this.#queue.getProcessableItems();
    const [first] = candidates;
    let units = 0;
    const end = candidates.findIndex((item, i) => {
      units += item.body?.length ?? 0;
      return (
        i > 0 && (i === BATCH_ITEMS || units > BATCH_UNITS || isAlone(item) || isAlone(first as QueueItem))
      );
    });
    const batch = candidates.slice(0, end < 0 ? undefined : end);
    this.#underWay = again.length ? again : batch;
    for (const item of batch) {
      item.sending = true;
    }
    return batch;
  }

  /** Gives the failure after which the same messages are to be sent again. */
  async #post(batch: QueueItem[]): Promise<HubError | undefined> {
    const [first] = batch as [QueueItem];
    const several = batch.length > 1;
    const longAgo = this.#env.now() - this.idempotencyWindow / 2;
    const resend = batch.some((item) => item.retryCount && item.enqueuedAt < longAgo);
    const path = isCommand(first) ? "api/commands" : "api/messages";
    try {
      const { data } = await this.#http.post(resend ? `${path}?resend=1` : path, undefined, {
        text: several ? `[${batch.map((item) => item.body)}]` : first.body,
        signal: this.#ended.signal,
      });
      const answers = several ? data?.results : [data];
      if (!data?.success || answers?.length !== batch.length) {
        throw new HubError("invalid_response", "the answer is not that of a hub", { retryable: true });
      }
      for (const [i, item] of batch.entries()) {
        for (const waiting of this.#waiting([item])) {
          this.#queue.handleSuccess(waiting, answers[i]);
        }
      }
      return undefined;
    } catch (thrown) {
      return this.#refused(batch, toHubError(thrown, "network"));
    }
  }

  #refused(batch: QueueItem[], error: HubError): HubError | undefined {
    const waiting = this.#waiting(batch);
    // Other credentials may come, and the messages are not what was refused.
    const again = error.retryable || error.status === 401;
    const named = /^\[(\d+)\]/.exec(error.field ?? "");
    if (batch.length > 1 && (!again || error.code === "internal")) {
      // The hub refuses a batch for one of its messages: that one is asked about by itself, or all if it was not named.
      const culprit = named && batch[+(named[1] as string)];
      for (const item of culprit ? [culprit] : batch) {
        item.alone = true;
      }
      return again ? error : undefined;
    }
    for (const item of waiting) {
      // A defect of the hub that one message meets each time must not hold up the others for ever.
      if (!again || (!this.#queue.incrementRetry(item) && error.code === "internal")) {
        this.#queue.handleFailure(item, error);
      }
    }
    return again ? error : undefined;
  }

  async #wait(batch: QueueItem[], error: HubError): Promise<void> {
    const nap = new AbortController();
    const end = (): void => nap.abort();
    if (error.retryAfterMs === undefined) {
      this.#nap = nap;
    }
    this.#ended.signal.addEventListener("abort", end);
    const count = Math.max(1, ...batch.map((item) => item.retryCount));
    await pause(this.#env, retryDelay(this.#env, count, error), nap.signal).catch(() => {});
    this.#ended.signal.removeEventListener("abort", end);
    this.#nap = undefined;
  }

  #waiting(items: QueueItem[]): QueueItem[] {
    return items.filter((item) => this.#queue.get(item.message.id) === item);
  }

  #item(given: Outgoing, priority = given.priority ?? MessagePriority.NORMAL): QueueItem {
    const env = this.#env;
    const {
      id = env.uuid(),
      source = this.#settings.clientId,
      timestamp = env.now(),
      type = MessageType.JSON,
    } = given;
    const message = { ...given, id, type, source, timestamp, priority };
    this.#newest = Math.max(this.#newest + 1, env.now());
    try {
      return { message, priority, body: JSON.stringify(message), enqueuedAt: this.#newest, retryCount: 0 };
    } catch (cause) {
      throw new HubError("invalid_json", "the message is not JSON", { cause });
    }
  }

  #forget(item: QueueItem): void {
    if (!this.#ended.signal.aborted) {
      this.#persist((store) => store.remove(item.message.id));
    }
  }

  #persist(call: (store: Persistence) => Promise<void>): void {
    const { store } = this.#settings;
    if (store) {
      call(store).catch((error) => this.#env.log.warn("the store failed", error));
    }
  }
}

function isCommand({ message }: QueueItem): boolean {
  return message.type === MessageType.COMMAND && message.topic === undefined;
}

/** Commands have a route without batches. */
function isAlone(item: QueueItem): boolean {
  return item.alone || isCommand(item);
}

function disposed(): HubError {
  return new HubError("disposed", "the SDK was disposed");
}

import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { HubError, toHubError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { retryDelay } from "../http/retry.ts";
import type { Persistence, StoredItem } from "../store/index.ts";
import { type Message, MessagePriority, MessageType, type SendOptions } from "../types.ts";
import { deferred, pause, wait } from "../wait.ts";
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
  readonly #settings: OutboxSettings;
  readonly #ended = new AbortController();
  #online = false;
  #draining = false;
  #underWay: QueueItem[] = [];
  /** The wait before a repeat that a change of the connection ends; one that the hub asked for is not here. */
  #nap?: AbortController;
  #newest = 0;

  constructor(env: Env, http: HttpClient, queue: MessageQueueManager, settings: OutboxSettings) {
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
    sent.catch((error) => this.#env.log.warn("not sent", error));
    return sent;
  }

  /** As `send`, with the hub's answer. */
  async publish(message: Outgoing, options: SendOptions = {}): Promise<Accepted> {
    options.signal?.throwIfAborted();
    this.#ended.signal.throwIfAborted();
    const queue = this.#queue;
    const item = this.#item(message, options);
    const { id } = item.message;
    if (queue.get(id)) {
      throw new HubError("id_conflict", "this id waits already", { field: "id" });
    }
    const { body = "", priority, enqueuedAt } = item;
    this.#persist((store) => store.put({ id, body, priority, enqueuedAt }));
    if (!queue.insert(item)) {
      queue.handleFailure(item, new HubError("queue_full", "the queue is full"));
    }
    void this.#drain();
    try {
      return (await wait(this.#env, this.#settled(item), options)) as Accepted;
    } catch (error) {
      // Timeout and signal are not known to the queue.
      if (queue.get(id) === item) {
        queue.handleFailure(item, error as Error);
      }
      throw error;
    }
  }

  /** What an earlier page left: it goes first, with the bytes that it had. */
  restore(stored: StoredItem[]): void {
    const items = stored.map(({ id, body, ...item }): QueueItem => {
      this.#newest = Math.max(this.#newest, item.enqueuedAt);
      // It may have been sent before: that counts as an attempt.
      return { ...item, message: JSON.parse(body), body, retryCount: 1, done: deferred() };
    });
    this.#queue.restore(items);
    for (const item of items) {
      this.#settled(item).catch((error) => this.#env.log.warn("not sent", error));
    }
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
    const error = new HubError("disposed", "disposed");
    this.#ended.abort(error);
    this.#online = false;
    for (const item of [...this.#queue.getProcessableItems(), ...this.#waiting(this.#underWay)]) {
      this.#queue.handleFailure(item, error);
    }
  }

  async #drain(): Promise<void> {
    if (this.#draining) {
      return;
    }
    this.#draining = true;
    // Messages that are sent in one turn go in the order of their priorities, and together.
    await Promise.resolve();
    for (let batch = this.#next(); batch.length; batch = this.#next()) {
      const failure = await this.#post(batch);
      const held = failure?.retryAfterMs !== undefined;
      if (failure && (this.#online || held)) {
        const nap = new AbortController();
        this.#nap = held ? undefined : nap;
        const count = batch[0]?.retryCount || 1;
        await pause(
          this.#env,
          retryDelay(this.#env, count, failure),
          AbortSignal.any([nap.signal, this.#ended.signal]),
        );
      }
    }
    this.#draining = false;
  }

  /** The messages of the next request: those of the last one that are not settled, before any other. */
  #next(): QueueItem[] {
    const again = this.#waiting(this.#underWay);
    const batch: QueueItem[] = [];
    let units = 0;
    for (const item of this.#online ? (again[0] ? again : this.#queue.getProcessableItems()) : []) {
      units += item.body?.length ?? 0;
      if (
        batch[0] &&
        (batch.length === BATCH_ITEMS || units > BATCH_UNITS || isAlone(item) || isAlone(batch[0]))
      ) {
        break;
      }
      item.sending = true;
      batch.push(item);
    }
    this.#underWay = again[0] ? again : batch;
    return batch;
  }

  /** Gives the failure after which the same messages are to be sent again. */
  async #post(batch: QueueItem[]): Promise<HubError | undefined> {
    const [first] = batch as [QueueItem];
    const several = batch.length > 1;
    const longAgo = this.#env.now() - this.idempotencyWindow / 2;
    const resend = batch.some((item) => item.retryCount && item.enqueuedAt < longAgo);
    try {
      const { data } = await this.#http.post(
        `api/${isCommand(first) ? "commands" : "messages"}${resend ? "?resend=1" : ""}`,
        undefined,
        {
          text: several ? `[${batch.map((item) => item.body)}]` : first.body,
          signal: this.#ended.signal,
        },
      );
      const answers = several ? data?.results : [data];
      if (!data?.success || answers?.length !== batch.length) {
        throw new HubError("invalid_response", "not the answer of a hub", { retryable: true });
      }
      for (const [i, item] of batch.entries()) {
        if (this.#waiting([item])[0]) {
          this.#queue.handleSuccess(item, answers[i]);
        }
      }
      return undefined;
    } catch (thrown) {
      return this.#refused(batch, toHubError(thrown, "network"));
    }
  }

  #refused(batch: QueueItem[], error: HubError): HubError | undefined {
    const { code, status, field, retryable } = error;
    // Other credentials may come, and the messages are not what was refused.
    const again = retryable || status === 401;
    const internal = code === "internal";
    const culprit = batch[+(/^\[(\d+)\]/.exec(field ?? "")?.[1] ?? Number.NaN)];
    for (const item of this.#waiting(batch)) {
      if (batch[1] && (!again || internal)) {
        // The hub refuses a batch for one of its messages: that one goes by itself, or all do if it was not named.
        item.alone ||= !culprit || culprit === item;
      } else if (!again || (!this.#queue.incrementRetry(item) && internal)) {
        // A defect of the hub that one message meets each time must not hold up the others for ever.
        this.#queue.handleFailure(item, error);
      }
    }
    return again ? error : undefined;
  }

  #waiting(items: QueueItem[]): QueueItem[] {
    return items.filter((item) => this.#queue.get(item.message.id) === item);
  }

  #item(given: Outgoing, options: SendOptions): QueueItem {
    const env = this.#env;
    const { priority = given.priority ?? MessagePriority.NORMAL, callback } = options;
    const message = {
      ...given,
      id: given.id ?? env.uuid(),
      type: given.type ?? MessageType.JSON,
      source: given.source ?? this.#settings.clientId,
      timestamp: given.timestamp ?? env.now(),
      priority,
    };
    const enqueuedAt = Math.max(this.#newest + 1, env.now());
    this.#newest = enqueuedAt;
    try {
      return {
        message,
        body: JSON.stringify(message),
        priority,
        callback,
        enqueuedAt,
        retryCount: 0,
        done: deferred(),
      };
    } catch (cause) {
      throw new HubError("invalid_json", "the message is not JSON", { cause });
    }
  }

  /** The outcome of an item; then it leaves the store. */
  async #settled({ message, done }: QueueItem): Promise<unknown> {
    try {
      return await done?.promise;
    } finally {
      if (!this.#ended.signal.aborted) {
        this.#persist((store) => store.remove(message.id));
      }
    }
  }

  #persist(call: (store: Persistence) => Promise<void>): void {
    const { store } = this.#settings;
    if (store) {
      call(store).catch((error) => this.#env.log.warn("the store failed", error));
    }
  }
}

type OutboxSettings = Pick<Settings, "clientId" | "messageQueueSize" | "store">;

function isCommand({ message }: QueueItem): boolean {
  return message.type === MessageType.COMMAND && message.topic === undefined;
}

/** Commands have a route without batches. */
function isAlone(item: QueueItem): boolean {
  return item.alone || isCommand(item);
}

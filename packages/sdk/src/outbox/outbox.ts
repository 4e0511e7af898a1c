import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { HubError, toHubError, transient } from "../errors.ts";
import type { Api } from "../http/api.ts";
import { retryDelay } from "../http/retry.ts";
import type { StoredItem } from "../store/index.ts";
import { type Message, MessagePriority, MessageType, type SendOptions } from "../types.ts";
import { attempt, type Deferred, deferred, pause, wait } from "../wait.ts";
import type { Queue, QueueItem } from "./queue.ts";

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
export interface Outbox {
  /** For how long the hub knows an identity without searching: `connect.detail.idempotencyWindow.ms`. */
  idempotencyWindow: number;
  /**
   * Resolves when the hub has accepted the message, however long that takes; `timeout` and `signal` bound it.
   *
   * Rejects with the hub's refusal, `queue_full`, `evicted`, `timeout`, `disposed` or the signal's reason. Who only uses the
   * callbacks need not look at the promise.
   */
  send(message: Outgoing, options?: SendOptions): Promise<void>;
  /** As `send`, with the hub's answer. */
  publish(message: Outgoing, options?: SendOptions): Promise<Accepted>;
  /** What an earlier page left: it goes first, with the bytes that it had. */
  restore(stored: StoredItem[]): void;
  /** Told at each change of the connection, and may be told again. */
  setOnline(connected: boolean): void;
  /** Rejects all that waits; what is persisted stays for the next page. */
  dispose(): void;
}

export function createOutbox(
  env: Env,
  api: Api,
  queue: Queue,
  { clientId, messageQueueSize, store }: Pick<Settings, "clientId" | "messageQueueSize" | "store">,
): Outbox {
  const ended = new AbortController();
  let online = false;
  let draining = false;
  let underWay: QueueItem[] = [];
  /** The wait before a repeat, and whether the hub asked for it; if not, a change of the connection ends it. */
  let nap: AbortController | undefined;
  let held = false;
  let newest = 0;

  const isWaiting = (item: QueueItem): boolean => queue.get(item.message.id) === item;

  /** Items get a time of their own each, so it is their order in the store, too. */
  const make = (
    given: Outgoing,
    { priority = given.priority ?? MessagePriority.NORMAL, callback }: SendOptions,
  ): QueueItem => {
    // As JSON has it: without what is undefined, and no longer the application's.
    const said = JSON.parse(JSON.stringify(given));
    const message = {
      id: env.uuid(),
      type: MessageType.JSON,
      source: clientId,
      timestamp: env.now(),
      ...said,
      priority,
    };
    newest = Math.max(newest + 1, env.now());
    const body = JSON.stringify(message);
    return { message, body, priority, callback, enqueuedAt: newest, retryCount: 0, done: deferred() };
  };

  const forget = ({ message }: QueueItem): void => {
    if (!ended.signal.aborted) {
      attempt(env.log, () => store?.remove(message.id));
    }
  };

  const drain = async (): Promise<void> => {
    if (draining) {
      return;
    }
    draining = true;
    // Messages that are sent in one turn go in the order of their priorities, and together.
    await Promise.resolve();
    for (let batch = next(); batch[0]; batch = next()) {
      const failure = await post(batch);
      held = failure?.retryAfterMs !== undefined;
      if (failure && (online || held)) {
        nap = new AbortController();
        await pause(env, retryDelay(env, batch[0].retryCount || 1, failure), nap.signal);
      }
    }
    draining = false;
  };

  /** The messages of the next request: those of the last one that are not settled, before any other. */
  const next = (): QueueItem[] => {
    const batch: QueueItem[] = [];
    if (online) {
      const again = underWay.filter(isWaiting);
      let units = 0;
      for (const item of again[0] ? again : queue.getProcessableItems()) {
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
      underWay = again[0] ? again : batch;
    }
    return batch;
  };

  /** Gives the failure after which the same messages are to be sent again. */
  const post = async (batch: QueueItem[]): Promise<HubError | undefined> => {
    const [first] = batch as [QueueItem];
    const longAgo = env.now() - outbox.idempotencyWindow / 2;
    const resend = batch.some((item) => item.retryCount && item.enqueuedAt < longAgo);
    const path = `api/${isCommand(first) ? "commands" : "messages"}${resend ? "?resend=1" : ""}`;
    const text = batch[1] ? `[${batch.map(({ body }) => body)}]` : first.body;
    try {
      const { data } = await api("POST", path, { text, signal: ended.signal });
      const answers = batch[1] ? data?.results : [data];
      if (!data?.success || answers?.length !== batch.length) {
        throw transient("invalid_response");
      }
      for (const [i, item] of batch.entries()) {
        if (isWaiting(item)) {
          queue.handleSuccess(item, answers[i]);
        }
      }
      return undefined;
    } catch (thrown) {
      return refused(batch, toHubError(thrown, "network"));
    }
  };

  const refused = (batch: QueueItem[], error: HubError): HubError | undefined => {
    // Other credentials may come, and the messages are not what was refused.
    const again = error.retryable || error.status === 401;
    const internal = error.code === "internal";
    for (const item of batch.filter(isWaiting)) {
      if (batch[1] && (!again || internal)) {
        // The hub refuses a batch for one of its messages, so each goes by itself.
        item.alone = true;
      } else if (!again || (!queue.incrementRetry(item) && internal)) {
        // A defect of the hub that one message meets each time must not hold up the others for ever.
        queue.handleFailure(item, error);
      }
    }
    return again ? error : undefined;
  };

  const outbox: Outbox = {
    idempotencyWindow: 600_000,
    send(message, options) {
      const sent = outbox.publish(message, options).then(() => {});
      attempt(env.log, () => sent);
      return sent;
    },
    async publish(message, options = {}) {
      options.signal?.throwIfAborted();
      ended.signal.throwIfAborted();
      const item = make(message, options);
      const { body = "", priority, enqueuedAt } = item;
      const { id } = item.message;
      if (queue.get(id)) {
        throw new HubError("id_conflict", undefined, { field: "id" });
      }
      attempt(env.log, () => store?.put({ id, body, priority, enqueuedAt }));
      if (!queue.insert(item)) {
        queue.handleFailure(item, new HubError("queue_full"));
      }
      void drain();
      try {
        return (await wait(env, (item.done as Deferred<unknown>).promise, options)) as Accepted;
      } catch (error) {
        // Timeout and signal are not known to the queue.
        if (isWaiting(item)) {
          queue.handleFailure(item, error as Error);
        }
        throw error;
      } finally {
        forget(item);
      }
    },
    restore(stored) {
      queue.restore(
        stored.map(({ id, body, ...rest }) => {
          newest = Math.max(newest, rest.enqueuedAt);
          // It may have been sent before: that counts as an attempt.
          const item = { ...rest, message: JSON.parse(body), body, retryCount: 1, done: deferred() };
          attempt(env.log, () => item.done.promise.finally(() => forget(item)));
          return item;
        }),
      );
      void drain();
    },
    setOnline(connected) {
      online = connected;
      queue.maxSize = messageQueueSize * (connected ? CONNECTED_FACTOR : 1);
      if (!held) {
        nap?.abort();
      }
      void drain();
    },
    dispose() {
      const error = new HubError("disposed");
      ended.abort(error);
      nap?.abort();
      online = false;
      for (const item of [...queue.getProcessableItems(), ...underWay.filter(isWaiting)]) {
        queue.handleFailure(item, error);
      }
    },
  };
  return outbox;
}

function isCommand({ message }: QueueItem): boolean {
  return message.type === MessageType.COMMAND && message.topic === undefined;
}

/** Commands have a route without batches. */
function isAlone(item: QueueItem): boolean {
  return item.alone || isCommand(item);
}

import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { toHubError } from "../errors.ts";
import type { Api } from "../http/api.ts";
import { retryDelay } from "../http/retry.ts";
import { attempt } from "../wait.ts";

/** Acks are collected for so long, or until there are so many. */
const BATCH_MS = 50;
const BATCH_COUNT = 32;

/** Bytes of the messages in one request: with the rest below the 60 KiB of a request that may outlive its page. */
const REQUEST_BYTES = 56_000;

/** Acks of single messages that are kept. The hub sends a message again whose ack was dropped. */
const MESSAGES_MAX = 8192;

export interface MessageRef {
  source: string;
  id: string;
}

/**
 * Tells the hub what was handled: how far the mailbox was read, and the messages that ask for an ack of their own.
 *
 * What failed is sent again; acks are idempotent and may come in any order.
 */
export interface Acks {
  /** Where the unbroken reading began, when it was not at the hub's stored cursor. */
  from?: string;
  /** All up to `cursor` is settled. `mailbox`: it has messages of the mailbox, which come again unless the hub is told. */
  advance(cursor: string, mailbox: boolean): void;
  /** One message that asked for an ack was handled. */
  message(message: MessageRef): void;
  /** Sends what waits. With `keepalive` also what is on its way already: the page may be about to end. */
  flush(keepalive?: boolean): Promise<void>;
  /** Sends what waits a last time. */
  dispose(): void;
}

export function createAcks(
  env: Env,
  api: Api,
  { clientId, device, store }: Pick<Settings, "clientId" | "device" | "store">,
): Acks {
  /** The newest settled cursor, while it is not persisted. */
  let unstored: string | undefined;
  /** The cursor that the hub has to be told. */
  let due: string | undefined;
  const waiting = new Map<string, MessageRef>();
  let count = 0;
  let failures = 0;
  let delay = BATCH_MS;
  let timer: unknown;
  let sending: Promise<void> | undefined;
  let disposed = false;

  const schedule = (): void => {
    if ((unstored ?? due ?? waiting.size) && !timer && !sending && !disposed) {
      timer = env.setTimeout(flush, delay);
    }
  };

  const note = (): void => {
    if (++count >= BATCH_COUNT && !failures && !sending && !disposed) {
      void flush();
    }
    schedule();
  };

  const flush = async (keepalive?: boolean): Promise<void> => {
    if (sending && !keepalive) {
      return sending;
    }
    env.clearTimeout(timer);
    timer = undefined;
    count = 0;
    if (unstored) {
      const cursor = unstored;
      attempt(env.log, () => store?.setCursor(cursor));
      unstored = undefined;
    }
    const flight = send(keepalive);
    sending ??= flight;
    await flight;
    sending = sending === flight ? undefined : sending;
    schedule();
  };

  const send = async (keepalive?: boolean): Promise<void> => {
    const cursor = due;
    let bytes = 0;
    const messages = [...waiting.values()].filter(({ source, id }) => {
      // A unit of text has three bytes at most.
      bytes += 3 * (source.length + id.length) + 24;
      return bytes <= REQUEST_BYTES;
    });
    if (!cursor && !messages[0]) {
      return;
    }
    let settled = messages;
    try {
      const from = cursor && acks.from;
      const text = JSON.stringify({ clientId, device, cursor, from, messages });
      await api("POST", "api/acks", { text, keepalive });
    } catch (thrown) {
      const error = toHubError(thrown, "network");
      env.log.warn("acks failed", error);
      if (error.retryable || error.status === 401) {
        delay = retryDelay(env, ++failures, error);
        return;
      }
      // The hub judges the cursor before the messages.
      settled = error.code === "invalid_cursor" ? [] : messages;
    }
    failures = 0;
    delay = BATCH_MS;
    due = due === cursor ? undefined : due;
    for (const message of settled) {
      waiting.delete(identityOf(message));
    }
  };

  const acks: Acks = {
    advance(cursor, mailbox) {
      due = mailbox ? cursor : due;
      unstored = store && cursor;
      if (mailbox || unstored) {
        note();
      }
    },
    message({ source, id }) {
      const identity = identityOf({ source, id });
      waiting.set(identity, { source, id });
      for (const oldest of waiting.keys()) {
        if (waiting.size > MESSAGES_MAX) {
          waiting.delete(oldest);
        }
        break;
      }
      note();
    },
    flush,
    dispose() {
      if (!disposed) {
        disposed = true;
        void flush(true);
      }
    },
  };
  return acks;
}

/** A line feed is in no id, so no two identities look the same. */
export function identityOf({ source, id }: MessageRef): string {
  return `${source}\n${id}`;
}

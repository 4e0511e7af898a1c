import type { Emitter, SdkEvents } from "./emitter.ts";
import type { HubError } from "./errors.ts";
import type { EventDispatcher } from "./inbox/dispatcher.ts";
import { ConnectionState, type Message, MessageType } from "./types.ts";
import { type Deferred, deferred } from "./wait.ts";

export interface MessagesOptions {
  /** By default all but those about the connection itself: `system` and `heartbeat`. */
  types?: MessageType[];
  /** Ends the iteration. */
  signal?: AbortSignal;
}

export interface MessageIterator<P> extends AsyncIterableIterator<Message<P>> {
  return(): Promise<IteratorResult<Message<P>>>;
}

interface Held<P> {
  message: Message<P>;
  handled: Deferred<void>;
}

/**
 * Messages one by one. A message counts as handled when the next one is asked for, so what was not is delivered again
 * after a crash; and the stream is not read further than the consumer keeps up with.
 */
export function iterate<P>(
  dispatcher: EventDispatcher,
  emitter: Emitter<SdkEvents>,
  disposed: AbortSignal,
  options: MessagesOptions,
): MessageIterator<P> {
  const { signal } = options;
  const types =
    options.types ?? Object.values(MessageType).filter((type) => !/^(system|heartbeat)$/.test(type));
  let held: Held<P> | undefined;
  let given = false;
  let over = false;
  let failure: HubError | undefined;
  let change = deferred<void>();

  const end = (): void => {
    over = true;
    dispatcher.unsubscribe(id);
    unlisten();
    signal?.removeEventListener("abort", leave);
    disposed.removeEventListener("abort", end);
    change.resolve();
  };
  const leave = (): void => {
    held?.handled.resolve();
    held = undefined;
    end();
  };
  const id = dispatcher.subscribe(types, (message) => {
    held = { message, handled: deferred() };
    change.resolve();
    return held.handled.promise;
  });
  const unlisten = emitter.on("stateChange", ({ to, reason }) => {
    const final =
      to === ConnectionState.DISCONNECTED
        ? reason?.code !== "disconnected"
        : to === ConnectionState.ERROR && reason?.code !== "attempts_exhausted";
    if (final) {
      failure = reason;
      end();
    }
  });
  signal?.addEventListener("abort", leave);
  disposed.addEventListener("abort", end);
  if (signal?.aborted || disposed.aborted) {
    end();
  }

  return {
    async next() {
      if (given) {
        given = false;
        held?.handled.resolve();
        held = undefined;
      }
      while (!held && !over) {
        change = deferred();
        await change.promise;
      }
      if (held && !disposed.aborted) {
        given = true;
        return { value: held.message, done: false };
      }
      if (failure) {
        throw failure;
      }
      return { value: undefined, done: true };
    },
    async return() {
      leave();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

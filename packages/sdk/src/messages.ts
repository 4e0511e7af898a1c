import type { Emitter, SdkEvents } from "./emitter.ts";
import type { HubError } from "./errors.ts";
import type { EventDispatcher } from "./inbox/dispatcher.ts";
import type { Message, MessageType } from "./types.ts";
import { deferred } from "./wait.ts";

export interface MessagesOptions {
  /** By default all but `system` and `heartbeat`. */
  types?: MessageType[];
  /** Ends the iteration. */
  signal?: AbortSignal;
}

/** All but those about the connection itself. */
const USUAL = ["text", "json", "command", "ack", "error", "progress"] as MessageType[];

/**
 * Messages one by one, from the first `next` on. A message counts as handled when the next one is asked for, so what was
 * not is delivered again after a crash; and the stream is not read further than the consumer keeps up with.
 */
export async function* iterate<P>(
  dispatcher: EventDispatcher,
  emitter: Emitter<SdkEvents>,
  disposed: AbortSignal,
  { types = USUAL, signal }: MessagesOptions,
): AsyncGenerator<Message<P>, void> {
  let held: Message<P> | undefined;
  let handled = deferred<void>();
  let change = deferred<void>();
  let failure: HubError | undefined;
  const listening = new AbortController();

  const id = dispatcher.subscribe(types, (message) => {
    held = message;
    handled = deferred();
    change.resolve();
    return handled.promise;
  });
  const unlisten = emitter.on("stateChange", ({ to, reason }) => {
    const left = to === "disconnected" ? "disconnected" : to === "error" && "attempts_exhausted";
    if (left && reason?.code !== left) {
      failure = reason;
      change.resolve();
    }
  });
  const end = (): void => {
    dispatcher.unsubscribe(id);
    unlisten();
    listening.abort();
    change.resolve();
    if (!disposed.aborted) {
      handled.resolve();
    }
  };
  for (const one of [signal, disposed]) {
    one?.addEventListener("abort", end, { signal: listening.signal });
  }
  try {
    while (!signal?.aborted && !disposed.aborted) {
      if (held) {
        yield held;
        held = undefined;
        handled.resolve();
      } else if (failure) {
        throw failure;
      } else {
        change = deferred();
        await change.promise;
      }
    }
  } finally {
    end();
  }
}

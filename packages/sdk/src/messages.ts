import type { Emitter, SdkEvents } from "./emitter.ts";
import type { HubError } from "./errors.ts";
import type { EventDispatcher } from "./inbox/dispatcher.ts";
import { ConnectionState, type Message, MessageType } from "./types.ts";

export interface MessagesOptions {
  /** By default all but those about the connection itself: `system` and `heartbeat`. */
  types?: MessageType[];
  /** Ends the iteration. */
  signal?: AbortSignal;
}

/** Ends `for await` without an error when the SDK is disposed. */
export interface MessageIterator<P> extends AsyncIterableIterator<Message<P>> {
  return(): Promise<IteratorResult<Message<P>>>;
}

const DEFAULT_TYPES: MessageType[] = Object.values(MessageType).filter(
  (type) => type !== MessageType.SYSTEM && type !== MessageType.HEARTBEAT,
);

/**
 * Messages one by one. A message counts as handled when the next one is asked for, so what was not is delivered again
 * after a crash; and the stream is not read further than the consumer keeps up with.
 */
export function iterate<P>(
  dispatcher: EventDispatcher,
  emitter: Emitter<SdkEvents>,
  disposed: AbortSignal,
  { types = DEFAULT_TYPES, signal }: MessagesOptions,
): MessageIterator<P> {
  /** The message that waits for the consumer, or that the consumer is at. */
  let message: Message<P> | undefined;
  let handled = (): void => {};
  let wake = (): void => {};
  let over = false;
  let failure: HubError | undefined;

  const id = dispatcher.subscribe(types, (next) => {
    message = next;
    wake();
    return new Promise<void>((resolve) => {
      handled = resolve;
    });
  });
  const end = (reason?: HubError): void => {
    over = true;
    failure ??= reason;
    dispatcher.unsubscribe(id);
    unlisten();
    signal?.removeEventListener("abort", leave);
    disposed.removeEventListener("abort", stop);
    wake();
  };
  const stop = (): void => end();
  const leave = (): void => {
    message = undefined;
    handled();
    end();
  };
  const unlisten = emitter.on("stateChange", ({ to, reason }) => {
    const stopped = to === ConnectionState.DISCONNECTED && reason?.code !== "disconnected";
    const failed = to === ConnectionState.ERROR && reason?.code !== "attempts_exhausted";
    if (stopped || failed) {
      end(reason);
    }
  });
  signal?.addEventListener("abort", leave);
  disposed.addEventListener("abort", stop);
  if (signal?.aborted || disposed.aborted) {
    end();
  }

  let given = false;
  return {
    async next() {
      if (given) {
        given = false;
        message = undefined;
        handled();
      }
      while (!message && !over) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (message && !disposed.aborted) {
        given = true;
        return { value: message, done: false };
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

import type { Message } from "../types.ts";

/** One event of the stream. */
export interface Received {
  message: Message;
  /** The event's `id:` line; `undefined` where it had none, as live-only messages and repeats have. */
  cursor: string | undefined;
  /** The event's `event:` line. */
  name: string;
}

/** Who takes the events of the stream, in their order, one call for each. */
export interface Sink {
  /** While a returned promise is pending the stream is not read on: that is the backpressure. It must not reject. */
  receive(event: Received): void | Promise<void>;
}

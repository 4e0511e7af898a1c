import type { Received, Sink } from "../connection/sink.ts";
import type { ConnectDetail, Message } from "../types.ts";
import { MessageType } from "../types.ts";
import type { Acks } from "./acks.ts";
import type { Delivery, EventDispatcher } from "./dispatcher.ts";
import { Identities } from "./identities.ts";

/** The hub's own messages come from here; a client may only obey those. */
export const HUB = "$hub";

/** The waits before a handler that failed gets the same message again. */
export const HANDLER_RETRY_DELAYS: readonly number[] = [100, 500, 2500];

/** An event whose handlers are not through. */
interface Open {
  /** The newest cursor of this event and the settled ones right behind it. */
  cursor?: string;
  /** Whether one of them came from the mailbox. */
  mailbox: boolean;
}

/**
 * Takes the events of the stream, gives each message to its handlers once, and has it acknowledged when they are through.
 *
 * The cursor that is acknowledged is that of the last event before the first one that is not settled, in the order of arrival.
 */
export class Inbox implements Sink {
  readonly #dispatcher: EventDispatcher;
  readonly #acks: Acks;
  readonly #clientId: string;
  /** Sees every new message before its handlers; `true` when it was for it. */
  readonly #observe?: (message: Message) => boolean;
  readonly #identities = new Identities();
  /** In the order of arrival; the settled ones between them are merged into them. */
  readonly #open: Open[] = [];
  #settled?: string;

  constructor(
    dispatcher: EventDispatcher,
    acks: Acks,
    clientId: string,
    observe?: (message: Message) => boolean,
  ) {
    this.#dispatcher = dispatcher;
    this.#acks = acks;
    this.#clientId = clientId;
    this.#observe = observe;
  }

  receive({ message, cursor }: Received): void | Promise<void> {
    const { source, id, target, type } = message;
    // The hub's own events are never stored, and may say the same again.
    const own = source === HUB && (type === MessageType.SYSTEM || type === MessageType.HEARTBEAT);
    const mailbox = !own && cursor !== undefined && target === this.#clientId;
    const identity = `${source}\n${id}`;
    const before = own ? undefined : this.#identities.meet(identity);
    if (before) {
      if (before === "settled" && asksForAck(message)) {
        this.#acks.message(message);
      }
      this.#pass(cursor, mailbox);
      return undefined;
    }
    if (own && message.payload?.event === "connect") {
      this.#connected(message.payload.detail);
    }
    const observed = this.#observe?.(message) ?? false;
    let through = false;
    let open: Open | undefined;
    this.#dispatcher.deliver(message, (delivery) => {
      through = true;
      if (!own) {
        this.#settle(identity, delivery, observed);
      }
      if (open) {
        this.#close(open);
      }
    });
    if (through) {
      this.#pass(cursor, mailbox);
    } else {
      open = { cursor, mailbox };
      this.#open.push(open);
    }
    return this.#dispatcher.room();
  }

  /** All up to here was handled. */
  settledCursor(): string | undefined {
    return this.#settled;
  }

  /** Sends the acks that wait; with `keepalive` so that they outlive the page. */
  flush(keepalive = false): Promise<void> {
    return this.#acks.flush(keepalive);
  }

  /** Acknowledges what was handled, and ends all subscriptions. */
  dispose(): void {
    this.#acks.dispose();
    this.#dispatcher.clear();
  }

  #connected({ resumed, cursor }: ConnectDetail): void {
    if (!resumed) {
      this.#acks.from = cursor;
    }
  }

  #settle(identity: string, { message, failed, handlers }: Delivery, observed: boolean): void {
    if (!asksForAck(message)) {
      this.#identities.settle(identity);
    } else if (!failed && (handlers || observed)) {
      this.#identities.settle(identity);
      this.#acks.message(message);
    } else {
      // Not handled, so not acknowledged: the hub sends it again, and then it is new.
      this.#identities.forget(identity);
    }
  }

  #close(open: Open): void {
    const place = this.#open.indexOf(open);
    this.#open.splice(place, 1);
    this.#merge(open, this.#open[place - 1]);
  }

  #pass(cursor: string | undefined, mailbox: boolean): void {
    this.#merge({ cursor, mailbox }, this.#open.at(-1));
  }

  #merge({ cursor, mailbox }: Open, before: Open | undefined): void {
    if (before) {
      before.cursor = cursor ?? before.cursor;
      before.mailbox ||= mailbox;
    } else if (cursor !== undefined) {
      this.#settled = cursor;
      this.#acks.advance(cursor, mailbox);
    }
  }
}

/** With a target only; the hub counts `payload.requireAck` of a command as the message's own. */
function asksForAck({ target, requireAck, type, payload }: Message): boolean {
  return !!target && !!(requireAck || (type === MessageType.COMMAND && payload?.requireAck));
}

import type { Sink } from "../connection/sink.ts";
import { type Message, MessageType } from "../types.ts";
import { type Acks, identityOf } from "./acks.ts";
import type { EventDispatcher } from "./dispatcher.ts";
import { createIdentities } from "./identities.ts";

/** The hub's own messages come from here; a client may only obey those. */
export const HUB = "$hub";

/** The waits before a handler that failed gets the same message again. */
export const HANDLER_RETRY_DELAYS: readonly number[] = [100, 500, 2500];

/**
 * Takes the events of the stream, gives each message to its handlers once, and has it acknowledged when they are through.
 *
 * The cursor that is acknowledged is that of the last event before the first one that is not settled, in the order of arrival.
 */
export interface Inbox extends Sink {
  /** Acknowledges what was handled, and ends all subscriptions. */
  dispose(): void;
}

/** An event whose handlers are not through. */
interface Open {
  /** The newest cursor of this event and the settled ones right behind it. */
  cursor?: string;
  /** Whether one of them came from the mailbox. */
  mailbox: boolean;
}

/** `observe` sees every new message before its handlers, and says whether it was for it. */
export function createInbox(
  dispatcher: EventDispatcher,
  acks: Acks,
  clientId: string,
  observe?: (message: Message) => boolean,
): Inbox {
  const identities = createIdentities();
  /** In the order of arrival; the settled ones between them are merged into them. */
  const unsettled: Open[] = [];

  const settle = ({ cursor, mailbox }: Open, before: Open | undefined): void => {
    if (before) {
      before.cursor = cursor ?? before.cursor;
      before.mailbox ||= mailbox;
    } else if (cursor) {
      acks.advance(cursor, mailbox);
    }
  };

  return {
    receive({ message, cursor }) {
      const { source, target, type, payload, requireAck } = message;
      // The hub's own events are never stored, and may say the same again.
      const own = source === HUB && (type === MessageType.SYSTEM || type === MessageType.HEARTBEAT);
      const event: Open = { cursor, mailbox: !own && !!cursor && target === clientId };
      // The hub counts `payload.requireAck` of a command as the message's own.
      const asks = target && (requireAck || (type === MessageType.COMMAND && payload?.requireAck));
      const identity = identityOf(message);
      const before = own ? undefined : identities.meet(identity);
      if (before) {
        if (before === "settled" && asks) {
          acks.message(message);
        }
        settle(event, unsettled.at(-1));
        return undefined;
      }
      if (own && payload?.event === "connect" && !payload.detail.resumed) {
        acks.from = payload.detail.cursor;
      }
      const observed = observe?.(message);
      unsettled.push(event);
      return dispatcher.deliver(message, ({ failed, handlers }) => {
        if (asks && (failed || !(handlers || observed))) {
          // Not handled, so not acknowledged: the hub sends it again, and then it is new.
          identities.forget(identity);
        } else if (!own) {
          identities.settle(identity);
          if (asks) {
            acks.message(message);
          }
        }
        const place = unsettled.indexOf(event);
        unsettled.splice(place, 1);
        settle(event, unsettled[place - 1]);
      });
    },
    dispose() {
      acks.dispose();
      dispatcher.clear();
    },
  };
}

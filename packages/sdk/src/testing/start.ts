import type { GapReason } from "../wire/events.ts";
import type { Message } from "../wire/message.ts";
import type { Log } from "./log.ts";

/** Where a stream begins, and the gap it begins with. */
export interface Start {
  mailbox: number;
  shared: number;
  ahead: Iterable<number>;
  gap?: { from: string; reason: GapReason };
}

export interface StartRequest {
  clientId: string;
  topics: string[];
  /** The cursor that the client brought. */
  cursor?: string;
  since: string;
}

/**
 * By the rules of PROTOCOL.md, "Where a stream starts" and "Gaps": from the client's cursor; without one from its
 * stored ack cursor and from `since`. `reads` says which shared messages the stream selects.
 */
export function startOf(
  log: Log,
  request: StartRequest,
  stored: { position: number; ahead: Iterable<number> },
  reads: (message: Message) => boolean,
): Start {
  const { cursor } = request;
  if (cursor === undefined) {
    const shared = since(log, request.since, reads);
    const start = { mailbox: stored.position, shared, ahead: stored.ahead };
    const from = log.cursor({ mailbox: start.mailbox, shared, ahead: [] });
    // What was asked for of shared messages is what is kept: only the mailbox can have lost something.
    return log.lostMailbox(request.clientId, start.mailbox) ? behind(log, start, from) : start;
  }
  const { place, known } = log.locate(cursor);
  if (!place) {
    const gap = { from: cursor, reason: "unknown_epoch" } as const;
    return { mailbox: stored.position, shared: 0, ahead: stored.ahead, gap };
  }
  if (!known) {
    return { ...place, gap: { from: cursor, reason: "unknown_epoch" } };
  }
  const lost =
    log.lostMailbox(request.clientId, place.mailbox) || log.lostShared(request.topics, place.shared);
  return lost ? behind(log, place, cursor) : place;
}

/** The same start behind everything that retention took. */
function behind(log: Log, start: Start, from: string): Start {
  const oldest = log.oldest() - 1;
  return {
    mailbox: Math.max(start.mailbox, oldest),
    shared: Math.max(start.shared, oldest),
    ahead: start.ahead,
    gap: { from, reason: "expired" },
  };
}

/** The position behind which shared messages start: `now`, `earliest`, `last:N`, or a time. */
function since(log: Log, text: string, reads: (message: Message) => boolean): number {
  if (text === "now") {
    return log.head;
  }
  const shared = log.entries().filter(({ message }) => message.target === undefined && reads(message));
  const last = text.startsWith("last:") ? Number(text.slice(5)) : undefined;
  const kept = last === undefined ? shared : shared.slice(Math.max(0, shared.length - last));
  const time = text === "earliest" || last !== undefined ? 0 : Number(text);
  const first = kept.find(({ storedAt }) => storedAt >= time);
  return first ? first.position - 1 : log.head;
}

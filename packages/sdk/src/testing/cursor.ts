/** How far a connection is: positions up to `mailbox` and `shared`, and those that were sent before their turn. */
export interface Place {
  epoch: string;
  mailbox: number;
  shared: number;
  ahead: number[];
}

const AHEAD_MAX = 64;
const POSITION = "(0|[1-9]\\d{0,15})";
const CURSOR: RegExp = new RegExp(
  `^([A-Za-z0-9]{1,32})-${POSITION}(?:\\.${POSITION})?((?:\\+${POSITION})*)$`,
);

/** Returns nothing for a text that no hub has written. */
export function parseCursor(text: string): Place | undefined {
  const match = CURSOR.exec(text);
  if (!match) {
    return undefined;
  }
  const [, epoch = "", first = "", second, rest = ""] = match;
  const mailbox = Number(first);
  const shared = second === undefined ? mailbox : Number(second);
  const ahead = rest.split("+").slice(1).map(Number);
  const least = Math.min(mailbox, shared);
  const ordered = ahead.every((position, i) => position > (ahead[i - 1] ?? least));
  const onlyText = second === undefined || mailbox !== shared;
  return ordered && onlyText && ahead.length <= AHEAD_MAX ? { epoch, mailbox, shared, ahead } : undefined;
}

export function formatCursor({ epoch, mailbox, shared, ahead }: Place): string {
  const base = mailbox === shared ? `${mailbox}` : `${mailbox}.${shared}`;
  return `${epoch}-${base}${ahead.map((position) => `+${position}`).join("")}`;
}

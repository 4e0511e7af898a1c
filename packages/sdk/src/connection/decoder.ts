const LF = 10;
const CR = 13;
const COLON = 58;

/** One block of the stream that has data. */
export interface Decoded {
  name: string;
  data: string;
  /** The block's own `id:`. */
  id: string | undefined;
  /** The id to resume from once this event was received. */
  lastEventId: string;
}

/** Stands where an event was left out because it is larger than the limit. */
export type TooLarge = "event_too_large";

/**
 * A decoder of `text/event-stream` by the rules of the WHATWG HTML standard, fed with bytes that are cut anywhere.
 *
 * It works on bytes because the limit counts bytes: those of all lines of a block but comments, without line ends.
 */
export interface Decoder {
  eventBytesMax: number;
  /** The id to resume from; empty where there is none. A block's id counts from its blank line on. */
  lastEventId: string;
  /** Returns the events that these bytes complete. */
  feed(chunk: Uint8Array): (Decoded | TooLarge)[];
}

export function createDecoder(
  eventBytesMax: number,
  lastEventId: string,
  onRetry: (ms: number) => void,
): Decoder {
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  let out: (Decoded | TooLarge)[] = [];
  let first = true;
  let afterCr = false;
  /** What has come of the line that has no end yet, unless it is a comment or part of an event that is too large. */
  let line = "";
  let begun = false;
  let comment = false;
  /** The bytes of the block's lines so far. */
  let bytes = 0;
  let data: string[] = [];
  let name = "";
  let id: string | undefined;

  const take = (piece: Uint8Array): void => {
    if (!begun) {
      begun = true;
      comment = piece[0] === COLON;
    }
    if (comment) {
      return;
    }
    const fitted = bytes <= decoder.eventBytesMax;
    bytes += piece.length;
    if (bytes <= decoder.eventBytesMax) {
      line += text.decode(piece, { stream: true });
    } else if (fitted) {
      line = "";
      data = [];
      out.push("event_too_large");
    }
  };

  const endLine = (): void => {
    line += text.decode();
    if (first) {
      first = false;
      line = line.replace(/^\uFEFF/, "");
    }
    if (!begun) {
      endBlock();
    } else if (!comment && bytes <= decoder.eventBytesMax) {
      const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) as unknown as string[];
      if (field === "data") {
        data.push(value);
      } else if (field === "event") {
        name = value;
      } else if (field === "id" && !value.includes("\0")) {
        id = value;
      } else if (field === "retry" && /^\d+$/.test(value)) {
        onRetry(+value);
      }
    }
    line = "";
    begun = false;
  };

  const endBlock = (): void => {
    if (bytes <= decoder.eventBytesMax) {
      decoder.lastEventId = id ?? decoder.lastEventId;
      if (data[0] !== undefined) {
        const { lastEventId } = decoder;
        out.push({ name: name || "message", data: data.join("\n"), id, lastEventId });
      }
    }
    bytes = 0;
    data = [];
    name = "";
    id = undefined;
  };

  const decoder: Decoder = {
    eventBytesMax,
    lastEventId,
    feed(chunk) {
      out = [];
      let from = 0;
      for (let at = 0; at < chunk.length; at++) {
        const byte = chunk[at];
        // A CR ends its line at once; the LF that may follow belongs to it.
        const swallow = afterCr && byte === LF;
        afterCr = byte === CR;
        if (swallow) {
          from++;
        } else if (byte === LF || afterCr) {
          if (at > from) {
            take(chunk.subarray(from, at));
          }
          endLine();
          from = at + 1;
        }
      }
      if (from < chunk.length) {
        take(chunk.subarray(from));
      }
      return out;
    },
  };
  return decoder;
}

const LF = 10;
const CR = 13;
const COLON = 58;
const BOM = [0xef, 0xbb, 0xbf];

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
 * It works on bytes because the limit counts bytes: those of all lines of a block but comments, without line ends. What
 * is not complete is kept in pieces and joined once, so an event in many chunks costs no more than one in few.
 */
export class Decoder {
  /** The id to resume from; empty where there is none. A block's id counts from its blank line on. */
  lastEventId: string;
  eventBytesMax: number;

  #onRetry: (ms: number) => void;
  #text = new TextDecoder("utf-8", { ignoreBOM: true });
  #out: (Decoded | TooLarge)[] = [];
  /** The bytes so far of a stream that may begin with a BOM; undefined once that is decided. */
  #head: Uint8Array | undefined = new Uint8Array();
  #afterCr = false;
  /** The line that has no end yet, unless it is a comment or part of an event that is too large. */
  #pieces: Uint8Array[] = [];
  #inComment = false;
  #inLine = false;
  /** The bytes of the block's lines so far. */
  #bytes = 0;

  #data: string[] = [];
  #name = "";
  #id: string | undefined;

  constructor(eventBytesMax: number, lastEventId: string, onRetry: (ms: number) => void) {
    this.eventBytesMax = eventBytesMax;
    this.lastEventId = lastEventId;
    this.#onRetry = onRetry;
  }

  /** Returns the events that these bytes complete. */
  feed(bytes: Uint8Array): (Decoded | TooLarge)[] {
    const chunk = this.#head ? this.#withoutBom(this.#head, bytes) : bytes;
    let from = 0;
    if (this.#afterCr && chunk.length > 0) {
      this.#afterCr = false;
      from = chunk[0] === LF ? 1 : 0;
    }
    let lf = chunk.indexOf(LF, from);
    let cr = chunk.indexOf(CR, from);
    while (lf >= 0 || cr >= 0) {
      const end = cr < 0 || (lf >= 0 && lf < cr) ? lf : cr;
      this.#take(chunk.subarray(from, end));
      this.#endLine();
      from = end + 1;
      if (end === cr) {
        // A CR ends its line at once; the LF that may follow belongs to it.
        this.#afterCr = from === chunk.length;
        from += chunk[from] === LF ? 1 : 0;
        cr = chunk.indexOf(CR, from);
      }
      if (lf >= 0 && lf < from) {
        lf = chunk.indexOf(LF, from);
      }
    }
    this.#take(chunk.subarray(from));
    return this.#out.splice(0);
  }

  #withoutBom(head: Uint8Array, bytes: Uint8Array): Uint8Array {
    const start = join([head, bytes]);
    const matches = BOM.every((byte, i) => i >= start.length || start[i] === byte);
    if (matches && start.length < BOM.length) {
      this.#head = start;
      return new Uint8Array();
    }
    this.#head = undefined;
    return matches ? start.subarray(BOM.length) : start;
  }

  #take(piece: Uint8Array): void {
    if (piece.length === 0) {
      return;
    }
    if (!this.#inLine) {
      this.#inLine = true;
      this.#inComment = piece[0] === COLON;
    }
    if (this.#inComment) {
      return;
    }
    const before = this.#bytes;
    this.#bytes += piece.length;
    if (this.#bytes <= this.eventBytesMax) {
      this.#pieces.push(piece);
    } else if (before <= this.eventBytesMax) {
      this.#pieces = [];
      this.#data = [];
      this.#out.push("event_too_large");
    }
  }

  #endLine(): void {
    if (!this.#inLine) {
      this.#endBlock();
      return;
    }
    this.#inLine = false;
    if (!this.#inComment && this.#bytes <= this.eventBytesMax) {
      const [first] = this.#pieces;
      this.#field(this.#text.decode(this.#pieces.length === 1 ? first : join(this.#pieces)));
    }
    this.#pieces = [];
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") {
      this.#data.push(value);
    } else if (field === "event") {
      this.#name = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.#id = value;
    } else if (field === "retry" && /^\d+$/.test(value)) {
      this.#onRetry(+value);
    }
  }

  #endBlock(): void {
    const id = this.#id;
    if (this.#bytes <= this.eventBytesMax) {
      this.lastEventId = id ?? this.lastEventId;
      if (this.#data.length > 0) {
        const { lastEventId } = this;
        this.#out.push({ name: this.#name || "message", data: this.#data.join("\n"), id, lastEventId });
      }
    }
    this.#bytes = 0;
    this.#data = [];
    this.#name = "";
    this.#id = undefined;
  }
}

function join(pieces: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

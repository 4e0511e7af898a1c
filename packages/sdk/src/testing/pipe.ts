/** How a connection breaks: `reset` is an error to the reader, `end` looks like a regular end of the body. */
export type Ending = "reset" | "end";

/** What a socket takes before its writer has to wait. */
const SOCKET_BYTES = 64 * 1024;

/** The bytes of one answer on their way to the client, with everything that a network may do to them. */
export class Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes that were written, whether or not they arrived. */
  written = 0;
  /** Settles when it has ended, by whichever side. */
  readonly finished: Promise<void>;
  #finish!: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #open = true;
  #stalled = false;
  #writing = false;
  #held: Uint8Array[] | undefined;
  #cut: { left: number; how: Ending } | undefined;
  #breaking: unknown;
  readonly #sides: { gone: () => void; room: () => void };
  readonly #chunk: number;

  /** `gone` is called once, when the client or the network has ended it; `room` when more may be written. */
  constructor(sides: { gone: () => void; room: () => void }, chunkBytes: number = Number.POSITIVE_INFINITY) {
    this.#sides = sides;
    this.#chunk = chunkBytes;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#drained(),
        cancel: () => this.#close(),
      },
      { highWaterMark: SOCKET_BYTES, size: (chunk) => chunk.byteLength },
    );
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether the next write would not have to wait. */
  get room(): boolean {
    return this.#open && (this.#stalled || !!this.#held || (this.#controller.desiredSize ?? 0) > 0);
  }

  write(bytes: Uint8Array): void {
    const allowed = this.#cut ? bytes.subarray(0, this.#cut.left) : bytes;
    this.written += allowed.length;
    if (this.#cut) {
      this.#cut.left -= allowed.length;
    }
    if (this.#held) {
      this.#held.push(allowed);
    } else if (this.#open && !this.#stalled) {
      this.#writing = true;
      for (let i = 0; i < allowed.length; i += this.#chunk) {
        this.#controller.enqueue(allowed.slice(i, i + this.#chunk));
      }
      this.#writing = false;
    }
    if (this.#cut?.left === 0) {
      this.break(this.#cut.how);
    }
  }

  /** The hub ends the body; a proxy that held it back lets it go now. */
  end(): void {
    if (this.#open && !this.#stalled) {
      for (const bytes of this.#held ?? []) {
        this.#controller.enqueue(bytes);
      }
      this.#controller.close();
    }
    this.#close();
  }

  /** The network ends it; what was written arrives before that. */
  break(how: Ending): void {
    if (!this.#open) {
      return;
    }
    if (how === "end") {
      this.#controller.close();
    } else {
      this.#breaking = new TypeError("terminated");
      this.#drained();
    }
    this.#close();
  }

  /** The client gave up. */
  abort(reason: unknown): void {
    if (this.#open || this.#breaking) {
      this.#breaking = undefined;
      this.#controller.error(reason);
    }
    this.#close();
  }

  /** Breaks it behind so many further bytes, in the middle of an event, a character or a line end. */
  cutAfter(bytes: number, how: Ending): void {
    this.#cut = { left: bytes, how };
    if (bytes === 0) {
      this.break(how);
    }
  }

  /** From now on nothing arrives and nothing ends: a black hole, of which neither side knows. */
  stall(): void {
    this.#stalled = true;
  }

  /** A proxy keeps the body back until its end. */
  hold(): void {
    this.#held = [];
  }

  #drained(): void {
    if (this.#breaking && this.#controller.desiredSize === SOCKET_BYTES) {
      this.#controller.error(this.#breaking);
      this.#breaking = undefined;
    } else if (!this.#writing) {
      // Inside a write it would put the next event into the middle of this one.
      this.#sides.room();
    }
  }

  #close(): void {
    if (this.#open) {
      this.#open = false;
      this.#finish();
      this.#sides.gone();
    }
  }
}

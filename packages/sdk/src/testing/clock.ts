interface Timer {
  at: number;
  run: () => void;
  /** Of the hub's side: it runs as all do, but is none of the client's. */
  background: boolean;
}

/**
 * A clock that moves only when a test says so, with the timers that hang on it.
 *
 * Its functions may be passed on alone: `new SSENotificationSDK({ ..., now: clock.now, setTimeout: clock.setTimeout })`.
 */
export class VirtualClock {
  #now: number;
  #last = 0;
  readonly #timers: Map<number, Timer> = new Map();

  /** Begins on 14 November 2023, unless told otherwise. */
  constructor(start = 1_700_000_000_000) {
    this.#now = start;
  }

  /** Milliseconds since 1970. */
  readonly now: () => number = () => this.#now;

  readonly setTimeout: (run: () => void, ms?: number) => number = (run, ms = 0) => this.#add(run, ms, false);

  readonly clearTimeout: (handle: unknown) => void = (handle) => {
    this.#timers.delete(handle as number);
  };

  /** How many timers wait; those of a test hub on this clock do not count. */
  timers(): number {
    let count = 0;
    for (const timer of this.#timers.values()) {
      count += timer.background ? 0 : 1;
    }
    return count;
  }

  /** A timer that `timers()` does not count. Returns what clears it. */
  background(run: () => void, ms: number): () => void {
    const handle = this.#add(run, ms, true);
    return () => this.clearTimeout(handle);
  }

  /**
   * Lets so much time pass. Timers run at their own moment, in their order, and all promises that can settle do so
   * before the next one and before this returns.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settled();
    }
    this.#now = end;
  }

  /** The computer sleeps: time passes, nothing runs meanwhile, and what was due runs late, when it wakes. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  /** Lets all promises settle that can without more time. */
  async settle(): Promise<void> {
    await settled();
  }

  #add(run: () => void, ms: number, background: boolean): number {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.#now + Math.max(0, Number(ms) || 0), run, background });
    return this.#last;
  }

  /** Takes out the earliest timer that is due by `end`; of several, the one that was set first. */
  #next(end: number): Timer | undefined {
    let first: number | undefined;
    let at = end;
    for (const [handle, timer] of this.#timers) {
      if (first === undefined ? timer.at <= at : timer.at < at) {
        first = handle;
        at = timer.at;
      }
    }
    if (first === undefined) {
      return undefined;
    }
    const timer = this.#timers.get(first);
    this.#timers.delete(first);
    return timer;
  }
}

type Immediate = { setImmediate?: (run: () => void) => void };

/** Taken once, so that a test's own fake timers cannot stop them. */
const later: (run: () => void) => void =
  (globalThis as Immediate).setImmediate ?? ((run) => globalThis.setTimeout(run, 0));

/** A turn of the event loop: by its end every promise has settled that waits for nothing but other promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => later(resolve));
}

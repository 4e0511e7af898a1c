import type { Env } from "../env.ts";

const TICK = 5000;
/** A tick that is so late was not run because the computer slept or the page was frozen. */
const WAKE = 10_000;
/** A timer that is so late may have run before bytes that came earlier were read. */
const LATE = 1000;
/** What bytes that wait in the socket get to be read. */
const GRACE = 1000;
/** How long a stream may stay silent once the system says that it is offline; the system may be wrong. */
const OFFLINE_GRACE = 3000;
const SILENCE_MIN = 15_000;

/** How long a stream with such heartbeats may be silent. */
export function silenceMax(heartbeatInterval: number): number {
  return Math.max(SILENCE_MIN, 2 * heartbeatInterval + 5000);
}

/**
 * Watches that a stream still brings bytes, by the wall clock and with one timer.
 *
 * Ticks are never counted, because timers of hidden pages are rare and late, and do not run at all while a computer
 * sleeps.
 */
export class Liveness {
  #env: Env;
  #onDead: (asleep: boolean) => void;
  #timer: unknown;
  /** When the timer should run. */
  #due = 0;
  #lastByte = 0;
  #heartbeat = 0;
  #silence = 0;
  /** The stream is dead unless a byte comes by then. */
  #doubtUntil: number | undefined;
  #asleep = false;
  #reading = true;

  /** `onDead` is told whether the stream was lost in sleep, which is nobody's failure. */
  constructor(env: Env, onDead: (asleep: boolean) => void) {
    this.#env = env;
    this.#onDead = onDead;
  }

  start(heartbeat: number, silence: number): void {
    this.#heartbeat = heartbeat;
    this.#silence = silence;
    this.#reading = true;
    this.touch();
    this.#arm();
  }

  stop(): void {
    this.#env.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Bytes have come. */
  touch(): void {
    this.#lastByte = this.#env.now();
    this.#doubtUntil = undefined;
    this.#asleep = false;
  }

  /** While nobody reads, silence says nothing about the stream. */
  setReading(reading: boolean): void {
    this.#reading = reading;
    this.touch();
  }

  /** Something suggests that time has passed unseen. */
  wake(): void {
    if (this.#timer !== undefined && this.#silent() > this.#heartbeat + LATE) {
      this.#doubt(GRACE, true);
    }
  }

  offline(): void {
    if (this.#timer !== undefined) {
      this.#doubt(OFFLINE_GRACE, false);
    }
  }

  #doubt(grace: number, asleep: boolean): void {
    this.#doubtUntil ??= this.#env.now() + grace;
    this.#asleep ||= asleep;
    this.#arm();
  }

  #arm(): void {
    this.stop();
    const now = this.#env.now();
    const end = this.#doubtUntil ?? this.#lastByte + this.#silence;
    const delay = Math.max(1, Math.min(TICK, end - now));
    this.#due = now + delay;
    this.#timer = this.#env.setTimeout(() => this.#tick(), delay);
  }

  #tick(): void {
    const now = this.#env.now();
    const late = now - this.#due;
    if (!this.#reading) {
      this.touch();
    } else if (this.#doubtUntil !== undefined) {
      if (now >= this.#doubtUntil) {
        this.stop();
        this.#onDead(this.#asleep);
        return;
      }
    } else if (late > WAKE) {
      this.wake();
    } else if (this.#silent() >= this.#silence) {
      this.#doubt(late >= LATE ? GRACE : 0, false);
    }
    this.#arm();
  }

  #silent(): number {
    const silent = this.#env.now() - this.#lastByte;
    if (silent < 0) {
      // The clock was put back.
      this.touch();
      return 0;
    }
    return silent;
  }
}

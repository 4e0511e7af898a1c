import type { Env } from "../env.ts";

const TICK = 5000;
/** A tick that is so late was not run because the computer slept or the page was frozen. */
const WAKE = 10_000;
/** A timer that is so late may run before bytes that came earlier are read, so those get as long again. */
const LATE = 1000;
/** How long a stream may stay silent once the system says that it is offline; the system may be wrong. */
const OFFLINE = 3000;

/**
 * Watches that a stream still brings bytes, by the wall clock and with one timer.
 *
 * Ticks are never counted, because timers of hidden pages are rare and late, and do not run at all while a computer
 * sleeps.
 */
export interface Liveness {
  /** `silence` is how long the stream may bring nothing. */
  start(heartbeat: number, silence: number): void;
  stop(): void;
  /** Bytes have come. While nobody reads (`reading` is false), silence says nothing about the stream. */
  touch(reading?: boolean): void;
  /** Something suggests that time has passed unseen. */
  wake(): void;
  offline(): void;
}

/** `onDead` is told whether the stream was lost in sleep, which is nobody's failure. */
export function createLiveness(env: Env, onDead: (asleep: boolean) => void): Liveness {
  const { now, setTimeout, clearTimeout } = env;
  let timer: unknown;
  let due = 0;
  let lastByte = 0;
  let heartbeat = 0;
  let silence = 0;
  let busy = false;
  let asleep = false;
  /** The stream is dead unless a byte comes by then. */
  let doubtUntil: number | undefined;

  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const touch = (reading = true): void => {
    lastByte = now();
    busy = !reading;
    asleep = false;
    doubtUntil = undefined;
  };
  const arm = (): void => {
    stop();
    due = Math.min(now() + TICK, doubtUntil ?? lastByte + silence);
    timer = setTimeout(tick, Math.max(1, due - now()));
  };
  const doubt = (grace: number): void => {
    if (timer !== undefined) {
      doubtUntil ??= now() + grace;
      arm();
    }
  };
  const wake = (): void => {
    if (now() - lastByte > heartbeat + LATE) {
      asleep = true;
      doubt(LATE);
    }
  };
  const tick = (): void => {
    const late = now() - due;
    if (busy || now() < lastByte) {
      // Nobody reads, or the clock was put back.
      touch(!busy);
    } else if (doubtUntil !== undefined && now() >= doubtUntil) {
      stop();
      onDead(asleep);
      return;
    } else if (late > WAKE) {
      wake();
    } else if (now() - lastByte >= silence) {
      doubt(late < LATE ? 0 : LATE);
    }
    arm();
  };

  return {
    start(interval, longest) {
      heartbeat = interval;
      silence = longest;
      touch();
      arm();
    },
    stop,
    touch,
    wake,
    offline: () => doubt(OFFLINE),
  };
}

import type { Env } from "../env.ts";
import type { HubError } from "../errors.ts";
import { spread } from "../http/retry.ts";

/** Below this, clients whose hub is gone would spin. */
const SHORTEST = 100;
/** A hub that asks for less would be flooded. */
const RETRY_MIN = 250;

/** Counts the attempts that fail in a row, and says how long to wait before the next one. */
export class Backoff {
  /** The bound of the first wait; a `retry:` line replaces it. */
  base: number;

  #env: Env;
  #max: number;
  #failures = 0;
  #counted = 0;
  #notBefore = 0;

  constructor(env: Env, base: number, max: number) {
    this.#env = env;
    this.base = base;
    this.#max = max;
  }

  /** How many attempts failed since the last good stream. */
  get failures(): number {
    return this.#failures;
  }

  /** Those of them that could have succeeded. */
  get counted(): number {
    return this.#counted;
  }

  /** How long the hub still wants no attempt, whatever happens on this side. */
  get floor(): number {
    return Math.max(0, this.#notBefore - this.#env.now());
  }

  setRetry(ms: number): void {
    this.base = Math.min(Math.max(ms, RETRY_MIN), this.#max);
  }

  reset(): void {
    this.#failures = 0;
    this.#counted = 0;
  }

  /**
   * One more has failed; returns the wait before the next.
   *
   * It has full jitter below a bound that doubles, so that the clients of a hub that restarts come back spread over
   * time. What the hub asked for is a floor under it.
   */
  fail(error: HubError, counts: boolean): number {
    this.#failures++;
    this.#counted += counts ? 1 : 0;
    const { random, now } = this.#env;
    const bound = Math.min(this.#max, this.base * 2 ** Math.min(this.#failures - 1, 30));
    const least = Math.min(SHORTEST, bound);
    const floor = spread(error.retryAfterMs ?? 0, random());
    this.#notBefore = now() + floor;
    return Math.max(floor, least + random() * (bound - least));
  }
}

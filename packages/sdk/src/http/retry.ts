import type { Env } from "../env.ts";
import type { HubError } from "../errors.ts";

/** The waits before a repeat; the last one holds from then on. */
export const RETRY_DELAYS: readonly number[] = [1000, 2000, 5000, 10000, 30000];

/** No answer of a server makes a client wait longer. */
const FLOOR_MAX = 600_000;

/**
 * Whether the same request may succeed later. All other refusals are final.
 *
 * No hub redirects (in browsers the status is then 0): it is a captive portal or the like, which goes away.
 */
export function isRetryable(status: number): boolean {
  return /^(0|3..|408|425|429|50[0234]|52\d)$/.test(`${status}`);
}

/** The wait that a refusal asks for, in milliseconds: `retryAfterMs` of its body, else `Retry-After` in seconds or as a date. */
export function retryAfter(headers: Headers, body: unknown, now: number): number | undefined {
  const text = headers.get("retry-after") ?? "";
  const asked =
    (body as { retryAfterMs?: number } | null | undefined)?.retryAfterMs ??
    // A date is the server's, so it counts from the server's clock where that is known.
    (/^\d+$/.test(text) ? +text * 1000 : Date.parse(text) - (Date.parse(headers.get("date") ?? "") || now));
  return asked >= 0 ? Math.min(asked, FLOOR_MAX) : undefined;
}

/** A floor with up to half of it on top, so that those who were told the same do not come back together. */
export function spread(floor: number, random: number): number {
  return floor * (1 + random / 2);
}

/** How long to wait before repeat number `count` (from 1) of what failed with `error`. */
export function retryDelay(env: Env, count: number, error?: Pick<HubError, "retryAfterMs">): number {
  const usual = RETRY_DELAYS[Math.min(count, RETRY_DELAYS.length) - 1] as number;
  const floor = error?.retryAfterMs;
  return floor === undefined ? usual : Math.max(usual, spread(floor, env.random()));
}

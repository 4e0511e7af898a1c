import { expect, test } from "vitest";
import { isRetryable, retryAfter, retryDelay, spread } from "../../src/http/retry.ts";
import { pause } from "../../src/wait.ts";
import { fakeEnv } from "../support/fake-env.ts";

test.each([0, 302, 307, 408, 425, 429, 500, 502, 503, 504, 520, 529])(
  "status %i may succeed later",
  (status) => {
    expect(isRetryable(status)).toBe(true);
  },
);

test.each([400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 501, 505])(
  "status %i is final",
  (status) => {
    expect(isRetryable(status)).toBe(false);
  },
);

const now = Date.parse("2026-01-01T00:00:00Z");

test.each<[string, Record<string, string>, unknown, number | undefined]>([
  ["seconds", { "retry-after": "3" }, {}, 3000],
  [
    "a date counts from the response's date, not from the local clock",
    { "retry-after": "Fri, 02 Jan 2026 00:00:30 GMT", date: "Fri, 02 Jan 2026 00:00:00 GMT" },
    {},
    30_000,
  ],
  [
    "a date without one counts from the local clock",
    { "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT" },
    {},
    60_000,
  ],
  ["the body is finer than the header", { "retry-after": "3" }, { retryAfterMs: 2200 }, 2200],
  ["at most ten minutes", { "retry-after": "86400" }, {}, 600_000],
  ["nothing asked", {}, "busy", undefined],
  ["no answer body", {}, null, undefined],
  ["nonsense", { "retry-after": "soon" }, {}, undefined],
  ["a date that has passed", { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }, {}, undefined],
])("Retry-After: %s", (_, headers, body, expected) => {
  expect(retryAfter(new Headers(headers), body, now)).toBe(expected);
});

test("a floor is never undercut, and clients that were told the same come back spread over half of it", () => {
  const waits = Array.from({ length: 1000 }, (_, i) => spread(2000, i / 1000));
  expect(Math.min(...waits)).toBe(2000);
  expect(Math.max(...waits)).toBeGreaterThan(2990);
  expect(Math.max(...waits)).toBeLessThan(3000);
});

test("repeats wait 1, 2, 5, 10 and 30 seconds, then 30 again, and never less than Retry-After", () => {
  const env = fakeEnv();
  expect([1, 2, 3, 4, 5, 6].map((count) => retryDelay(env, count))).toEqual([
    1000, 2000, 5000, 10000, 30000, 30000,
  ]);
  expect(retryDelay(env, 1, { retryAfterMs: 20_000 })).toBe(25_000);
  expect(retryDelay(env, 4, { retryAfterMs: 100 })).toBe(10_000);
});

test("a pause ends at its time or with its signal, and leaves no timer", async () => {
  const env = fakeEnv();
  let ended = 0;
  const count = (): void => {
    ended++;
  };
  void pause(env, 500).then(count);
  await env.advance(499);
  expect(ended).toBe(0);
  await env.advance(1);
  expect(ended).toBe(1);
  const abort = new AbortController();
  void pause(env, 500, abort.signal).then(count);
  abort.abort();
  await pause(env, 500, abort.signal);
  await env.settle();
  expect([ended, env.timers()]).toEqual([2, 0]);
});

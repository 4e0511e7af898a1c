import type { Env, Page } from "../../src/env.ts";
import { environment } from "../../src/env.ts";

export interface FakeRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
  keepalive: boolean;
  signal: AbortSignal;
}

type Answer = Response | Promise<Response>;

/** An `Env` with a clock that only a test moves, and a network that is one function. */
export interface FakeEnv extends Env {
  /** Runs what is due within `ms`, in order, and all that follows from it. */
  advance(ms: number): Promise<void>;
  /** Lets everything run that waits for no timer. */
  settle(): Promise<void>;
  timers(): number;
  requests: FakeRequest[];
  respond: (request: FakeRequest) => Answer;
  logged: unknown[][];
}

export const silentPage: Page = { visible: () => true, listen: () => () => {} };

export function fakeEnv(respond: (request: FakeRequest) => Answer = () => json({})): FakeEnv {
  let now = 1_700_000_000_000;
  let order = 0;
  const timers = new Map<number, { at: number; run: () => void }>();
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const logged: unknown[][] = [];
  const log = (...entry: unknown[]): void => {
    logged.push(entry);
  };
  const env: FakeEnv = {
    ...environment({
      fetch: async (input, init) => {
        const url = new URL(String(input));
        const request: FakeRequest = {
          method: init?.method ?? "GET",
          path: url.pathname + url.search,
          headers: Object.fromEntries(new Headers(init?.headers)),
          body: init?.body as string | undefined,
          keepalive: init?.keepalive ?? false,
          signal: init?.signal as AbortSignal,
        };
        env.requests.push(request);
        const aborted = new Promise<never>((_, reject) => {
          request.signal?.addEventListener("abort", () => reject(request.signal.reason));
        });
        return Promise.race([env.respond(request), aborted]);
      },
      now: () => now,
      random: () => 0.5,
      setTimeout: (run, ms) => {
        timers.set(++order, { at: now + ms, run });
        return order;
      },
      clearTimeout: (handle) => timers.delete(handle as number),
      logger: { debug: log, info: log, warn: log, error: log },
      page: silentPage,
    }),
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const [next] = [...timers].sort(([a, x], [b, y]) => x.at - y.at || a - b);
        if (!next || next[1].at > end) {
          break;
        }
        timers.delete(next[0]);
        now = Math.max(now, next[1].at);
        next[1].run();
        await settle();
      }
      now = end;
    },
    settle,
    timers: () => timers.size,
    requests: [],
    respond,
    logged,
  };
  return env;
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** A refusal of the hub. */
export function problem(status: number, code: string, more: object = {}): Response {
  return json(
    { type: `urn:tidings:error:${code}`, title: code, status, detail: code, code, ...more },
    status,
    {
      "content-type": "application/problem+json",
    },
  );
}

/** A network that fails, in one of the many wordings of platforms. */
export function broken(): Promise<Response> {
  return Promise.reject(new TypeError("Load failed"));
}

export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

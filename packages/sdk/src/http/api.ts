import type { Env } from "../env.ts";
import { broken, HubError } from "../errors.ts";
import type { CallOptions } from "../types.ts";
import { wait } from "../wait.ts";
import type { Credentials } from "./credentials.ts";
import { isRetryable, retryAfter } from "./retry.ts";

export interface ApiOptions extends CallOptions {
  /** The body, as JSON: a repeat has the same bytes. */
  text?: string;
  headers?: Record<string, string>;
  /** `false` leaves `Authorization` out. */
  withAuth?: boolean;
  /** The request outlives the page; the browser allows 64 KiB of those at a time. */
  keepalive?: boolean;
}

export interface Answer {
  response: Response;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said.
  data: any;
}

/**
 * One request and its whole answer, under one timeout.
 *
 * Rejects with the signal's reason when that aborts, else with a `HubError`: `timeout`, `network` (no matter how the platform
 * words it), or an `HttpError`. A 401 is repeated once if the credentials could be renewed.
 */
export type Api = (method: string, path: string, options?: ApiOptions) => Promise<Answer>;

/** An answer other than a success. `code` is the hub's where the answer was its problem document. */
export class HttpError extends HubError {
  declare readonly status: number;
  readonly statusText: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said.
  readonly data: any;

  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said.
  constructor(status: number, statusText: string, data: any, retryAfterMs?: number) {
    const retryable = isRetryable(status);
    const { code, detail, field } = data ?? {};
    super(
      typeof code === "string" ? code : retryable ? "network" : "invalid_response",
      detail ?? `${status} ${statusText}`,
      { status, field, retryable, retryAfterMs },
    );
    this.name = "HttpError";
    this.statusText = statusText;
    this.data = data;
  }
}

/** The error for an answer that is not a success. */
export function refusal(env: Env, { status, statusText, headers }: Response, data: unknown): HttpError {
  return new HttpError(status, statusText, data, retryAfter(headers, data, env.now()));
}

/** Paths are resolved below `base`. */
export function createApi(env: Env, credentials: Credentials, base: string, usual: number): Api {
  const root = `${base.replace(/\/+$/, "")}/`;
  return async (method, path, options = {}) => {
    const { text: body, withAuth = true, keepalive, signal, timeout = usual } = options;
    const { fetch } = env;
    for (let repeated = !withAuth; ; repeated = true) {
      signal?.throwIfAborted();
      const given = await credentials.headers(signal).catch(broken);
      // While a token was asked for, the SDK may have been disposed: nothing may be sent then.
      signal?.throwIfAborted();
      const headers = new Headers(given);
      if (!withAuth) {
        headers.delete("authorization");
      }
      if (body) {
        headers.set("content-type", "application/json");
      }
      for (const [name, value] of Object.entries(options.headers ?? {})) {
        headers.set(name, value);
      }
      const abort = new AbortController();
      const exchange = fetch(root + path.replace(/^\/+/, ""), {
        method,
        headers,
        body,
        keepalive,
        signal: abort.signal,
        // Followed to another origin, a redirect would take the application's own headers along.
        redirect: "manual",
      }).then(async (response) => ({ response, data: parse(await response.text()) }));
      const answer = await wait(env, exchange.catch(broken), { signal, timeout }).finally(() =>
        abort.abort(),
      );
      const { ok, status } = answer.response;
      if (ok) {
        return answer;
      }
      if (repeated || status !== 401 || !(await credentials.refresh(given).catch(() => false))) {
        throw refusal(env, answer.response, answer.data);
      }
    }
  };
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said.
function parse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

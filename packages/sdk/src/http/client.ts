import { type Env, environment } from "../env.ts";
import { HubError } from "../errors.ts";
import type { CallOptions, CommandMessage, Message } from "../types.ts";
import { pause, wait } from "../wait.ts";
import { type Credentials, createCredentials } from "./credentials.ts";
import { isRetryable, RETRY_DELAYS, retryAfter, retryDelay } from "./retry.ts";

export interface RequestConfig extends CallOptions {
  path: string;
  method?: "GET" | "POST" | "PUT" | "DELETE";
  headers?: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: a body is any JSON.
  body?: any;
  /** `false` leaves `Authorization` out. */
  withAuth?: boolean;
  /** The request outlives the page; the browser allows 64 KiB of those at a time. */
  keepalive?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: an answer is any JSON, and code without a type for it has to compile.
export interface HttpResponse<T = any> {
  status: number;
  statusText: string;
  data: T;
  headers: Record<string, string>;
}

export interface HttpOptions {
  headers?: Record<string, string>;
  timeout?: number;
  authToken?: string;
  /** Shared with whoever else sends requests; takes the place of `headers` and `authToken`. */
  credentials?: Credentials;
  env?: Env;
}

type Options = Partial<Omit<RequestConfig, "path" | "method">>;

/** A body that is JSON text already: a repeat has the same bytes. */
type Text = { text?: string };

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
      detail ?? `the server answered ${status} ${statusText}`,
      { status, field, retryable, retryAfterMs },
    );
    this.name = "HttpError";
    this.statusText = statusText;
    this.data = data;
  }
}

/**
 * Requests to the hub.
 *
 * Every call rejects with the signal's reason when that aborts, else with a `HubError`: `timeout`, `network` (no matter how
 * the platform words it), or an `HttpError`. A 401 is repeated once if the credentials could be renewed.
 */
export class HttpClient {
  readonly #credentials: Credentials;
  readonly #env: Env;
  readonly #request: (config: RequestConfig & Text) => Promise<HttpResponse>;

  constructor(baseUrl: string, options: HttpOptions = {}) {
    const { env = environment(), timeout = 10_000 } = options;
    const { credentials = createCredentials(options.authToken, options.headers) } = options;
    const base = `${baseUrl.replace(/\/+$/, "")}/`;
    this.#env = env;
    this.#credentials = credentials;
    this.#request = (config) =>
      request(env, credentials, { timeout, ...config, path: base + config.path.replace(/^\/+/, "") });
  }

  setAuthToken(token: string): void {
    this.#credentials.set(token);
  }

  clearAuthToken(): void {
    this.#credentials.clear();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  get<T = any>(
    path: string,
    params: Record<string, string> = {},
    options?: Omit<Options, "body">,
  ): Promise<HttpResponse<T>> {
    const query = `${new URLSearchParams(params)}`;
    return this.#request({ ...options, path: query ? `${path}?${query}` : path });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  post<T = any>(path: string, body?: any, options?: Options & Text): Promise<HttpResponse<T>> {
    return this.#request({ body, ...options, path, method: "POST" });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  put<T = any>(path: string, body?: any, options?: Options): Promise<HttpResponse<T>> {
    return this.#request({ body, ...options, path, method: "PUT" });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  delete<T = any>(path: string, options?: Options): Promise<HttpResponse<T>> {
    return this.#request({ ...options, path, method: "DELETE" });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  sendMessage<T = any>(
    message: Message,
    { path = "api/messages", ...options }: CallOptions & { path?: string } = {},
  ): Promise<HttpResponse<T>> {
    return this.post(path, message, options);
  }

  /** `retry` repeats it, with the same bytes, after each of the retry delays. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  async sendCommand<T = any>(
    command: CommandMessage,
    { retry, ...options }: CallOptions & { retry?: boolean } = {},
  ): Promise<HttpResponse<T>> {
    const text = JSON.stringify(command);
    for (let count = 1; ; count++) {
      try {
        return await this.post("api/commands", undefined, { ...options, text });
      } catch (error) {
        if (!retry || !(error as HubError).retryable || count > RETRY_DELAYS.length) {
          throw error;
        }
        await pause(this.#env, retryDelay(this.#env, count, error as HubError), options.signal);
      }
    }
  }
}

async function request(
  env: Env,
  credentials: Credentials,
  config: RequestConfig & Text,
): Promise<HttpResponse> {
  const { path, body, text = JSON.stringify(body), withAuth = true, signal, timeout } = config;
  const { method = "GET", keepalive } = config;
  const { fetch } = env;
  for (let repeated = !withAuth; ; repeated = true) {
    signal?.throwIfAborted();
    const given = await credentials.headers(signal).catch(broken);
    const headers = new Headers(given);
    if (!withAuth) {
      headers.delete("authorization");
    }
    for (const [name, value] of Object.entries({
      ...(text && { "content-type": "application/json" }),
      ...config.headers,
    })) {
      headers.set(name, value);
    }
    const abort = new AbortController();
    // Followed to another origin, a redirect would take the application's own headers along.
    const init: RequestInit = {
      method,
      headers,
      body: text,
      keepalive,
      signal: abort.signal,
      redirect: "manual",
    };
    const exchange = fetch(path, init).then(async (response) => ({
      response,
      data: parse(await response.text()),
    }));
    const { response, data } = await wait(env, exchange.catch(broken), { signal, timeout }).finally(() =>
      abort.abort(),
    );
    const { ok, status, statusText } = response;
    if (ok) {
      return { status, statusText, data, headers: Object.fromEntries(response.headers) };
    }
    if (repeated || status !== 401 || !(await credentials.refresh(given).catch(() => false))) {
      throw new HttpError(status, statusText, data, retryAfter(response.headers, data, env.now()));
    }
  }
}

/** The platforms have no common error for what fails on the way, so none is told from another. */
function broken(cause: unknown): never {
  throw new HubError("network", "the hub cannot be reached", { retryable: true, cause });
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said.
function parse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

import { type Env, environment } from "../env.ts";
import type { HubError } from "../errors.ts";
import type { CallOptions, CommandMessage, Message } from "../types.ts";
import { pause } from "../wait.ts";
import { type Api, type ApiOptions, createApi } from "./api.ts";
import { type Credentials, createCredentials } from "./credentials.ts";
import { RETRY_DELAYS, retryDelay } from "./retry.ts";

export interface RequestConfig extends Omit<ApiOptions, "text"> {
  path: string;
  method?: "GET" | "POST" | "PUT" | "DELETE";
  // biome-ignore lint/suspicious/noExplicitAny: a body is any JSON.
  body?: any;
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

/** Requests to the hub; see `Api` for how they fail. */
export class HttpClient {
  readonly #credentials: Credentials;
  readonly #env: Env;
  readonly #api: Api;

  constructor(baseUrl: string, options: HttpOptions = {}) {
    const { env = environment(), timeout = 10_000 } = options;
    this.#env = env;
    this.#credentials = options.credentials ?? createCredentials(options.authToken, options.headers);
    this.#api = createApi(env, this.#credentials, baseUrl, timeout);
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
    return this.#request("GET", query ? `${path}?${query}` : path, options);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  post<T = any>(path: string, body?: any, options?: Options): Promise<HttpResponse<T>> {
    return this.#request("POST", path, { body, ...options });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  put<T = any>(path: string, body?: any, options?: Options): Promise<HttpResponse<T>> {
    return this.#request("PUT", path, { body, ...options });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  delete<T = any>(path: string, options?: Options): Promise<HttpResponse<T>> {
    return this.#request("DELETE", path, options);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  sendMessage<T = any>(
    message: Message,
    { path = "/api/messages", ...options }: CallOptions & { path?: string } = {},
  ): Promise<HttpResponse<T>> {
    return this.post(path, message, options);
  }

  /** `retry` repeats it after each of the retry delays. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `HttpResponse`.
  async sendCommand<T = any>(
    command: CommandMessage,
    { retry, ...options }: CallOptions & { retry?: boolean } = {},
  ): Promise<HttpResponse<T>> {
    const body = structuredClone(command);
    for (let count = 1; ; count++) {
      try {
        return await this.post("/api/commands", body, options);
      } catch (error) {
        if (!retry || !(error as HubError).retryable || count > RETRY_DELAYS.length) {
          throw error;
        }
        await pause(this.#env, retryDelay(this.#env, count, error as HubError), options.signal);
      }
    }
  }

  async #request<T>(
    method: string,
    path: string,
    { body, ...options }: Options = {},
  ): Promise<HttpResponse<T>> {
    const { response, data } = await this.#api(method, path, { ...options, text: JSON.stringify(body) });
    const { status, statusText, headers } = response;
    return { status, statusText, data, headers: Object.fromEntries(headers) };
  }
}

import type { Env } from "../env.ts";
import { HubError } from "../errors.ts";
import { HttpError } from "../http/client.ts";
import { retryAfter } from "../http/retry.ts";

export interface StreamRequest {
  url: URL;
  headers: Record<string, string>;
  signal: AbortSignal;
}

export interface StreamReader {
  /** The answer is an event stream. */
  onHead(): void;
  /** The next bytes; the stream is read on when the promise has resolved. A rejection ends the stream. */
  onBytes(bytes: Uint8Array): Promise<void>;
}

/**
 * Makes one request for a stream and reads it to its end, which is always a rejection: with a `HubError` that says
 * whether another attempt makes sense. No answer is left open behind it.
 */
export async function readStream(env: Env, request: StreamRequest, reader: StreamReader): Promise<never> {
  const { url, headers, signal } = request;
  const broken = (cause: unknown): HubError =>
    // The platforms have no common error for this, so none is told from another.
    new HubError("network", "the connection to the hub failed", { cause, retryable: true });

  const response = await env
    .fetch(url.href, { headers: { ...headers, accept: "text/event-stream" }, signal, cache: "no-store" })
    .catch((cause) => {
      throw broken(cause);
    });
  try {
    signal.throwIfAborted();
    await check(response, url, env.now());
  } catch (error) {
    response.body?.cancel().catch(() => {});
    throw error;
  }
  reader.onHead();
  const body = (response.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await body.read().catch((cause) => {
        throw broken(cause);
      });
      if (done) {
        throw new HubError("stream_ended", "the stream ended", { retryable: true });
      }
      await reader.onBytes(value);
    }
  } finally {
    body.cancel().catch(() => {});
  }
}

/** Throws unless the answer is an event stream. */
async function check(response: Response, url: URL, now: number): Promise<void> {
  const { status, headers, body } = response;
  if (response.redirected && new URL(response.url).origin !== url.origin) {
    throw new HubError("invalid_response", `redirected to another origin: ${response.url}`, { status });
  }
  if (status === 204) {
    throw new HubError("server_stop", "the hub has no stream for this client", { status });
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => undefined);
    throw new HttpError(status, response.statusText, problem, retryAfter(headers, problem, now));
  }
  if (!/^text\/event-stream *(;|$)/i.test(headers.get("content-type") ?? "")) {
    throw new HubError("invalid_response", "the answer is not an event stream", { status, retryable: true });
  }
  if (!body) {
    throw new HubError("invalid_response", "this `fetch` does not stream: give one that does", { status });
  }
}

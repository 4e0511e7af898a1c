import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import { broken, HubError, transient } from "../errors.ts";
import { refusal } from "../http/api.ts";

/** The address of a stream, with all that the hub has to know for it. */
export function streamUrl(
  settings: Settings,
  topics: Iterable<string>,
  cursor: string,
  withCursor: boolean,
): URL {
  const { clientId, device, exclusive, heartbeatInterval: heartbeat, instance, since, types } = settings;
  const parameters = {
    v: "1",
    clientId,
    topics: [...topics].join(),
    types: types?.join(),
    device,
    heartbeat,
    exclusive,
    instance: exclusive && instance,
    since: cursor ? "" : since instanceof Date ? +since : since,
    lastEventId: withCursor && cursor,
  };
  const url = new URL(settings.sseUrl);
  // Not by URLSearchParams: it writes a space as `+`, which is a wildcard to the hub.
  url.search = [
    url.search.slice(1),
    ...Object.entries(parameters).map(([name, value]) => value && `${name}=${encodeURIComponent(value)}`),
  ]
    .filter(Boolean)
    .join("&");
  return url;
}

/**
 * Makes one request for a stream. Rejects with a `HubError` that says whether another one makes sense, and leaves no
 * answer open then.
 */
export async function openStream(
  env: Env,
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await env
    .fetch(url.href, { headers: { ...headers, accept: "text/event-stream" }, signal, cache: "no-store" })
    .catch(broken);
  const { body, headers: head, redirected, status } = response;
  try {
    signal.throwIfAborted();
    if (redirected && new URL(response.url).origin !== url.origin) {
      throw new HubError("invalid_response", `redirected to ${response.url}`);
    }
    if (status === 204) {
      throw new HubError("server_stop");
    }
    if (!response.ok) {
      const problem = await response.json().catch(() => {});
      throw refusal(env, response, problem);
    }
    if (!/^text\/event-stream *(;|$)/i.test(head.get("content-type") ?? "")) {
      throw transient("invalid_response", "not an event stream", { status });
    }
    if (!body) {
      throw new HubError("invalid_response", "this `fetch` does not stream: give one that does");
    }
    return body.getReader();
  } catch (error) {
    body?.cancel().catch(() => {});
    throw error;
  }
}

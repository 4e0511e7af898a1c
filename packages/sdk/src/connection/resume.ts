import type { Settings } from "../config.ts";
import { HubError } from "../errors.ts";

/** How often an event that is too large may come behind the same cursor. */
const OVERFLOWS_MAX = 3;

/** Where the next stream goes on, and how the hub is told. */
export class Resume {
  /** The id of the last event that was received; empty where there is none. */
  cursor = "";

  /**
   * Across origins the header needs a preflight that the first request may have done without. So once a request with it
   * could not be made, the cursor goes into the URL, in turns, until one of the two has worked.
   */
  #inUrl = false;
  #proven = false;
  #sent = false;
  /** One request in each outage is repeated at once. */
  #repeated = false;
  #overflows = 0;
  #overflowAt: string | undefined;

  request(settings: Settings, topics: Iterable<string>, headers: Record<string, string>): URL {
    const { cursor } = this;
    const { since, types } = settings;
    this.#sent = cursor !== "";
    if (cursor && !this.#inUrl) {
      headers["last-event-id"] = cursor;
    }
    const parameters = {
      v: 1,
      clientId: settings.clientId,
      topics: [...topics].join(),
      types: types?.join(),
      device: settings.device,
      heartbeat: settings.heartbeatInterval,
      exclusive: settings.exclusive || undefined,
      instance: settings.exclusive && settings.instance,
      since: cursor ? undefined : since instanceof Date ? since.getTime() : since,
      lastEventId: this.#inUrl ? cursor : undefined,
    };
    const url = new URL(settings.sseUrl);
    for (const [name, value] of Object.entries(parameters)) {
      if (value) {
        // Not by URLSearchParams: it writes a space as `+`, which is a wildcard to the hub.
        url.search += `${url.search && "&"}${name}=${encodeURIComponent(value)}`;
      }
    }
    return url;
  }

  connected(): void {
    this.#proven ||= this.#sent;
    this.#repeated = false;
  }

  /** Whether to make the request again at once, with the cursor in the other place. */
  failed(error: HubError): boolean {
    if (error.code !== "network" || !this.#sent || this.#proven) {
      return false;
    }
    this.#inUrl = !this.#inUrl;
    const again = !this.#repeated;
    this.#repeated = true;
    return again;
  }

  /** The error for an event that is too large; a final one when it would only come again. */
  overflow(limit: number): HubError {
    this.#overflows = this.#overflowAt === this.cursor ? this.#overflows + 1 : 1;
    this.#overflowAt = this.cursor;
    return new HubError("event_too_large", `an event has more than ${limit} bytes`, {
      retryable: this.#overflows < OVERFLOWS_MAX,
    });
  }
}

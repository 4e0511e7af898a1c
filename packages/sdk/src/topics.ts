import type { Connection } from "./connection/connection.ts";
import type { Emitter, SdkEvents } from "./emitter.ts";
import { toHubError } from "./errors.ts";
import type { HttpClient } from "./http/client.ts";
import type { CallOptions } from "./types.ts";

/**
 * The topics and patterns that are subscribed to.
 *
 * The hub forgets them with each connection, and each request for a stream names them all. What changes meanwhile is
 * told to the live connection; where that fails, a new stream brings both into line.
 */
export class Topics {
  #connection: Connection;
  #http: HttpClient;

  constructor(connection: Connection, http: HttpClient, emitter: Emitter<SdkEvents>) {
    this.#connection = connection;
    this.#http = http;
    // What changed between a request for a stream and its answer.
    emitter.on("connected", () => {
      const { topics, requested } = connection;
      const changed = [...topics, ...requested].filter((topic) => topics.has(topic) !== requested.has(topic));
      return Promise.all(changed.map((topic) => this.#tell(topic)));
    });
  }

  list(): string[] {
    return [...this.#connection.topics];
  }

  /** Resolves when the hub sends the topic's messages, or will with the next stream. Rejects where it refuses to. */
  async add(topic: string, options?: CallOptions): Promise<void> {
    this.#connection.topics.add(topic);
    try {
      await this.#tell(topic, options);
    } catch (error) {
      this.#connection.topics.delete(topic);
      throw error;
    }
  }

  async remove(topic: string, options?: CallOptions): Promise<void> {
    this.#connection.topics.delete(topic);
    await this.#tell(topic, options);
  }

  async #tell(topic: string, options?: CallOptions): Promise<void> {
    const connection = this.#connection;
    const { detail, requested, topics } = connection;
    const wanted = topics.has(topic);
    if (connection.state !== "connected" || !detail || wanted === requested.has(topic)) {
      return;
    }
    const name = topic.split("/").map(encodeURIComponent).join("/");
    const path = `api/connections/${detail.connectionId}/topics/${name}`;
    try {
      await (wanted ? this.#http.put(path, undefined, options) : this.#http.delete(path, options));
      if (wanted) {
        requested.add(topic);
      } else {
        requested.delete(topic);
      }
    } catch (thrown) {
      const error = toHubError(thrown, "network");
      if (!error.retryable && error.status !== 404) {
        throw thrown;
      }
      if (connection.detail === detail) {
        connection.reconnect().catch(() => {});
      }
    }
  }
}

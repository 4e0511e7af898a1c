import type { Connection } from "./connection/connection.ts";
import type { Emitter, SdkEvents } from "./emitter.ts";
import type { HubError } from "./errors.ts";
import type { Api } from "./http/api.ts";
import type { CallOptions } from "./types.ts";

/**
 * Adds (`wanted`) or removes a topic or pattern. Resolves when the hub keeps to it, now or with the next stream; rejects
 * where it refuses to.
 */
export type ChangeTopic = (topic: string, wanted: boolean, options?: CallOptions) => Promise<void>;

/**
 * The hub forgets subscriptions with each connection, and each request for a stream names them all. What changes
 * meanwhile is told to the live connection; where that fails, a new stream brings both into line.
 */
export function createTopics(connection: Connection, api: Api, emitter: Emitter<SdkEvents>): ChangeTopic {
  const { topics } = connection;
  const change: ChangeTopic = async (topic, wanted, options) => {
    const { detail, requested, state } = connection;
    topics[wanted ? "add" : "delete"](topic);
    if (state !== "connected" || wanted === requested.has(topic)) {
      return;
    }
    const name = topic.split("/").map(encodeURIComponent).join("/");
    const path = `api/connections/${detail?.connectionId}/topics/${name}`;
    try {
      await api(wanted ? "PUT" : "DELETE", path, options);
      requested[wanted ? "add" : "delete"](topic);
    } catch (error) {
      const { retryable, status } = error as HubError;
      if (!retryable && status !== 404) {
        topics.delete(topic);
        throw error;
      }
      if (connection.detail === detail) {
        connection.reconnect().catch(() => {});
      }
    }
  };
  // What changed between a request for a stream and its answer.
  emitter.on("connected", () => {
    for (const topic of new Set([...topics, ...connection.requested])) {
      change(topic, topics.has(topic)).catch(() => {});
    }
  });
  return change;
}

import { HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, SINCE_LAST_MAX, TOPICS_MAX } from "../wire/limits.ts";
import { checkName } from "./accept.ts";
import { brokenRule } from "./patterns.ts";
import { Refused } from "./problem.ts";
import { actorOf, clientOf, type TestRequest } from "./request.ts";
import type { HubState } from "./state.ts";
import { TestStream } from "./stream.ts";

/** `GET /sse`: a new stream, or nothing for an instance that was replaced. */
export function openStream(state: HubState, request: TestRequest): TestStream | undefined {
  const { query } = request;
  const { token } = actorOf(state, request);
  const clientId = clientOf(state, request);
  if (clientId === "anonymous" && query.clientId === undefined) {
    throw new Refused("invalid_field", "is required", { field: "clientId" });
  }
  const instance = exclusiveInstance(query);
  if (instance !== undefined && state.wasReplaced(clientId, instance)) {
    return undefined;
  }
  const stream = new TestStream(state, {
    clientId,
    connectionId: state.newId(),
    topics: topicsOf(query.topics),
    types: query.types?.split(","),
    cursor: request.headers["last-event-id"] || query.lastEventId,
    since: sinceOf(query.since ?? "now"),
    device: query.device === undefined ? undefined : checkName(query.device, "device", true),
    instance,
    token,
    heartbeat: heartbeatOf(state, query.heartbeat),
  });
  for (const older of instance === undefined ? [] : [...state.streams]) {
    if (older.clientId === clientId) {
      dismissOlder(state, older, instance);
    }
  }
  return stream;
}

/** An instance that comes again replaces its own older stream and is not sent away for it. */
function dismissOlder(state: HubState, older: TestStream, instance: string | undefined): void {
  if (older.instance === instance) {
    older.disconnect("replaced");
  } else {
    state.dismiss(older, "replaced");
  }
}

function exclusiveInstance({ exclusive, instance }: TestRequest["query"]): string | undefined {
  if (exclusive !== "true") {
    return undefined;
  }
  if (instance === undefined) {
    throw new Refused("invalid_field", "is required with `exclusive`", { field: "instance" });
  }
  return checkName(instance, "instance", false);
}

function topicsOf(text: string | undefined): string[] {
  const topics = [...new Set(text?.split(",") ?? [])];
  if (topics.length > TOPICS_MAX) {
    throw new Refused("invalid_field", `must be at most ${TOPICS_MAX} patterns`, { field: "topics" });
  }
  for (const topic of topics) {
    const rule = brokenRule(topic, true);
    if (rule) {
      throw new Refused("invalid_field", rule, { field: "topics" });
    }
  }
  return topics;
}

function sinceOf(text: string): string {
  const last = /^last:(\d+)$/.exec(text)?.[1];
  if (text === "now" || text === "earliest" || /^\d+$/.test(text) || Number(last) <= SINCE_LAST_MAX) {
    return text;
  }
  const rule = `must be now, earliest, last:N with N up to ${SINCE_LAST_MAX}, or a time`;
  throw new Refused("invalid_field", rule, { field: "since" });
}

function heartbeatOf(state: HubState, text: string | undefined): number {
  if (text === undefined) {
    return state.settings.heartbeatInterval;
  }
  const wished = Number(text);
  if (!Number.isInteger(wished) || wished < HEARTBEAT_MS_MIN || wished > HEARTBEAT_MS_MAX) {
    const rule = `must be a whole number from ${HEARTBEAT_MS_MIN} to ${HEARTBEAT_MS_MAX}`;
    throw new Refused("invalid_field", rule, { field: "heartbeat" });
  }
  return wished;
}

import type {
  AckAnswer,
  BatchAnswer,
  BroadcastAnswer,
  ConnectionInfo,
  HistoryAnswer,
  MessageAnswer,
  PublishAnswer,
} from "../wire/api.ts";
import { BATCH_MAX, HISTORY_LIMIT, HISTORY_LIMIT_MAX } from "../wire/limits.ts";
import type { Message } from "../wire/message.ts";
import type { Acceptance } from "./accept.ts";
import { brokenRule, matches } from "./patterns.ts";
import { Refused } from "./problem.ts";
import { actorOf, clientOf, type TestRequest } from "./request.ts";
import type { HubState } from "./state.ts";
import type { TestStream } from "./stream.ts";

/** The calls of the return path other than commands and tasks, each named after its route. */

export function postMessages(state: HubState, request: TestRequest): PublishAnswer | BatchAnswer {
  const acceptance = acceptanceOf(state, request);
  if (!Array.isArray(request.body)) {
    return state.publish(state.complete(request.body, acceptance), publishing(request));
  }
  if (request.body.length > BATCH_MAX) {
    throw new Refused("invalid_field", `must have at most ${BATCH_MAX} items`, { field: `[${BATCH_MAX}]` });
  }
  const messages = request.body.map((item, i) =>
    within(`[${i}]`, () => state.complete(item, { ...acceptance })),
  );
  return { success: true, results: messages.map((message) => state.publish(message, publishing(request))) };
}

export function postTopic(state: HubState, request: TestRequest, topic: string): PublishAnswer {
  const rule = brokenRule(topic, false);
  if (rule) {
    throw new Refused("invalid_field", rule, { field: "topic" });
  }
  const body = isText(request)
    ? { type: "text", payload: { content: textOf(request) } }
    : { payload: request.body };
  return publishTo(state, request, { topic }, body);
}

export function postDirect(state: HubState, request: TestRequest, target: string): PublishAnswer {
  const body = isText(request)
    ? { type: "text", payload: { content: textOf(request) } }
    : (request.body as object);
  return publishTo(state, request, { target }, body);
}

export function postBroadcast(state: HubState, request: TestRequest): BroadcastAnswer {
  const { message, excludeClientId } = request.body as { message?: object; excludeClientId?: string };
  if (typeof message !== "object") {
    throw new Refused("invalid_field", "must be a JSON object", { field: "message" });
  }
  const body = { ...message, ...(excludeClientId == null ? {} : { excludeClientId }) };
  const complete = within("message", () =>
    state.complete(withKey(request, body), { ...acceptanceOf(state, request), address: {} }),
  );
  const { recipients, messageId, duplicate } = state.publish(complete, publishing(request));
  return { success: true, sentCount: recipients, messageId, ...(duplicate ? { duplicate } : {}) };
}

export function postAcks(state: HubState, request: TestRequest): AckAnswer {
  const { cursor, from, device, messages, messageIds } = request.body as { [field: string]: unknown } & {
    messages?: { source: string; id: string }[];
    messageIds?: string[];
  };
  if (cursor == null && messages == null && messageIds == null) {
    throw new Refused("invalid_field", "is required", { field: "cursor" });
  }
  const clientId = clientOf(state, request);
  const of = (device ?? undefined) as string | undefined;
  const began = (from ?? undefined) as string | undefined;
  const applied = cursor == null || state.acks.move(clientId, of, String(cursor), began);
  state.receipts.ack(clientId, ({ source, id }) => {
    return !!messages?.some((one) => one.source === source && one.id === id) || !!messageIds?.includes(id);
  });
  const stored = state.acks.text(clientId, of);
  return { success: true, applied, ...(stored === undefined ? {} : { cursor: stored }) };
}

export function getMessages(state: HubState, { query }: TestRequest): HistoryAnswer {
  const limit = Number(query.limit ?? HISTORY_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > HISTORY_LIMIT_MAX) {
    const rule = `must be a whole number from 1 to ${HISTORY_LIMIT_MAX}`;
    throw new Refused("invalid_field", rule, { field: "limit" });
  }
  const after = query.after === undefined ? undefined : state.log.locate(query.after).place?.mailbox;
  if (query.after !== undefined && after === undefined) {
    throw new Refused("invalid_cursor", "is no place in this history", { field: "after" });
  }
  const descending = query.order === "desc";
  const found = state.log.entries().filter((entry) => {
    const { message, storedAt, position } = entry;
    const wanted = selects(query, message) && storedAt >= Number(query.since ?? 0);
    const beyond = after === undefined || (descending ? position < after : position > after);
    const useful = storedAt + (message.ttl ?? Infinity) > state.clock.now();
    return wanted && useful && beyond && storedAt < Number(query.until ?? Infinity);
  });
  const page = (descending ? found.reverse() : found).slice(0, limit);
  const last = found.length > limit ? page.at(-1)?.position : undefined;
  const next = last === undefined ? undefined : state.log.cursor({ mailbox: last, shared: last, ahead: [] });
  return { messages: page.map(({ message }) => message), ...(next === undefined ? {} : { next }) };
}

export function getMessage(state: HubState, request: TestRequest, id: string): MessageAnswer {
  const source = request.query.source ?? clientOf(state, request);
  const found = state.log.entries().find(({ message }) => message.id === id && message.source === source);
  if (!found) {
    throw new Refused("not_found", "no message has this id");
  }
  return { message: found.message, receipts: state.receipts.of(found.message) };
}

export function getConnections(state: HubState, request: TestRequest): ConnectionInfo[] {
  const { actor } = actorOf(state, request);
  return [...state.streams]
    .filter(({ clientId }) => actor === undefined || clientId === actor)
    .map((stream) => ({
      clientId: stream.clientId,
      connectionId: stream.connectionId,
      createdAt: stream.openedAt,
      lastActiveAt: state.clock.now(),
      uptime: state.clock.now() - stream.openedAt,
      topics: stream.topics,
      queued: stream.queued,
      remoteAddr: "127.0.0.1:50000",
    }));
}

/** A live connection by its id, if it is the caller's to change. */
export function connectionOf(state: HubState, request: TestRequest, connectionId: string): TestStream {
  const { actor } = actorOf(state, request);
  const found = [...state.streams].find((stream) => stream.connectionId === connectionId);
  if (!found || (actor !== undefined && actor !== found.clientId)) {
    throw new Refused("not_found", "no connection has this id");
  }
  return found;
}

export function publishing({ query }: TestRequest): { received: boolean; resend: boolean } {
  return { received: true, resend: query.resend === "1" };
}

export function acceptanceOf(state: HubState, request: TestRequest): Partial<Acceptance> {
  const { actor } = actorOf(state, request);
  const { source, clientId } = request.query;
  return { actor, source: source ?? clientId ?? "anonymous" };
}

/** The body with the header `Idempotency-Key` as its id, if it has none. */
export function withKey(request: TestRequest, body: object): object {
  const key = request.headers["idempotency-key"];
  return key === undefined ? body : { id: key, ...body };
}

function publishTo(
  state: HubState,
  request: TestRequest,
  address: { target?: string; topic?: string },
  body: object,
): PublishAnswer {
  const { "tidings-priority": priority, "tidings-ttl": ttl } = request.headers;
  const set = {
    ...(priority === undefined ? {} : { priority: Number(priority) }),
    ...(ttl === undefined ? {} : { ttl: Number(ttl) }),
  };
  const message = state.complete(withKey(request, { ...body, ...set }), {
    ...acceptanceOf(state, request),
    address,
  });
  return state.publish(message, publishing(request));
}

function isText({ headers }: TestRequest): boolean {
  return /^(text\/plain|application\/x-www-form-urlencoded)/.test(headers["content-type"] ?? "");
}

function textOf({ body }: TestRequest): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}

function selects(query: TestRequest["query"], message: Message): boolean {
  const { clientId, topic, type, source } = query;
  return (
    (clientId === undefined || message.target === clientId) &&
    (topic === undefined || (message.topic !== undefined && matches(topic, message.topic))) &&
    (type === undefined || type.split(",").includes(message.type)) &&
    (source === undefined || message.source === source)
  );
}

/** Runs it and names a refused field as seen from outside. */
function within<T>(outer: string, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    if (!(thrown instanceof Refused)) {
      throw thrown;
    }
    const { code, detail, field } = thrown.problem;
    const rule = field === undefined ? detail : detail.replace(`\`${field}\` `, "");
    throw new Refused(code, rule, { field: field === undefined ? outer : `${outer}.${field}` });
  }
}

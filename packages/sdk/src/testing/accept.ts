import { ID_BYTES_MAX, MESSAGE_BYTES_MAX } from "../wire/limits.ts";
import type { Incoming, Message, MessageType, Priority } from "../wire/message.ts";
import { brokenRule } from "./patterns.ts";
import { Refused } from "./problem.ts";

const TYPES: readonly string[] = [
  "text",
  "json",
  "system",
  "command",
  "heartbeat",
  "ack",
  "error",
  "progress",
];
const RESERVED: ReadonlySet<string> = new Set(["system", "heartbeat", "ack"]);

type Raw = { [field in keyof Incoming]?: unknown };

/** What the hub adds to a message. */
export interface Acceptance {
  /** The client that acts, where credentials say so. */
  actor: string | undefined;
  /** The source of a message that names none. */
  source: string;
  now: number;
  newId: () => string;
  /** Where it goes, when the path says so. */
  address?: { target?: string; topic?: string };
}

/** Checks what a client sent, by "Refusals" of PROTOCOL.md, and completes it as the hub does. */
export function complete(body: unknown, acceptance: Acceptance): Message {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refused("invalid_json", "the body must be a JSON object");
  }
  const raw: Raw = body;
  const type = read<string>(
    raw,
    "type",
    "json",
    (value) => TYPES.includes(value as string),
    `be one of ${TYPES}`,
  );
  refuseReserved(type, raw.payload);
  if (raw.payload === undefined) {
    throw new Refused("invalid_field", "is required", { field: "payload" });
  }
  const address = addressOf(raw, acceptance.address);
  const durable = type !== "progress" && read(raw, "durable", true, isBoolean, "be true or false");
  let requireAck = read(raw, "requireAck", false, isBoolean, "be true or false");
  if (type === "command" && address.target !== undefined) {
    requireAck ||= (raw.payload as { requireAck?: unknown } | null)?.requireAck === true;
  }
  if (requireAck && (address.target === undefined || !durable)) {
    const rule = "goes with a `target` and without `durable: false`";
    throw new Refused("unsupported_combination", rule, { field: "requireAck" });
  }
  const message: Message = {
    id: name(raw, "id", false) ?? acceptance.newId(),
    type: type as MessageType,
    priority: read(raw, "priority", 1, isPriority, "be a whole number from 0 to 3") as Priority,
    timestamp: read(raw, "timestamp", acceptance.now, isWhole, "be a whole number"),
    source: sourceOf(raw, acceptance),
    ...address,
    payload: raw.payload,
    ...present({
      metadata: read(raw, "metadata", undefined, isObject, "be an object"),
      ttl: read(raw, "ttl", undefined, isWhole, "be a whole number"),
      durable: durable ? undefined : false,
      excludeClientId: name(raw, "excludeClientId", true),
      requireAck: requireAck || undefined,
    }),
  };
  if (new TextEncoder().encode(JSON.stringify(message)).length > MESSAGE_BYTES_MAX) {
    throw new Refused("message_too_large", `the message has more than ${MESSAGE_BYTES_MAX} bytes`);
  }
  return message;
}

/** What two copies of one message must have in common. */
export function fingerprint({ type, priority, target, topic, payload, metadata }: Message): string {
  return JSON.stringify([type, priority, target, topic, payload, metadata]);
}

/** Returns a name that a client chose; `client` forbids those of the hub. */
export function checkName(value: unknown, field: string, client: boolean): string {
  const rule = nameRule(value, client);
  if (rule) {
    throw new Refused("invalid_field", rule, { field });
  }
  return value as string;
}

function nameRule(value: unknown, client: boolean): string | undefined {
  if (typeof value !== "string" || value === "") {
    return "must be a text that is not empty";
  }
  if (new TextEncoder().encode(value).length > ID_BYTES_MAX) {
    return `must be at most ${ID_BYTES_MAX} bytes long`;
  }
  if (/\p{Cc}/u.test(value)) {
    return "must not contain control characters";
  }
  return client && value.startsWith("$") ? "must not start with `$`" : undefined;
}

function refuseReserved(type: string, payload: unknown): void {
  if (RESERVED.has(type)) {
    throw new Refused("reserved_type", "is reserved for the hub", { field: "type" });
  }
  const event = (payload as { event?: unknown } | null | undefined)?.event;
  if (typeof event === "string" && event.startsWith("task_")) {
    throw new Refused("reserved_type", "is reserved for the hub", { field: "payload.event" });
  }
}

function addressOf(raw: Raw, given: Acceptance["address"]): { target?: string; topic?: string } {
  const target = name(raw, "target", true);
  const topic = name(raw, "topic", false);
  const rule = topic === undefined ? undefined : brokenRule(topic, false);
  if (rule) {
    throw new Refused("invalid_field", rule, { field: "topic" });
  }
  if (target !== undefined && topic !== undefined) {
    throw new Refused("invalid_field", "must not be given together with `target`", { field: "topic" });
  }
  for (const [field, value] of Object.entries({ target, topic })) {
    if (given && value !== undefined && value !== given[field as "target" | "topic"]) {
      throw new Refused("invalid_field", "contradicts the address of the path", { field });
    }
  }
  return given ?? present({ target, topic });
}

function sourceOf(raw: Raw, { actor, source }: Acceptance): string {
  const said = name(raw, "source", true);
  if (actor !== undefined && said !== undefined && said !== actor) {
    throw new Refused("forbidden", "is not the client of the token", { field: "source" });
  }
  return actor ?? said ?? source;
}

function name(raw: Raw, field: keyof Incoming, client: boolean): string | undefined {
  const value = raw[field];
  return value === undefined || value === null ? undefined : checkName(value, field, client);
}

function read<T>(
  raw: Raw,
  field: keyof Incoming,
  missing: T,
  good: (value: unknown) => boolean,
  rule: string,
): T {
  const value = raw[field];
  if (value === undefined || value === null) {
    return missing;
  }
  if (!good(value)) {
    throw new Refused("invalid_field", `must ${rule}`, { field });
  }
  return value as T;
}

const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isWhole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isPriority = (value: unknown): boolean => isWhole(value) && (value as number) <= 3;
const isObject = (value: unknown): boolean => typeof value === "object" && !Array.isArray(value);

/** Without the fields that are undefined. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

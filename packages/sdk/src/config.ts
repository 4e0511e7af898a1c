import type { Logger, Page } from "./env.ts";
import { HubError } from "./errors.ts";
import type { Persistence } from "./store/index.ts";

/** All times are milliseconds. */
export interface SSKSConfig {
  /** The hub's address, with or without `/sse` at its end. */
  endpoint: string;
  clientId: string;
  /** A token, or what gives one. A function is asked before every attempt and every request. */
  authToken?: string | TokenFunction;
  /** The heartbeat that is wished from the hub, 250 to 300,000. Without it the hub's own. */
  heartbeatInterval?: number;
  /** After so many attempts in a row that failed while they could have succeeded: state `error`. `Infinity` never gives up. */
  maxReconnectAttempts?: number;
  reconnectBaseDelay?: number;
  reconnectMaxDelay?: number;
  /** From the request of a stream to the hub's `connect` event. */
  connectionTimeout?: number;
  /** Logs to the console. */
  debug?: boolean;
  /** Sent with every request, the stream's included. */
  headers?: Record<string, string> | HeadersFunction;
  /** The messages that wait to be sent. When there are more, the lowest priority goes, the oldest first. */
  messageQueueSize?: number;
  /** Connects at once. */
  autoConnect?: boolean;

  /** Topics and patterns to subscribe to. */
  topics?: string[];
  /** Limits topics and broadcast to these types; the mailbox always comes whole. */
  types?: string[];
  /** Where the first stream starts: `now`, `earliest`, `last:N` or a time. */
  since?: string | number | Date;
  /** Keeps an ack cursor of its own among the devices of one client. */
  device?: string;
  /** The newest connection of the client replaces all others. */
  exclusive?: boolean;
  /** Names this process among those that are `exclusive`; random by default. */
  instance?: string;
  /** The silence after which a stream counts as dead. By default twice the heartbeat and 5 s, at least 15 s. */
  livenessTimeout?: number;
  /** Closes the stream of a page that was hidden for so long. Never by default. */
  pauseWhenHidden?: number;
  /** Keeps the outbox and the cursor over a reload. */
  store?: Persistence;
  /** Takes the place of `debug`'s console. */
  logger?: Logger;

  fetch?: typeof globalThis.fetch;
  now?: () => number;
  random?: () => number;
  setTimeout?: (run: () => void, ms: number) => unknown;
  clearTimeout?: (handle: unknown) => void;
  page?: Page;
}

export type TokenFunction = (context: TokenContext) => string | Promise<string>;
export type HeadersFunction = (
  context: TokenContext,
) => Record<string, string> | Promise<Record<string, string>>;

export interface TokenContext {
  /** The hub has refused the token that was given before: it takes a new one. */
  refused: boolean;
  signal?: AbortSignal;
}

type Defaulted =
  | "maxReconnectAttempts"
  | "reconnectBaseDelay"
  | "reconnectMaxDelay"
  | "connectionTimeout"
  | "messageQueueSize"
  | "autoConnect";

const defaults: Required<Pick<SSKSConfig, Defaulted>> = {
  maxReconnectAttempts: 10,
  reconnectBaseDelay: 1000,
  reconnectMaxDelay: 30000,
  connectionTimeout: 10000,
  messageQueueSize: 100,
  autoConnect: true,
};

/** `heartbeatInterval` is what most hubs are near to; it is wished from the hub only where a configuration has it. */
export const DEFAULT_CONFIG: Partial<SSKSConfig> = { ...defaults, heartbeatInterval: 30000, debug: false };

/** A configuration that was validated once; nothing behind it checks again. */
export interface Settings
  extends Omit<SSKSConfig, Defaulted | "topics">,
    Required<Pick<SSKSConfig, Defaulted>> {
  sseUrl: URL;
  /** Ends with a slash; `api/messages` and the like are resolved against it. */
  apiUrl: URL;
  topics: string[];
}

const NUMBERS = ["heartbeatInterval", "livenessTimeout", "pauseWhenHidden", ...Object.keys(defaults)];

/** Throws `invalid_config` with the field that is at fault. */
export function settle(config: SSKSConfig): Settings {
  const given = Object.entries(config).filter(([, value]) => value !== undefined && value !== null);
  const settings: { [field: string]: unknown } = { topics: [], ...defaults, ...Object.fromEntries(given) };
  const need = (field: string, rule: string, check: (value: unknown) => unknown): void => {
    if (!check(settings[field])) {
      throw new HubError("invalid_config", `\`${field}\` must be ${rule}`, { field });
    }
  };
  for (const field of NUMBERS) {
    need(field, "a number from 0", (value = 0) => (value as number) >= 0);
  }
  need("topics", "a list", Array.isArray);
  need("types", "a list", (value = []) => Array.isArray(value));
  need("clientId", "text", (value) => value && typeof value === "string");
  need("endpoint", "an http(s) URL", (value) => {
    try {
      const url = new URL(value as string, globalThis.location?.href);
      const base = url.pathname.replace(/(\/sse)?\/*$/, "");
      url.hash = "";
      settings.apiUrl = new URL(`${base}/`, url);
      url.pathname = `${base}/sse`;
      settings.sseUrl = url;
      return /^https?:$/.test(url.protocol);
    } catch {}
  });
  return settings as unknown as Settings;
}

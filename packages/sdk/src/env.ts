import type { SSKSConfig } from "./config.ts";

/** Everything that the SDK takes from outside; no other module reads a clock, a random number or the page. */
export interface Env {
  readonly fetch: typeof globalThis.fetch;
  /** Wall clock in milliseconds: it goes on while a computer sleeps. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  /** From 0 (inclusive) to 1 (exclusive). */
  random(): number;
  /** Silent unless the application asked for a log. Callers never pass tokens to it. */
  readonly log: Logger;
  readonly page: Page;
  /** A UUIDv7: unique, and in the order of time. */
  uuid(): string;
}

export interface Logger {
  debug(message: string, detail?: unknown): void;
  info(message: string, detail?: unknown): void;
  warn(message: string, detail?: unknown): void;
  error(message: string, detail?: unknown): void;
}

export type PageEvent =
  | "visible"
  | "hidden"
  | "freeze"
  | "resume"
  | "pagehide"
  | "pageshow"
  | "online"
  | "offline";

/** The browser's page. Where there is none (Node, workers) it is always visible and nothing happens to it. */
export interface Page {
  visible(): boolean;
  /** Returns what ends it. */
  listen(event: PageEvent, run: () => void): () => void;
}

/** The environment that the configuration describes, completed by the platform's own. Touches no global until it is called. */
export function environment(config: Partial<SSKSConfig> = {}): Env {
  const {
    fetch,
    now = Date.now,
    random = Math.random,
    setTimeout = globalThis.setTimeout,
    clearTimeout = globalThis.clearTimeout,
    debug,
    logger = debug ? console : silent,
    page = browserPage(),
  } = config;
  return {
    // Looked up at each call: others may put theirs in its place later.
    fetch: (input, init) => (fetch ?? globalThis.fetch)(input, init),
    now,
    // Browsers refuse to run their timers as methods of another object.
    setTimeout: (run, ms) => setTimeout(run, Math.min(ms, LONGEST_TIMER)),
    clearTimeout: (handle) => clearTimeout(handle as number),
    random,
    log: logger,
    page,
    uuid: () => uuidv7(now()),
  };
}

/** A longer timer would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

const nothing = (): void => {};
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** `crypto.randomUUID` is missing on plain-http pages; `getRandomValues` is not. */
function uuidv7(now: number): string {
  const time = now.toString(16).padStart(12, "0");
  const random = Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return `${time}7${random}`.replace(/(.{8})(.{4})(.{4})(.{3})/, "$1-$2-$3-8$4-");
}

function browserPage(): Page {
  const { document, addEventListener, removeEventListener } = globalThis as Partial<typeof globalThis>;
  return {
    visible: () => document?.visibilityState !== "hidden",
    listen(event, run) {
      const visibility = event === "visible" || event === "hidden";
      const type = visibility ? "visibilitychange" : event;
      const listener = (): void => {
        if (!visibility || document?.visibilityState === event) {
          run();
        }
      };
      // Some of them are events of the document, which the window sees on their way down.
      addEventListener?.(type, listener, true);
      return () => removeEventListener?.(type, listener, true);
    },
  };
}

import type { Settings } from "../config.ts";
import type { Emitter, SdkEvents } from "../emitter.ts";
import type { Env, PageEvent } from "../env.ts";
import { broken, type ErrorCode, HubError, toHubError, transient } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import { spread } from "../http/retry.ts";
import type { CallOptions, ConnectDetail, ConnectionState, Message } from "../types.ts";
import { deferred, wait } from "../wait.ts";
import { createDecoder, type Decoded } from "./decoder.ts";
import { createLiveness } from "./liveness.ts";
import type { Sink } from "./sink.ts";
import { openStream, streamUrl } from "./stream.ts";

export interface ConnectionParts {
  env: Env;
  settings: Settings;
  credentials: Credentials;
  emitter: Emitter<SdkEvents>;
  sink?: Sink;
  /** Awaited before each request; it must not reject. */
  prepare?: () => Promise<void> | undefined;
  /** Sees every event as it came. */
  onEvent?: (event: Decoded) => void;
}

export interface Connection {
  readonly state: ConnectionState;
  /** Named in every request, so a new stream has the subscriptions of the old one. */
  readonly topics: Set<string>;
  /** Those that the last request named. */
  readonly requested: Set<string>;
  /** What the hub said of the last stream. */
  readonly detail: ConnectDetail | undefined;
  /** Where the next stream goes on: the id of the last event that was received, or empty. */
  cursor: string;
  /**
   * Connects, or tries at once where an attempt is waited for. Resolves when the stream is open and rejects when there
   * are no more attempts; an abort or a timeout ends the wait alone.
   */
  connect(options?: CallOptions): Promise<void>;
  /** Resolves when the stream is open, over all reconnects. */
  ready(options?: CallOptions): Promise<void>;
  /** Leaves the stream, or the wait for one, for a new one that goes on where this one was. */
  reconnect(options?: CallOptions): Promise<void>;
  disconnect(reason?: string, code?: ErrorCode): void;
  /** In the state `error`, begins anew where another attempt could help, or, `always`, in any case. */
  revive(always?: boolean): void;
}

// Not by the enum, so that it is left out of programs that do not name its members.
const DISCONNECTED = "disconnected" as ConnectionState;
const CONNECTED = "connected" as ConnectionState;
const ERROR = "error" as ConnectionState;

/** Until the hub has said how large its events are. */
const EVENT_BYTES_MAX = 2 << 20;
/** How often an event that is too large may come behind the same cursor. */
const OVERFLOWS_MAX = 3;
/** So long has a stream that brought nothing to live for the next failure to count as the first. */
const GOOD_LIFE = 10_000;
/** How often the hub says something where its heartbeat is off. */
const COMMENT_INTERVAL = 25_000;
const SILENCE_MIN = 15_000;
/** Below this, clients whose hub is gone would spin. */
const WAIT_MIN = 100;
/** A hub that asks for less by `retry:` would be flooded. */
const RETRY_MIN = 250;
/** Ends that are nobody's fault. */
const PLANNED = /^(stream_ended|maintenance|reconnect|lifetime|token_expired)$/;

/**
 * Keeps one stream from the hub open.
 *
 * At any moment there is at most one attempt, with one AbortController, and one timer: of the connect timeout, of the
 * liveness watch, or of the wait for the next attempt (and, while a page with `pauseWhenHidden` is hidden, of that).
 * An attempt ends once, and whatever comes of it later finds it aborted and is dropped.
 */
export function createConnection(parts: ConnectionParts): Connection {
  const { env, settings, credentials, sink, prepare, onEvent } = parts;
  const { emit } = parts.emitter;
  const { now, random, setTimeout, clearTimeout, page } = env;
  const { maxReconnectAttempts: maxAttempts, reconnectMaxDelay, pauseWhenHidden } = settings;
  const topics = new Set(settings.topics);
  settings.instance ??= env.uuid();

  let state = DISCONNECTED;
  let ready = deferred<void>();
  let detail: ConnectDetail | undefined;
  let requested = new Set<string>();
  let cursor = "";
  let timer: unknown;
  let unwatch: (() => void)[] = [];
  let wasConnected = false;
  /** The last refusal was a 401, and a new token was asked for. */
  let refreshed = false;
  let offline = false;
  /** No attempt until the page is back. */
  let suspended = false;
  /** In the state `error`: what may help revives the connection. */
  let armed = false;
  /** The bound of the first wait. */
  let base = settings.reconnectBaseDelay;
  /** Attempts in a row that failed, and those of them that could have succeeded. */
  let failures = 0;
  let counted = 0;
  /** The hub wants no attempt before. */
  let notBefore = 0;
  let overflows = 0;

  let attempt: AbortController | undefined;
  /** Of this attempt: when the hub's `connect` event came, and whether a message did, so that it was of use. */
  let connectedAt = 0;
  let useful = false;

  const liveness = createLiveness(env, (asleep) =>
    end(transient("timeout", "the stream is silent"), true, asleep),
  );

  const later = (ms: number, run: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };

  /** Ends the attempt, or the wait for one, without a word. */
  const drop = (): void => {
    clearTimeout(timer);
    liveness.stop();
    attempt?.abort();
    attempt = undefined;
  };

  const setState = (to: ConnectionState, reason?: HubError): void => {
    const from = state;
    if (from === to) {
      return;
    }
    state = to;
    if (to === CONNECTED) {
      ready.resolve();
    } else if (from === CONNECTED) {
      ready = deferred();
    }
    emit("stateChange", { from, to, reason });
    if (to === CONNECTED) {
      emit("connected", detail as ConnectDetail);
    } else if (from === CONNECTED) {
      emit("disconnected", reason as HubError);
    }
  };

  const trying = (reason?: HubError): void =>
    setState((wasConnected ? "reconnecting" : "connecting") as ConnectionState, reason);

  const idle = (): boolean => state === DISCONNECTED || state === ERROR;

  const begin = (): void => {
    failures = counted = 0;
    open();
  };

  const open = (): void => {
    drop();
    const mine = new AbortController();
    attempt = mine;
    connectedAt = 0;
    useful = false;
    trying();
    run(mine.signal).catch((error) => {
      if (attempt === mine) {
        end(toHubError(error, "network"));
      }
    });
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    let answered = false;
    await prepare?.();
    const headers = await credentials.headers(signal).catch(broken);
    signal.throwIfAborted();
    later(settings.connectionTimeout, () =>
      end(answered ? transient("stream_buffered", "a proxy may hold the stream back") : transient("timeout")),
    );
    // Without other headers the cursor goes into the URL: by itself it would make browsers ask other origins for leave,
    // and not before the first reconnect.
    const inHeader = cursor && Object.keys(headers).length;
    const url = streamUrl(settings, topics, cursor, !inHeader);
    requested = new Set(topics);
    try {
      const sent = inHeader ? { ...headers, "last-event-id": cursor } : headers;
      const body = await openStream(env, url, sent, signal);
      answered = true;
      await read(signal, body).finally(() => body.cancel().catch(() => {}));
    } catch (error) {
      const refused = error as HubError;
      if (signal.aborted || refused.status !== 401) {
        throw error;
      }
      clearTimeout(timer);
      emit("tokenExpired", refused);
      if (refreshed || !(await credentials.refresh(headers).catch(broken))) {
        throw error;
      }
      signal.throwIfAborted();
      refreshed = true;
      open();
    }
  };

  const read = async (signal: AbortSignal, body: ReadableStreamDefaultReader<Uint8Array>): Promise<never> => {
    const decoder = createDecoder(EVENT_BYTES_MAX, cursor, (ms) => {
      base = Math.min(Math.max(ms, RETRY_MIN), reconnectMaxDelay);
    });
    for (;;) {
      const { done, value } = await body.read().catch(broken);
      signal.throwIfAborted();
      if (done) {
        throw transient("stream_ended");
      }
      liveness.touch();
      for (const event of decoder.feed(value)) {
        if (event === "event_too_large") {
          throw new HubError(event, event, { retryable: ++overflows < OVERFLOWS_MAX });
        }
        const { lastEventId } = event;
        overflows = lastEventId === cursor ? overflows : 0;
        cursor = lastEventId;
        onEvent?.(event);
        signal.throwIfAborted();
        const taken = take(event);
        decoder.eventBytesMax = detail?.maxEventBytes || EVENT_BYTES_MAX;
        if (taken) {
          liveness.touch(false);
          await taken;
        }
        signal.throwIfAborted();
        liveness.touch();
      }
      cursor = decoder.lastEventId;
    }
  };

  const take = (event: Decoded): void | Promise<void> => {
    let message: Message | undefined;
    try {
      message = JSON.parse(event.data);
    } catch {}
    if (typeof message?.id !== "string" || typeof message.source !== "string") {
      emit("error", new HubError("invalid_response", "an event is no message"));
      return;
    }
    const { source, type, payload } = message;
    const order = source === "$hub" && type === "system" && payload?.event;
    const told = { ...payload?.detail };
    if (order === "connect") {
      connected(told);
    }
    useful ||= type !== "system" && type !== "heartbeat";
    const mine = attempt;
    const taken = sink?.receive({ message, cursor: event.id, name: event.name });
    if (order && attempt === mine) {
      obey(order, told);
    }
    return taken;
  };

  const connected = (told: ConnectDetail): void => {
    clearTimeout(timer);
    detail = told;
    connectedAt = now();
    const interval = told.heartbeatInterval || COMMENT_INTERVAL;
    liveness.start(interval, settings.livenessTimeout ?? Math.max(SILENCE_MIN, 2 * interval + 5000));
    refreshed = offline = false;
    wasConnected = true;
    setState(CONNECTED);
    hide();
  };

  // biome-ignore lint/suspicious/noExplicitAny: the detail of each event is another.
  const obey = (order: string, told: any): void => {
    const { reason = order, retryAfterMs } = told;
    if (order === "gap") {
      emit("gap", told);
    } else if (/^(disconnect|maintenance|reconnect)$/.test(order)) {
      const retryable = order !== "disconnect" || !!told.reconnect;
      const error = new HubError(reason, reason, { retryable, retryAfterMs });
      if (reason === "replaced") {
        emit(reason, error);
      } else if (reason === "token_expired") {
        emit("tokenExpired", error);
      }
      if (retryable) {
        end(error);
      } else {
        finish(DISCONNECTED, error);
      }
    }
  };

  /** The attempt is over. `atOnce`: the next one does not wait; `free`: this one does not count. */
  const end = (error: HubError, atOnce = false, free = false): void => {
    drop();
    refreshed = false;
    if (connectedAt && (useful || now() - connectedAt >= GOOD_LIFE)) {
      failures = counted = 0;
    }
    if (!free) {
      failures++;
      counted += page.visible() && !offline ? 1 : 0;
    }
    if (!error.retryable) {
      finish(error.code === "server_stop" ? DISCONNECTED : ERROR, error);
    } else if (counted > maxAttempts) {
      finish(ERROR, new HubError("attempts_exhausted", `gave up: ${error.message}`, { cause: error }), true);
    } else {
      // Full jitter below a bound that doubles, so that the clients of a hub that restarts come back spread over time.
      const bound = Math.min(reconnectMaxDelay, base * 2 ** Math.min(failures - 1, 30));
      const least = Math.min(WAIT_MIN, bound);
      const floor = spread(error.retryAfterMs ?? 0, random());
      const delay = atOnce ? 0 : Math.max(floor, least + random() * (bound - least));
      notBefore = now() + floor;
      later(delay, open);
      trying(error);
      if (!PLANNED.test(error.code)) {
        emit("error", error);
      }
      emit("reconnecting", { attempt: failures, maxAttempts, delay });
    }
  };

  const finish = (to: ConnectionState, error: HubError, revivable = false): void => {
    const failed = ready;
    drop();
    armed = revivable;
    if (!armed) {
      for (const stop of unwatch.splice(0)) {
        stop();
      }
    }
    // Before the listeners are told: one of them may connect anew.
    ready = deferred();
    setState(to, error);
    if (to === ERROR) {
      emit("error", error);
    }
    failed.reject(error);
  };

  /** Makes the next attempt now, or as soon as the hub allows it. */
  const hurry = (): void => later(Math.max(0, notBefore - now()), open);

  const wake = (): void => {
    const shown = page.visible();
    if (suspended ? shown : armed && state === ERROR) {
      suspended = false;
      begin();
    } else if (state === CONNECTED) {
      liveness.wake();
      if (shown) {
        clearTimeout(timer);
      }
    } else if (!attempt && !suspended && !idle()) {
      hurry();
    }
  };

  const hide = (): void => {
    if (pauseWhenHidden !== undefined && state === CONNECTED && !page.visible()) {
      later(pauseWhenHidden, suspend);
    }
  };

  const suspend = (): void => {
    if (!idle()) {
      drop();
      suspended = true;
      trying(transient("suspended"));
    }
  };

  const hints: { [event in PageEvent]?: () => void } = {
    visible: wake,
    pageshow: wake,
    resume: wake,
    online() {
      offline = false;
      wake();
    },
    offline() {
      offline = true;
      liveness.offline();
    },
    hidden: hide,
    // Not `unload`, which would keep the page out of the back-forward cache.
    pagehide: suspend,
  };

  const connection: Connection = {
    topics,
    get state() {
      return state;
    },
    get requested() {
      return requested;
    },
    get detail() {
      return detail;
    },
    get cursor() {
      return cursor;
    },
    set cursor(given) {
      cursor = given;
    },
    async connect(options) {
      options?.signal?.throwIfAborted();
      if (!unwatch.length) {
        unwatch = Object.entries(hints).map(([event, run]) => page.listen(event as PageEvent, run));
      }
      suspended = false;
      if (idle()) {
        begin();
      } else if (!attempt) {
        hurry();
      }
      return connection.ready(options);
    },
    ready: (options) => wait(env, ready.promise, options),
    async reconnect(options) {
      if (!idle()) {
        drop();
        trying(new HubError("disconnected"));
      }
      return connection.connect(options);
    },
    disconnect(reason, code = "disconnected") {
      finish(DISCONNECTED, new HubError(code, reason));
      wasConnected = false;
    },
    revive(always) {
      if (state === ERROR && (always || armed)) {
        connection.connect().catch(() => {});
      }
    },
  };
  return connection;
}

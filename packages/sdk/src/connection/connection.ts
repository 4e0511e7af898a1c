import type { Settings } from "../config.ts";
import type { Emitter, SdkEvents } from "../emitter.ts";
import type { Env, PageEvent } from "../env.ts";
import { broken, type ErrorCode, HubError, toHubError, transient } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import { spread } from "../http/retry.ts";
import { type CallOptions, type ConnectDetail, ConnectionState, type Message } from "../types.ts";
import { deferred, wait } from "../wait.ts";
import { createDecoder, type Decoded, type Decoder } from "./decoder.ts";
import { createLiveness } from "./liveness.ts";
import type { Sink } from "./sink.ts";
import { openStream, streamUrl } from "./stream.ts";

export interface ConnectionParts {
  env: Env;
  settings: Settings;
  credentials: Credentials;
  emitter: Emitter<SdkEvents>;
  sink?: Sink;
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

/** One generation: whatever belongs to an earlier one finds it aborted and is dropped. */
interface Attempt extends AbortController {
  /** An event stream has begun. */
  answered?: boolean;
  /** When the hub's `connect` event came. */
  connectedAt?: number;
  /** A message came: the stream was of use. */
  useful?: boolean;
}

const { DISCONNECTED, CONNECTING, CONNECTED, RECONNECTING, ERROR } = ConnectionState;

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
 * liveness watch, or of the wait for the next attempt. An attempt ends once, and from then on nothing of it has an
 * effect.
 */
export function createConnection(parts: ConnectionParts): Connection {
  const { env, settings, credentials, sink, onEvent } = parts;
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
  let attempt: Attempt | undefined;
  let timer: unknown;
  let hideTimer: unknown;
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
  let overflowAt: string | undefined;

  const liveness = createLiveness(env, (asleep) =>
    end(transient("timeout", "the stream is silent"), true, asleep),
  );

  const later = (ms: number, run: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };

  /** Ends the attempt, or the wait for one, without a word. */
  const drop = (): Attempt | undefined => {
    const dropped = attempt;
    attempt = undefined;
    clearTimeout(timer);
    liveness.stop();
    dropped?.abort();
    return dropped;
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

  const trying = (reason?: HubError): void => setState(wasConnected ? RECONNECTING : CONNECTING, reason);
  const idle = (): boolean => state === DISCONNECTED || state === ERROR;

  const begin = (): void => {
    failures = counted = 0;
    open();
  };

  const open = (): void => {
    drop();
    const mine: Attempt = new AbortController();
    attempt = mine;
    trying();
    run(mine).catch((error) => {
      if (attempt === mine) {
        end(toHubError(error, "network"));
      }
    });
  };

  const run = async (mine: Attempt): Promise<void> => {
    const { signal } = mine;
    const failed = (cause: unknown): never => {
      throw transient("credentials_failed", undefined, { cause });
    };
    const headers = await credentials.headers(signal).catch(failed);
    signal.throwIfAborted();
    later(settings.connectionTimeout, () =>
      end(
        mine.answered
          ? transient("stream_buffered", "a proxy seems to hold the stream back")
          : transient("timeout"),
      ),
    );
    // Without other headers the cursor goes into the URL: by itself it would make browsers ask other origins for leave,
    // and not before the first reconnect.
    const inHeader = cursor && Object.keys(headers).length;
    const sent = inHeader ? { ...headers, "last-event-id": cursor } : headers;
    requested = new Set(topics);
    const given = cursor ? { ...settings, since: undefined } : settings;
    try {
      await read(mine, await openStream(env, streamUrl(given, topics, inHeader ? "" : cursor), sent, signal));
    } catch (error) {
      const refused = error as HubError;
      if (signal.aborted || refused.status !== 401) {
        throw error;
      }
      clearTimeout(timer);
      emit("tokenExpired", refused);
      if (refreshed || !(await credentials.refresh(headers).catch(failed))) {
        throw error;
      }
      if (attempt === mine) {
        refreshed = true;
        open();
      }
    }
  };

  const read = async (mine: Attempt, body: ReadableStreamDefaultReader<Uint8Array>): Promise<never> => {
    const { signal } = mine;
    mine.answered = true;
    const decoder = createDecoder(EVENT_BYTES_MAX, cursor, (ms) => {
      base = Math.min(Math.max(ms, RETRY_MIN), reconnectMaxDelay);
    });
    try {
      for (;;) {
        const { done, value } = await body.read().catch(broken);
        signal.throwIfAborted();
        if (done) {
          throw transient("stream_ended");
        }
        liveness.touch();
        for (const event of decoder.feed(value)) {
          if (event === "event_too_large") {
            overflows = overflowAt === cursor ? overflows + 1 : 1;
            overflowAt = cursor;
            throw new HubError(event, undefined, { retryable: overflows < OVERFLOWS_MAX });
          }
          cursor = event.lastEventId;
          const taken = take(mine, decoder, event);
          if (taken) {
            liveness.touch(false);
            await taken;
            signal.throwIfAborted();
            liveness.touch();
          }
          signal.throwIfAborted();
        }
        cursor = decoder.lastEventId;
      }
    } finally {
      body.cancel().catch(() => {});
    }
  };

  const take = (mine: Attempt, decoder: Decoder, event: Decoded): void | Promise<void> => {
    onEvent?.(event);
    mine.signal.throwIfAborted();
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
    const connect = order === "connect";
    if (connect) {
      connected(mine, decoder, { ...payload.detail });
    }
    mine.useful ||= type !== "system" && type !== "heartbeat";
    const taken = sink?.receive({ message, cursor: event.id, name: event.name });
    if (order && !connect && attempt === mine) {
      obey(order, payload.detail ?? {});
    }
    return taken;
  };

  const connected = (mine: Attempt, decoder: Decoder, told: ConnectDetail): void => {
    clearTimeout(timer);
    detail = told;
    mine.connectedAt = now();
    decoder.eventBytesMax = told.maxEventBytes || EVENT_BYTES_MAX;
    const interval = told.heartbeatInterval || COMMENT_INTERVAL;
    liveness.start(interval, settings.livenessTimeout ?? Math.max(SILENCE_MIN, 2 * interval + 5000));
    refreshed = offline = false;
    wasConnected = true;
    setState(CONNECTED);
  };

  // biome-ignore lint/suspicious/noExplicitAny: the detail of each event is another.
  const obey = (order: string, told: any): void => {
    const { reason = order, reconnect, retryAfterMs } = told;
    if (order === "gap") {
      emit("gap", told);
    } else if (order === "disconnect" && !reconnect) {
      const error = new HubError(reason);
      finish(DISCONNECTED, error);
      if (reason === "replaced") {
        emit("replaced", error);
      }
    } else if (/^(disconnect|maintenance|reconnect)$/.test(order)) {
      const error = transient(reason, undefined, { retryAfterMs });
      if (reason === "token_expired") {
        emit("tokenExpired", error);
      }
      end(error);
    }
  };

  /** The attempt is over. `atOnce`: the next one does not wait; `free`: this one does not count. */
  const end = (error: HubError, atOnce = false, free = false): void => {
    const ended = drop();
    if (!ended) {
      return;
    }
    const { connectedAt, useful } = ended;
    const { code, message, retryable, retryAfterMs = 0 } = error;
    refreshed = false;
    if (connectedAt && (useful || now() - connectedAt >= GOOD_LIFE)) {
      failures = counted = 0;
    }
    if (!free) {
      failures++;
      counted += page.visible() && !offline ? 1 : 0;
    }
    if (code === "server_stop") {
      finish(DISCONNECTED, error);
    } else if (!retryable) {
      finish(ERROR, error);
    } else if (counted > maxAttempts) {
      finish(ERROR, new HubError("attempts_exhausted", `gave up: ${message}`, { cause: error }), true);
    } else {
      // Full jitter below a bound that doubles, so that the clients of a hub that restarts come back spread over time.
      const bound = Math.min(reconnectMaxDelay, base * 2 ** Math.min(failures - 1, 30));
      const least = Math.min(WAIT_MIN, bound);
      const floor = spread(retryAfterMs, random());
      const delay = atOnce ? 0 : Math.max(floor, least + random() * (bound - least));
      notBefore = now() + floor;
      later(delay, open);
      trying(error);
      if (!PLANNED.test(code)) {
        emit("error", error);
      }
      emit("reconnecting", { attempt: failures, maxAttempts, delay });
    }
  };

  const finish = (to: ConnectionState, error: HubError, revivable = false): void => {
    drop();
    clearTimeout(hideTimer);
    armed = revivable;
    if (!armed) {
      for (const stop of unwatch.splice(0)) {
        stop();
      }
    }
    const failed = ready;
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

  const wake = (shown: boolean): void => {
    if (shown) {
      clearTimeout(hideTimer);
    }
    if (suspended ? shown : armed && state === ERROR) {
      suspended = false;
      begin();
    } else if (state === CONNECTED) {
      liveness.wake();
    } else if (!attempt && !suspended && !idle()) {
      hurry();
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
    visible: () => wake(true),
    pageshow: () => wake(true),
    resume: () => wake(page.visible()),
    online() {
      offline = false;
      wake(page.visible());
    },
    offline() {
      offline = true;
      liveness.offline();
    },
    hidden() {
      if (pauseWhenHidden !== undefined) {
        clearTimeout(hideTimer);
        hideTimer = setTimeout(suspend, pauseWhenHidden);
      }
    },
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

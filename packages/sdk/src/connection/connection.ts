import type { Settings } from "../config.ts";
import type { Emitter, SdkEvents } from "../emitter.ts";
import type { Env } from "../env.ts";
import { type ErrorCode, HubError, toHubError } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import { type CallOptions, type ConnectDetail, ConnectionState, type Message } from "../types.ts";
import { type Deferred, deferred, wait } from "../wait.ts";
import { Backoff } from "./backoff.ts";
import { type Decoded, Decoder } from "./decoder.ts";
import { Liveness, silenceMax } from "./liveness.ts";
import { watchPage } from "./page.ts";
import { Resume } from "./resume.ts";
import type { Sink } from "./sink.ts";
import { readStream } from "./stream.ts";

export interface ConnectionParts {
  env: Env;
  settings: Settings;
  credentials: Credentials;
  emitter: Emitter<SdkEvents>;
  sink?: Sink;
}

/** One generation: whatever belongs to an earlier one is dropped when it comes. */
interface Attempt {
  controller: AbortController;
  decoder: Decoder;
  /** An event stream has begun. */
  answered: boolean;
  /** When the hub's `connect` event came. */
  connectedAt?: number;
  /** A message came: the stream was of use. */
  useful: boolean;
}

const { DISCONNECTED, CONNECTING, CONNECTED, RECONNECTING, ERROR } = ConnectionState;

/** Until the hub has said how large its events are. */
const EVENT_BYTES_MAX = 2 << 20;
/** So long has a stream that brought nothing to live for the next failure to count as the first. */
const GOOD_LIFE = 10_000;
/** How often the hub says something where its heartbeat is off. */
const COMMENT_INTERVAL = 25_000;
/** Ends that are nobody's fault. */
const PLANNED = ["stream_ended", "maintenance", "lifetime", "token_expired"];

/**
 * Keeps one stream from the hub open.
 *
 * At any moment there is at most one attempt, with one AbortController, and one timer: of the connect timeout, of the
 * liveness watch, or of the wait for the next attempt. An attempt ends once, and from then on nothing of it has an
 * effect.
 */
export class Connection {
  /** Named in every request, so a new stream has the subscriptions of the old one. */
  readonly topics: Set<string>;
  /** Those that the last request named. */
  requested: Set<string> = new Set();
  /** What the hub said of the last stream. */
  detail: ConnectDetail | undefined;

  protected readonly parts: ConnectionParts;
  protected onEvent: ((event: Decoded) => void) | undefined;

  #env: Env;
  #resume: Resume = new Resume();
  #backoff: Backoff;
  #liveness: Liveness;
  #state: ConnectionState = DISCONNECTED;
  #ready: Deferred<void> = deferred();
  #attempt: Attempt | undefined;
  /** Raised with every beginning and end of an attempt, so that a caller sees that a listener has interfered. */
  #turn = 0;
  #timer: unknown;
  #hideTimer: unknown;
  #unwatch: (() => void) | undefined;
  #wasConnected = false;
  /** The last refusal was a 401, and a new token was asked for. */
  #refreshed = false;
  #offline = false;
  /** No attempt until the page is back. */
  #suspended = false;
  /** In the state `error`: what may help revives the connection. */
  #armed = false;

  constructor(parts: ConnectionParts) {
    const { env, settings } = parts;
    this.parts = parts;
    this.#env = env;
    this.topics = new Set(settings.topics);
    this.#backoff = new Backoff(env, settings.reconnectBaseDelay, settings.reconnectMaxDelay);
    this.#liveness = new Liveness(env, (asleep) => {
      this.#end(new HubError("timeout", "the stream has fallen silent", { retryable: true }), true, asleep);
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Where the next stream goes on; empty where there is nothing to go on from. */
  get cursor(): string {
    return this.#resume.cursor;
  }

  set cursor(cursor: string) {
    this.#resume.cursor = cursor;
  }

  /**
   * Connects, or tries at once where an attempt is waited for. Resolves when the stream is open and rejects when there
   * are no more attempts; an abort or a timeout ends the wait alone.
   */
  async connect(options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#unwatch ??= watchPage(this.#env.page, {
      onWake: (shown) => this.#wake(shown),
      onOnline: () => {
        this.#offline = false;
        this.#wake(this.#env.page.visible());
      },
      onOffline: () => {
        this.#offline = true;
        this.#liveness.offline();
      },
      onHidden: () => this.#hidden(),
      onLeave: () => this.#suspend(),
    });
    this.#suspended = false;
    if (this.#idle()) {
      this.#begin();
    } else if (!this.#attempt) {
      this.#hurry();
    }
    return this.ready(options);
  }

  /** Resolves when the stream is open, over all reconnects. */
  ready(options?: CallOptions): Promise<void> {
    return wait(this.#env, this.#ready.promise, options);
  }

  /** Leaves the stream, or the wait for one, for a new one that goes on where this one was. */
  async reconnect(options?: CallOptions): Promise<void> {
    if (!this.#idle()) {
      this.#drop();
      this.#setState(this.#trying(), new HubError("disconnected", "reconnect() was called"));
    }
    return this.connect(options);
  }

  disconnect(reason = "disconnect() was called", code: ErrorCode = "disconnected"): void {
    this.#finish(DISCONNECTED, new HubError(code, reason));
    this.#wasConnected = false;
  }

  /** In the state `error`, begins anew where attempts could have helped, or, `always`, in any case. */
  revive(always = false): void {
    if (this.#state === ERROR && (always || this.#armed)) {
      this.connect().catch(() => {});
    }
  }

  #idle(): boolean {
    return this.#state === DISCONNECTED || this.#state === ERROR;
  }

  #trying(): ConnectionState {
    return this.#wasConnected ? RECONNECTING : CONNECTING;
  }

  #begin(): void {
    this.#backoff.reset();
    this.#open();
  }

  #open(): void {
    this.#drop();
    const attempt: Attempt = {
      controller: new AbortController(),
      decoder: new Decoder(EVENT_BYTES_MAX, this.cursor, (ms) => this.#backoff.setRetry(ms)),
      answered: false,
      useful: false,
    };
    this.#attempt = attempt;
    this.#setState(this.#trying());
    this.#run(attempt).catch((error) => {
      if (this.#attempt === attempt) {
        this.#end(toHubError(error, "network"));
      }
    });
  }

  async #run(attempt: Attempt): Promise<void> {
    const { credentials, settings } = this.parts;
    const { signal } = attempt.controller;
    const failed = (cause: unknown): never => {
      throw new HubError("credentials_failed", "no token or headers were given", { cause, retryable: true });
    };
    const headers = await credentials.headers(signal).catch(failed);
    if (this.#attempt !== attempt) {
      return;
    }
    this.#timer = this.#env.setTimeout(() => {
      const error = attempt.answered
        ? new HubError("stream_buffered", "the stream brings nothing: a proxy may hold it back", {
            retryable: true,
          })
        : new HubError("timeout", "the hub did not answer in time", { retryable: true });
      this.#end(error);
    }, settings.connectionTimeout);
    const sent = { ...headers };
    this.requested = new Set(this.topics);
    const url = this.#resume.request(settings, this.topics, sent);
    try {
      await readStream(
        this.#env,
        { url, headers: sent, signal },
        {
          onHead: () => {
            attempt.answered = true;
          },
          onBytes: (bytes) => this.#read(attempt, bytes),
        },
      );
    } catch (error) {
      if (this.#attempt !== attempt || (error as HubError).status !== 401) {
        throw error;
      }
      this.#clearTimer();
      this.parts.emitter.emit("tokenExpired", error as HubError);
      if (this.#refreshed || !(await credentials.refresh(headers).catch(failed))) {
        throw error;
      }
      if (this.#attempt === attempt) {
        this.#refreshed = true;
        this.#open();
      }
    }
  }

  async #read(attempt: Attempt, bytes: Uint8Array): Promise<void> {
    const { decoder } = attempt;
    this.#checkCurrent(attempt);
    this.#liveness.touch();
    for (const event of decoder.feed(bytes)) {
      if (event === "event_too_large") {
        throw this.#resume.overflow(decoder.eventBytesMax);
      }
      this.cursor = event.lastEventId;
      const taken = this.#take(attempt, event);
      if (taken) {
        this.#liveness.setReading(false);
        await taken;
      }
      this.#checkCurrent(attempt);
      this.#liveness.setReading(true);
    }
    this.cursor = decoder.lastEventId;
  }

  #checkCurrent(attempt: Attempt): void {
    if (this.#attempt !== attempt) {
      throw attempt.controller.signal.reason;
    }
  }

  #take(attempt: Attempt, event: Decoded): void | Promise<void> {
    this.onEvent?.(event);
    let message: Message | undefined;
    try {
      message = JSON.parse(event.data);
    } catch {}
    if (typeof message?.id !== "string" || typeof message.source !== "string") {
      this.parts.emitter.emit("error", new HubError("invalid_response", "an event is no message"));
      return;
    }
    const received = { message, cursor: event.id, name: event.name };
    const { source, type, payload } = message;
    const order = source === "$hub" && type === "system";
    const connect = order && payload?.event === "connect";
    if (connect) {
      this.#connected(attempt, { ...payload.detail });
    }
    attempt.useful ||= type !== "system" && type !== "heartbeat";
    const taken = this.parts.sink?.receive(received);
    if (order && !connect && this.#attempt === attempt) {
      this.#obey(payload?.event, payload?.detail ?? {});
    }
    return taken;
  }

  #connected(attempt: Attempt, detail: ConnectDetail): void {
    this.#clearTimer();
    attempt.connectedAt = this.#env.now();
    attempt.decoder.eventBytesMax = detail.maxEventBytes || EVENT_BYTES_MAX;
    const interval = detail.heartbeatInterval || COMMENT_INTERVAL;
    this.#liveness.start(interval, this.parts.settings.livenessTimeout ?? silenceMax(interval));
    this.#resume.connected();
    this.detail = detail;
    this.#refreshed = this.#offline = false;
    this.#wasConnected = true;
    this.#setState(CONNECTED);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the detail of each event is another.
  #obey(event: string, detail: any): void {
    const { emitter } = this.parts;
    const { reason = event, retryAfterMs } = detail;
    const told = new HubError(reason, `the hub says ${reason}`, { retryable: true, retryAfterMs });
    if (event === "gap") {
      emitter.emit("gap", detail);
    } else if (event === "maintenance" || event === "reconnect") {
      this.#end(told);
    } else if (event === "disconnect" && detail.reconnect) {
      if (reason === "token_expired") {
        emitter.emit("tokenExpired", told);
      }
      this.#end(told);
    } else if (event === "disconnect") {
      const final = new HubError(reason, told.message);
      this.#finish(DISCONNECTED, final);
      if (reason === "replaced") {
        emitter.emit("replaced", final);
      }
    }
  }

  /** The attempt is over. `atOnce`: the next one does not wait; `free`: this one does not count. */
  #end(error: HubError, atOnce = false, free = false): void {
    const attempt = this.#drop();
    if (!attempt) {
      return;
    }
    const { emitter, settings } = this.parts;
    const turn = this.#turn;
    this.#refreshed = false;
    const life = this.#env.now() - (attempt.connectedAt ?? Number.POSITIVE_INFINITY);
    if (life >= GOOD_LIFE || (attempt.connectedAt && attempt.useful)) {
      this.#backoff.reset();
    }
    if (error.code === "server_stop") {
      this.#finish(DISCONNECTED, error);
      return;
    }
    if (!error.retryable) {
      this.#fail(error);
      return;
    }
    let delay = 0;
    if (!free && !this.#resume.failed(error)) {
      delay = this.#backoff.fail(error, this.#env.page.visible() && !this.#offline);
      delay = atOnce ? 0 : delay;
      if (this.#backoff.counted > settings.maxReconnectAttempts) {
        this.#fail(
          new HubError("attempts_exhausted", `gave up after ${error.code}: ${error.message}`, {
            cause: error,
          }),
          true,
        );
        return;
      }
    }
    this.#timer = this.#env.setTimeout(() => this.#open(), delay);
    if (!PLANNED.includes(error.code)) {
      emitter.emit("error", error);
    }
    if (this.#turn === turn) {
      this.#setState(this.#trying(), error);
    }
    if (this.#turn === turn) {
      const { failures } = this.#backoff;
      emitter.emit("reconnecting", { attempt: failures, maxAttempts: settings.maxReconnectAttempts, delay });
    }
  }

  #fail(error: HubError, armed = false): void {
    const turn = this.#turn;
    this.parts.emitter.emit("error", error);
    if (this.#turn === turn) {
      this.#finish(ERROR, error, armed);
    }
  }

  #finish(state: ConnectionState, error: HubError, armed = false): void {
    this.#drop();
    this.#env.clearTimeout(this.#hideTimer);
    this.#armed = armed;
    if (!armed) {
      this.#unwatch?.();
      this.#unwatch = undefined;
    }
    const ready = this.#ready;
    // Before the listeners are told: one of them may connect anew.
    this.#ready = deferred();
    this.#setState(state, error);
    ready.reject(error);
  }

  /** Ends the attempt, or the wait for one, without a word. */
  #drop(): Attempt | undefined {
    const attempt = this.#attempt;
    this.#turn++;
    this.#attempt = undefined;
    this.#clearTimer();
    this.#liveness.stop();
    attempt?.controller.abort();
    return attempt;
  }

  #clearTimer(): void {
    this.#env.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #setState(to: ConnectionState, reason?: HubError): void {
    const from = this.#state;
    if (from === to) {
      return;
    }
    const { emitter } = this.parts;
    const { detail } = this;
    this.#state = to;
    if (to === CONNECTED) {
      this.#ready.resolve();
    } else if (from === CONNECTED) {
      this.#ready = deferred();
    }
    emitter.emit("stateChange", { from, to, reason });
    if (to === CONNECTED && detail) {
      emitter.emit("connected", detail);
    } else if (from === CONNECTED && reason) {
      emitter.emit("disconnected", reason);
    }
  }

  #wake(shown: boolean): void {
    if (shown) {
      this.#env.clearTimeout(this.#hideTimer);
    }
    if (this.#suspended) {
      if (shown) {
        this.#suspended = false;
        this.#begin();
      }
    } else if (this.#state === ERROR && this.#armed) {
      this.#begin();
    } else if (this.#state === CONNECTED) {
      this.#liveness.wake();
    } else if (!this.#attempt && !this.#idle()) {
      this.#hurry();
    }
  }

  /** Makes the next attempt now, or as soon as the hub allows it. */
  #hurry(): void {
    this.#clearTimer();
    this.#timer = this.#env.setTimeout(() => this.#open(), this.#backoff.floor);
  }

  #hidden(): void {
    const { pauseWhenHidden } = this.parts.settings;
    if (pauseWhenHidden !== undefined) {
      this.#env.clearTimeout(this.#hideTimer);
      this.#hideTimer = this.#env.setTimeout(() => this.#suspend(), pauseWhenHidden);
    }
  }

  #suspend(): void {
    if (!this.#idle()) {
      this.#drop();
      this.#suspended = true;
      this.#setState(this.#trying(), new HubError("suspended", "the page is hidden", { retryable: true }));
    }
  }
}

// One client's stream, on the browser's own EventSource. It knows nothing of the page.

import { connections, refusal, Trouble } from "./hub.js";

/** Every event name of the hub. Type `error` travels as `message_error`, since EventSource uses `error` for itself. */
const EVENTS = ["text", "json", "system", "command", "progress", "message_error", "ack", "heartbeat"];

/** Wished from the hub: often enough to see that the stream lives. */
const HEARTBEAT_MS = 5_000;

/** So many missed heartbeats mean a dead connection, which EventSource itself never notices. */
const HEARTBEATS_MISSED_MAX = 4;

/**
 * States: `left`, `joining`, `open`, `reconnecting` (EventSource tries again by itself), `dropped` (on purpose, to
 * resume later), `refused` (for good, with the reason in `trouble`).
 */
export class Stream {
  state = "left";
  trouble = null;
  /** The cursor of the last event that had one: where a resumed stream goes on. */
  cursor = "";
  /** When the last event of any kind arrived, on this machine's clock; 0 before the first. */
  heardAt = 0;
  /** The detail of the newest `connect` event, and the hub's time in it. */
  connected = null;

  #listener;
  #who = null;
  #source = null;
  /** Replaced by every change of mind, so that an answer to an older question is recognised and ignored. */
  #attempt = null;

  /** @param listener `changed()`, and `received(message, cursor)`, the cursor null when the event had none. */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Joins as a client that has read nothing yet: the mailbox comes first, topics and broadcast from now. */
  join(who) {
    this.#who = who;
    this.cursor = "";
    this.connected = null;
    return this.#connect();
  }

  /** Closes the connection but remembers the place. */
  drop() {
    this.#close("dropped");
  }

  /** Opens a new connection at the remembered place. */
  resume() {
    return this.#connect();
  }

  leave() {
    this.#close("left");
  }

  /** Replaces a connection that has been silent for too long. Call it now and then. */
  watch(now) {
    if (this.state !== "open") {
      return;
    }
    const interval = this.connected.detail.heartbeatInterval;
    // Without heartbeats silence says nothing.
    if (interval > 0 && now - this.heardAt > HEARTBEATS_MISSED_MAX * interval) {
      this.#open("reconnecting");
    }
  }

  async #connect() {
    this.#close("joining");
    const attempt = this.#attempt;
    try {
      // EventSource cannot tell a missing token from a dead hub; this call can.
      await connections(this.#who.client, this.#who.token);
    } catch (trouble) {
      if (attempt === this.#attempt) {
        this.#refuse(trouble);
      }
      return;
    }
    if (attempt === this.#attempt) {
      this.#open("joining");
    }
  }

  #open(state) {
    this.#close(state);
    const source = new EventSource(this.#url());
    this.#source = source;
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => source === this.#source && this.#receive(event));
    }
    source.onerror = () => source === this.#source && this.#interrupted();
  }

  #url() {
    const { client, topics, token } = this.#who;
    // Not URLSearchParams: it writes a space as `+`, and `+` is a wildcard here.
    const query = { clientId: client, topics, token, heartbeat: HEARTBEAT_MS, lastEventId: this.cursor };
    const given = Object.entries(query).filter(([, value]) => value);
    return `sse?${given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
  }

  #receive(event) {
    const message = JSON.parse(event.data);
    // Empty until the first `id:` of a new EventSource; the place from before it still holds.
    const moved = event.lastEventId !== "" && event.lastEventId !== this.cursor;
    if (moved) {
      this.cursor = event.lastEventId;
    }
    this.heardAt = Date.now();
    if (message.type === "system" && message.source === "$hub") {
      this.#obey(message);
    }
    this.#listener.received(message, moved ? this.cursor : null);
  }

  #obey({ payload, timestamp }) {
    const detail = payload.detail ?? {};
    if (payload.event === "connect") {
      this.connected = { detail, timestamp };
      this.#become("open");
    } else if (payload.event === "disconnect" && !detail.reconnect) {
      this.#refuse(new Trouble(`The hub closed this connection: ${detail.reason}`, 0));
    }
  }

  #interrupted() {
    const final = this.#source.readyState === EventSource.CLOSED;
    this.#become("reconnecting");
    if (final) {
      this.#explain();
    }
  }

  /** EventSource has given up without a word, so the hub is asked why. */
  async #explain() {
    const attempt = this.#attempt;
    const trouble = await refusal(this.#url());
    if (attempt === this.#attempt) {
      this.#refuse(trouble ?? new Trouble("The hub had refused the stream, and would accept it now", 0));
    }
  }

  #refuse(trouble) {
    this.#close("refused", trouble);
  }

  #close(state, trouble = null) {
    this.#source?.close();
    this.#source = null;
    this.#attempt = {};
    this.#become(state, trouble);
  }

  #become(state, trouble = null) {
    this.state = state;
    this.trouble = trouble;
    this.#listener.changed();
  }
}

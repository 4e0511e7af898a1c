// One client on the page: the form to join, the state of its stream, its messages, and the form to send.

import { acknowledge, publish } from "./hub.js";
import { Log } from "./log.js";
import { Stream } from "./stream.js";

const STATES = {
  left: "Not joined",
  joining: "Joining",
  open: "Connected",
  reconnecting: "Connection lost, trying again",
  dropped: "Dropped. What is sent now comes on resume",
  refused: "Not connected",
};

/** Acks are gathered for so long: one per burst is enough. */
const ACK_AFTER_MS = 500;

/** Identities of received messages that are remembered to tell a repeat. */
const REMEMBERED_MAX = 10_000;

export class Client {
  #parts;
  #stream;
  #log;
  #seen = new Set();
  /** Where the unbroken reading began: an ack without it could cover what this page has never seen. */
  #readFrom = "";
  #ackTimer = 0;
  /** How the present connection began, and how many messages it brought that were sent before it. */
  #opening = null;
  #missed = 0;
  #updateNote = () => {};

  /** @param changed Called when the name, the topics or the token of this client change. */
  constructor(template, { name, other, topics }, changed) {
    const root = template.content.firstElementChild.cloneNode(true);
    this.element = root;
    this.#parts = parts(root);
    this.#log = new Log(this.#parts, () => this.#showFacts());
    this.#stream = new Stream({
      changed: () => this.#showState(),
      received: (message, cursor) => this.#received(message, cursor),
    });

    const { join, send, drop } = this.#parts;
    join.elements.client.value = name;
    join.elements.topics.value = topics;
    send.elements.target.value = other;
    send.elements.topic.value = topics.split(",")[0];
    join.addEventListener("submit", (event) => this.#joinOrLeave(event));
    join.addEventListener("input", changed);
    drop.addEventListener("click", () => this.#dropOrResume());
    send.addEventListener("submit", (event) => this.#send(event));
    send.addEventListener("change", () => this.#showDestination());
    send.elements.payload.addEventListener("keydown", (event) => this.#sendOnEnter(event));
    this.#showName();
    this.#showState();
  }

  get who() {
    const { client, topics, token } = this.#parts.join.elements;
    const wished = topics.value.split(",").map((topic) => topic.trim());
    return {
      client: client.value.trim(),
      topics: wished.filter(Boolean).join(","),
      token: token.value.trim(),
    };
  }

  /** Call it about once a second. */
  tick(now) {
    this.#stream.watch(now);
    this.#showBeat(now);
  }

  #joinOrLeave(event) {
    event.preventDefault();
    if (this.#stream.state !== "left" && this.#stream.state !== "refused") {
      this.#stream.leave();
      this.#log.note("Left", "plain");
      return;
    }
    const { client, token } = this.#parts.join.elements;
    client.value = subject(token.value) ?? client.value;
    this.#showName();
    this.#readFrom = "";
    this.#seen.clear();
    this.#stream.join(this.who);
  }

  #dropOrResume() {
    if (this.#stream.state === "dropped" || this.#stream.state === "refused") {
      this.#stream.resume();
    } else {
      this.#stream.drop();
      this.#log.note("Dropped the connection", "plain");
    }
  }

  #received(message, cursor) {
    if (message.type === "heartbeat") {
      this.#pulse();
    } else if (message.type === "system" && message.source === "$hub") {
      this.#notice(message.payload);
    } else {
      this.#log.message(message, cursor, this.#marks(message));
      this.#acknowledgeSoon();
    }
    this.#showFacts();
  }

  #marks(message) {
    const marks = [];
    if (message.timestamp < this.#stream.connected.timestamp) {
      const { word, mark } = this.#opening;
      this.#missed += 1;
      this.#updateNote(`${word}: ${this.#missed} ${mark}`);
      marks.push(mark);
    }
    const identity = JSON.stringify([message.source, message.id]);
    if (this.#seen.has(identity)) {
      marks.push("repeat");
    }
    this.#seen.add(identity);
    if (this.#seen.size > REMEMBERED_MAX) {
      this.#seen.delete(this.#seen.values().next().value);
    }
    return marks;
  }

  #notice({ event, detail = {} }) {
    if (event === "connect") {
      this.#missed = 0;
      this.#opening = openingInWords(detail.resumed, this.#readFrom !== "");
      this.#updateNote = this.#log.note(this.#opening.word, "good");
      this.#readFrom ||= detail.cursor;
      this.#pulse();
    } else if (event === "gap") {
      const why =
        detail.reason === "expired" ? "they have expired" : "the hub does not know the place to resume from";
      this.#log.note(`Gap: messages may be missing here, because ${why}`, "bad");
      this.#readFrom = this.#stream.connected.detail.cursor;
    } else if (event === "maintenance") {
      this.#log.note("The hub is stopping; this client comes back by itself", "plain");
    } else if (event === "disconnect") {
      this.#log.note(`The hub closed the connection: ${detail.reason}`, detail.reconnect ? "plain" : "bad");
    } else {
      this.#log.note(`The hub reports: ${detail.detail ?? event}`, "bad");
    }
  }

  /** What the page has shown does not wait in the mailbox any more. Best effort: an unacked message comes again. */
  #acknowledgeSoon() {
    if (this.#ackTimer) {
      return;
    }
    this.#ackTimer = setTimeout(() => {
      this.#ackTimer = 0;
      const { client, token } = this.who;
      if (this.#stream.state === "open") {
        acknowledge(client, this.#readFrom, this.#stream.cursor, token).catch(() => {});
      }
    }, ACK_AFTER_MS);
  }

  async #send(event) {
    event.preventDefault();
    const { send, sendButton, answer } = this.#parts;
    // One request at a time: a second one could overtake the first.
    if (sendButton.disabled) {
      return;
    }
    let message;
    try {
      message = this.#compose();
    } catch (error) {
      this.#answer(error.message, "bad");
      return;
    }
    sendButton.disabled = true;
    answer.dataset.tone = "plain";
    answer.textContent = "Sending";
    try {
      this.#answer(answerInWords(message, await publish(message, this.who.token)), "good");
      send.elements.payload.value = "";
    } catch (trouble) {
      this.#askForToken(trouble);
      this.#answer(`Not sent. ${trouble.message}.`, "bad");
    } finally {
      sendButton.disabled = false;
    }
  }

  #compose() {
    const { to, target, topic, type, priority, payload } = this.#parts.send.elements;
    const message = { type: type.value, priority: Number(priority.value), source: this.who.client };
    if (to.value === "target") {
      message.target = target.value.trim();
    } else if (to.value === "topic") {
      message.topic = topic.value.trim();
    }
    message.payload = type.value === "json" ? parsed(payload.value) : { content: payload.value };
    return message;
  }

  /** Enter sends, Shift+Enter breaks the line, and Enter that ends a composition (of Chinese, say) does neither. */
  #sendOnEnter(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#parts.send.requestSubmit();
    }
  }

  #answer(text, tone) {
    const { answer } = this.#parts;
    answer.dataset.tone = tone;
    answer.textContent = text;
  }

  #askForToken(trouble) {
    if (trouble.status === 401) {
      this.#parts.token.hidden = false;
      this.#parts.join.elements.token.focus();
    }
  }

  #pulse() {
    const { light } = this.#parts;
    // Two names of the same animation: changing the name is what starts it again.
    light.dataset.beat = light.dataset.beat === "tick" ? "tock" : "tick";
    this.#showBeat(Date.now());
  }

  #showBeat(now) {
    const { state, heardAt } = this.#stream;
    const seconds = Math.max(0, Math.round((now - heardAt) / 1000));
    this.#parts.beat.textContent = state === "open" ? `heard ${seconds} s ago` : "";
  }

  #showName() {
    const name = this.who.client;
    this.element.setAttribute("aria-label", `Client ${name}`);
    this.#parts.log.setAttribute("aria-label", `Messages of ${name}`);
    this.#parts.tokenHint.textContent = `tidings token --sub ${name} --publish '#' --subscribe '#' --targets '#'`;
  }

  #showState() {
    const { state, trouble } = this.#stream;
    const parts = this.#parts;
    const away = state === "left" || state === "refused";
    parts.light.dataset.state = state;
    parts.state.textContent = STATES[state];
    parts.trouble.textContent = trouble ? `${trouble.message}.` : "";
    parts.joinButton.textContent = away ? "Join" : "Leave";
    parts.joinButton.classList.toggle("primary", away);
    const resumable = state === "dropped" || (state === "refused" && this.#stream.cursor !== "");
    parts.drop.textContent = resumable ? "Resume" : "Drop";
    parts.drop.classList.toggle("primary", resumable);
    parts.drop.disabled = !resumable && state !== "open" && state !== "reconnecting";
    for (const input of [parts.join.elements.client, parts.join.elements.topics, parts.join.elements.token]) {
      input.readOnly = !away;
    }
    if (trouble) {
      this.#askForToken(trouble);
    }
    this.#showBeat(Date.now());
    this.#showFacts();
  }

  #showFacts() {
    const { received, unread, cursor } = this.#parts;
    received.textContent = this.#log.received.toLocaleString();
    unread.textContent = this.#log.unread.toLocaleString();
    cursor.textContent = this.#stream.cursor || "none";
    cursor.title = this.#stream.cursor;
  }

  #showDestination() {
    const { to, target, topic } = this.#parts.send.elements;
    topic.hidden = to.value !== "topic";
    target.hidden = to.value === "topic";
    target.disabled = to.value === "all";
  }
}

function openingInWords(resumed, again) {
  if (resumed) {
    return { word: "Resumed", mark: "sent while away" };
  }
  return again
    ? { word: "Connected again", mark: "sent before" }
    : { word: "Joined", mark: "waited in the mailbox" };
}

function answerInWords({ target, topic }, { recipients, cursor }) {
  const at = `Cursor ${cursor}.`;
  if (recipients > 0) {
    return `Stored, and on its way to ${recipients} ${recipients === 1 ? "connection" : "connections"}. ${at}`;
  }
  if (target) {
    return `Stored. ${target} is not connected: it waits in the mailbox. ${at}`;
  }
  return `Stored. Nobody is connected who reads ${topic ? `the topic ${topic}` : "broadcasts"}. ${at}`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Not sent. This is not JSON: ${error.message}.`);
  }
}

/** Whom a token speaks for, or null when it cannot be read here; the hub is the judge of it either way. */
function subject(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return (
      JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(claims), (c) => c.charCodeAt(0)))).sub ?? null
    );
  } catch {
    return null;
  }
}

/** Elements by their `data-is`, in camel case. */
function parts(root) {
  const named = [...root.querySelectorAll("[data-is]")];
  const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(named.map((part) => [camel(part.dataset.is), part]));
}

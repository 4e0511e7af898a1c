// The list of one client: newest at the end, bounded, following the end while the reader is there.

import { messageRow, noteRow } from "./message.js";

/** Older rows are removed, so that a page left open for days stays small. */
const ROWS_MAX = 300;

/** Closer to the end than this counts as being there. */
const END_PX = 24;

export class Log {
  received = 0;
  unread = 0;

  #parts;
  #changed;
  #waiting = [];

  /** @param changed Called when `received` or `unread` has. */
  constructor(parts, changed) {
    this.#parts = parts;
    this.#changed = changed;
    parts.log.addEventListener("scroll", () => this.#read());
    parts.newer.addEventListener("click", () => this.#toEnd());
    document.addEventListener("visibilitychange", () => this.#read());
  }

  message(message, cursor, marks) {
    this.received += 1;
    this.unread += this.#beingRead() ? 0 : 1;
    this.#append(messageRow(message, cursor, marks));
    this.#changed();
  }

  /** Returns a function that replaces the note's text. */
  note(text, tone) {
    const row = noteRow(text, tone);
    this.#append(row);
    return (newText) => {
      row.firstChild.textContent = newText;
    };
  }

  /** Rows of one frame are added together: a resumed stream may bring thousands at once. */
  #append(row) {
    this.#waiting.push(row);
    if (this.#waiting.length > ROWS_MAX) {
      this.#waiting.shift();
    }
    if (this.#waiting.length === 1) {
      requestAnimationFrame(() => this.#show());
    }
  }

  #show() {
    const { rows, empty, log } = this.#parts;
    const follow = this.#atEnd();
    empty.hidden = true;
    rows.append(...this.#waiting.splice(0));
    while (rows.childElementCount > ROWS_MAX) {
      rows.firstElementChild.remove();
    }
    if (follow) {
      log.scrollTop = log.scrollHeight;
    }
    this.#read();
  }

  #toEnd() {
    this.#parts.log.scrollTop = this.#parts.log.scrollHeight;
    this.#parts.log.focus();
    this.#read();
  }

  #read() {
    if (this.#beingRead()) {
      this.unread = 0;
    }
    const { newer } = this.#parts;
    newer.hidden = this.unread === 0;
    newer.textContent = `${this.unread} unread \u2193`;
    this.#changed();
  }

  #beingRead() {
    return !document.hidden && this.#atEnd();
  }

  #atEnd() {
    const { log } = this.#parts;
    return log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
  }
}

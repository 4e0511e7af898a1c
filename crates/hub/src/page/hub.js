// The hub's HTTP side, as far as the page uses it. Paths are relative, so the page also works behind a prefix.

/** How long the page waits for an answer before it says that there is none. */
const ANSWER_MS = 15_000;

/** A refusal, or no answer at all, in words. */
export class Trouble extends Error {
  /** @param {number} status The HTTP status; 0 when the hub did not answer. */
  constructor(words, status) {
    super(words);
    this.status = status;
  }
}

/** Sends one message and returns what the hub answers. */
export function publish(message, token) {
  return ask("api/messages", { token, body: message });
}

/** Tells the hub that everything between the two cursors has been read, so the mailbox need not send it again. */
export function acknowledge(client, from, cursor, token) {
  return ask("api/acks", { token, body: { clientId: client, from, cursor } });
}

/** The live connections: all of them in open mode, a client's own with a token. */
export function connections(client, token) {
  return ask(`api/connections?clientId=${encodeURIComponent(client)}`, { token });
}

/** Fails when the hub does not take messages at present. */
export function ready() {
  return ask("ready", {});
}

/**
 * The reason why a stream was refused, or null when it is accepted now. EventSource hides the answer, so it is asked
 * for once more; an accepted stream is let go at once.
 */
export async function refusal(url) {
  const giveUp = new AbortController();
  try {
    const response = await fetch(url, { signal: giveUp.signal, headers: { Accept: "text/event-stream" } });
    if (response.status === 204) {
      return new Trouble("Another instance of this client has taken over", 204);
    }
    return response.ok ? null : await trouble(response);
  } catch {
    return unreachable();
  } finally {
    giveUp.abort();
  }
}

async function ask(path, { token, body }) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const init = { headers, signal: AbortSignal.timeout(ANSWER_MS), cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.method = "POST";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    throw error.name === "TimeoutError" ? noAnswer() : unreachable();
  }
  if (!response.ok) {
    throw await trouble(response);
  }
  return response.json().catch(() => ({}));
}

async function trouble(response) {
  const problem = await response.json().catch(() => ({}));
  const words = sentence(problem.detail ?? `the hub answered ${response.status}`);
  const at = problem.field
    ? ` (${problem.code}, field ${problem.field})`
    : problem.code
      ? ` (${problem.code})`
      : "";
  return new Trouble(words + at, response.status);
}

function unreachable() {
  return new Trouble("The hub does not answer", 0);
}

function noAnswer() {
  return new Trouble(
    `No answer in ${ANSWER_MS / 1000} seconds. A browser opens at most six connections to one host: close other tabs of this page`,
    0,
  );
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

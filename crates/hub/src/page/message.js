// What one message, or one event in the life of a connection, looks like as a row of the list. Everything that came
// over the wire goes in as text, never as markup.

const PRIORITIES = ["low", "normal", "high", "critical"];

/** A payload may be a megabyte; so much of it is shown until the reader asks for the rest. */
const SHOWN_CHARS_MAX = 1_200;

/** JSON that is longer is spread over lines. */
const LINE_CHARS_MAX = 60;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** @param marks Short remarks such as `sent while away`. */
export function messageRow(message, cursor, marks) {
  const priority = PRIORITIES[message.priority] ?? "normal";
  const row = element("li", "message");
  row.dataset.priority = priority;
  row.dataset.id = message.id;

  const head = element("p", "head");
  const place = element("code", "at", cursor ?? "live only");
  place.title = cursor
    ? `Cursor of message ${message.id}`
    : "Not stored, so a resumed stream does not bring it again";
  head.append(route(message), element("span", "type", message.type), element("span", "priority", priority));
  head.append(...marks.map((mark) => element("span", "mark", mark)), place, time(message));

  row.append(head, payload(message));
  return row;
}

/** A line between messages: joined, resumed, interrupted, a gap. `tone` is `plain`, `good` or `bad`. */
export function noteRow(text, tone) {
  const row = element("li", "note");
  row.dataset.tone = tone;
  row.append(element("span", "", text));
  return row;
}

function route({ source, target, topic }) {
  const whereTo = target ?? topic ?? "all";
  const kind = topic !== undefined ? "topic " : "";
  const route = element("span", "route");
  route.append(element("bdi", "", source), " \u2192 ", kind, element("bdi", "", whereTo));
  return route;
}

function time({ timestamp }) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) {
    return element("time", "", "");
  }
  const time = element("time", "", clock.format(date));
  time.dateTime = date.toISOString();
  time.title = fullTime.format(date);
  return time;
}

function payload({ type, payload }) {
  if (type === "progress" && typeof payload?.progress === "number") {
    return progress(payload);
  }
  if (type === "text" && typeof payload?.content === "string") {
    return words(payload.content, "payload prose");
  }
  if (typeof payload === "string") {
    return words(payload, "payload prose");
  }
  const line = JSON.stringify(payload);
  return words(line.length <= LINE_CHARS_MAX ? line : JSON.stringify(payload, null, 2), "payload code");
}

function progress({ taskId, progress, description }) {
  const bar = element("progress", "");
  bar.max = 100;
  bar.value = progress;
  const label = element("label", "payload progress");
  label.append(`${description ?? taskId}: ${progress} %`, bar);
  return label;
}

function words(text, className) {
  const box = element("div", className, text.slice(0, SHOWN_CHARS_MAX));
  box.dir = "auto";
  if (text.length > SHOWN_CHARS_MAX) {
    const more = element(
      "button",
      "more",
      `Show ${(text.length - SHOWN_CHARS_MAX).toLocaleString()} more characters`,
    );
    more.type = "button";
    more.addEventListener("click", () => box.replaceChildren(text));
    box.append("\u2026 ", more);
  }
  return box;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) {
    made.className = className;
  }
  if (text !== undefined) {
    made.textContent = text;
  }
  return made;
}

// The page: two clients, the state of the hub, and what to paste into a terminal.

import { Client } from "./client.js";
import { ready } from "./hub.js";

const CLIENTS = [
  { name: "alice", other: "bob", topics: "news,orders/#" },
  { name: "bob", other: "alice", topics: "news" },
];

const TICK_MS = 1_000;
const ASK_HUB_EVERY_MS = 5_000;

const template = document.querySelector("#client");
const clients = CLIENTS.map((settings) => new Client(template, settings, showCommands));
document.querySelector("#clients").append(...clients.map((client) => client.element));

showCommands();
showHub();
setInterval(tick, TICK_MS);
setInterval(() => document.hidden || showHub(), ASK_HUB_EVERY_MS);

function tick() {
  for (const client of clients) {
    client.tick(Date.now());
  }
}

async function showHub() {
  const light = document.querySelector("#hub-light");
  const state = document.querySelector("#hub-state");
  const detail = document.querySelector("#hub-detail");
  try {
    await ready();
    light.dataset.state = "open";
    state.textContent = "Hub ready";
  } catch (trouble) {
    light.dataset.state = "refused";
    state.textContent = trouble.status === 0 ? "Hub not reachable" : trouble.message;
  }
  detail.textContent = location.host;
}

/** Lines for a POSIX shell, with the names and the token that the page shows at present. */
function showCommands() {
  const { client, topics, token } = clients[0].who;
  const exact = topics.split(",").find((topic) => topic && !/[+*#]/.test(topic)) ?? "news";
  const base = new URL(".", document.baseURI).href;
  const bearer = token ? ' -H "Authorization: Bearer $TIDINGS_TOKEN"' : "";
  const query = `clientId=carol&topics=${encodeURIComponent(exact)}`;
  const commands = [
    ["Listen as a third client", `curl -N${bearer} ${quoted(`${base}sse?${query}`)}`],
    [
      `Send to everybody who reads ${exact}`,
      `curl${bearer} -d 'hello' ${quoted(`${base}api/topics/${path(exact)}`)}`,
    ],
    [
      `Send to ${client}, connected or not`,
      `curl${bearer} -d 'hello' ${quoted(`${base}api/direct/${encodeURIComponent(client)}`)}`,
    ],
  ];
  document.querySelector("#terminal").replaceChildren(...commands.map(([what, line]) => command(what, line)));
}

function command(what, line) {
  const item = document.createElement("li");
  const title = document.createElement("h3");
  const code = document.createElement("code");
  const copy = document.createElement("button");
  title.textContent = what;
  code.textContent = line;
  copy.type = "button";
  copy.textContent = "Copy";
  copy.setAttribute("aria-label", `Copy: ${what}`);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(line);
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1_500);
  });
  item.append(title, code, copy);
  return item;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A topic as part of a path: its levels are the path's. */
function path(topic) {
  return topic.split("/").map(encodeURIComponent).join("/");
}

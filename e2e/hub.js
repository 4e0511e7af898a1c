// The real hub as a child process, on a free port, with its data in a temporary folder.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const BINARY = process.env.TIDINGS_BIN;
const HANG_MS = 60_000;

/** Starts a hub that is stopped, and its data removed, when the test `t` ends. */
export async function startHub(t, environment = {}) {
  if (!BINARY) {
    throw new Error("TIDINGS_BIN must name the hub's binary; `cargo xtask test` sets it");
  }
  const hub = new Hub(await freePort(), environment);
  t.after(() => hub.dispose());
  await hub.newData();
  await hub.start();
  return hub;
}

class Hub {
  #environment;
  #folders = [];
  #process = null;
  #said = "";

  constructor(port, environment) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#environment = { ...process.env, ...environment };
  }

  /** From the next start on the hub has an empty folder: another journal, with other epochs. */
  async newData() {
    this.#folders.push(await mkdtemp(join(tmpdir(), "tidings-e2e-")));
  }

  async start() {
    const data = this.#folders.at(-1);
    const options = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", data];
    this.#process = spawn(BINARY, options, { env: this.#environment, stdio: ["ignore", "pipe", "pipe"] });
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      output.on("data", (text) => {
        this.#said += text;
      });
    }
    await this.#ready();
  }

  /** As a power cut does it: no farewell to anybody. */
  async kill() {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async dispose() {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) {
      await this.kill();
    }
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  /** Sends a message from outside the page and returns the hub's answer. */
  async publish(message) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(message);
    const response = await fetch(`${this.url}/api/messages`, { method: "POST", headers, body });
    if (!response.ok) {
      throw new Error(`the hub answered ${response.status}: ${await response.text()}`);
    }
    return response.json();
  }

  /** Runs another command of the binary with the hub's configuration and returns what it prints. */
  async command(...options) {
    const { stdout } = await promisify(execFile)(BINARY, options, { env: this.#environment });
    return stdout.trim();
  }

  async #ready() {
    const deadline = Date.now() + HANG_MS;
    while (
      !(await fetch(`${this.url}/ready`).then(
        (response) => response.ok,
        () => false,
      ))
    ) {
      if (this.#process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the hub did not become ready; it said:\n${this.#said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

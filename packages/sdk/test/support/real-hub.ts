import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { HistoryAnswer, PublishAnswer } from "../../src/wire/api.ts";
import type { Incoming } from "../../src/wire/message.ts";

const BINARY = process.env.TIDINGS_BIN;
const HANG_MS = 60_000;

/** The hub's binary as a child process, on a free port, with its data in a temporary folder. */
export class RealHub {
  readonly port: number;
  readonly url: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #folder: string;
  #process!: ChildProcess;
  #said = "";
  /** Goes with the hub's own calls here, where it wants one. */
  token: string | undefined;

  private constructor(port: number, folder: string, environment: Record<string, string>) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#environment = { ...process.env, ...environment };
  }

  static async start(environment: Record<string, string> = {}): Promise<RealHub> {
    if (!BINARY) {
      throw new Error("TIDINGS_BIN must name the hub's binary; `cargo xtask test` sets it");
    }
    const folder = await mkdtemp(join(tmpdir(), "tidings-sdk-"));
    const hub = new RealHub(await freePort(), folder, environment);
    await hub.begin();
    return hub;
  }

  /** Starts it again on the same port, with what it has stored. */
  async begin(): Promise<void> {
    const options = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", this.#folder];
    this.#process = spawn(BINARY as string, options, {
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      output?.on("data", (text) => {
        this.#said += text;
      });
    }
    await this.#ready();
  }

  /** As a power cut does it: no farewell to anybody. */
  async kill(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async dispose(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await this.kill();
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Publishes past the SDK and any proxy. */
  async publish(message: Incoming): Promise<PublishAnswer> {
    const body = JSON.stringify(message);
    return (await this.#call("/api/messages", { method: "POST", body })) as PublishAnswer;
  }

  /** The payloads of the messages to a topic that it has stored, in their order. */
  async history(topic: string): Promise<unknown[]> {
    const { messages } = (await this.#call(`/api/messages?topic=${topic}&limit=1000`)) as HistoryAnswer;
    return messages.map(({ payload }) => payload);
  }

  /** Runs another command of the binary with the hub's configuration and returns what it prints. */
  async command(...options: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(BINARY as string, options, { env: this.#environment });
    return stdout.trim();
  }

  /** How many streams it has open. */
  async streams(): Promise<number> {
    return ((await this.#call("/api/connections")) as unknown[]).length;
  }

  async #call(path: string, init: RequestInit = {}): Promise<unknown> {
    const headers = new Headers({ "content-type": "application/json" });
    if (this.token !== undefined) {
      headers.set("authorization", `Bearer ${this.token}`);
    }
    const response = await fetch(this.url + path, { ...init, headers });
    if (!response.ok) {
      throw new Error(`the hub answered ${response.status}: ${await response.text()}`);
    }
    return response.json();
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + HANG_MS;
    for (;;) {
      const ready = await fetch(`${this.url}/ready`).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) {
        return;
      }
      if (this.#process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the hub did not become ready; it said:\n${this.#said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return (address as { port: number }).port;
}

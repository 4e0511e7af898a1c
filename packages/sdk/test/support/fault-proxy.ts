import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

/** What happens to a stream behind `afterBytes` further bytes of the hub's answer, its head included. */
export interface StreamFault {
  kind: StreamFaultKind;
  afterBytes: number;
}

export type StreamFaultKind =
  /** The connection is closed in order. */
  | "end"
  /** It is reset. */
  | "reset"
  /** It is closed inside a character of several bytes. */
  | "inside a character"
  /** It is closed between CR and LF; the proxy turns the hub's line ends into these. */
  | "between CR and LF"
  /** Nothing passes any more in either direction, and neither side is told. */
  | "black hole"
  /** The same, right behind the head of the answer: what a client sees of a proxy that gathers the body. */
  | "kept back"
  /** The next 1,000 bytes pass one by one; then all goes on. */
  | "drip";

/** What happens to another request: the hub never sees it, or it does what it was asked for and nobody learns it. */
export type RequestFault = "never arrives" | "answer lost" | "answer cut";

/** Asked at each stream and after each fault, and at each request. Nothing: all goes well from then on. */
export interface FaultPlan {
  /** `target` is that of the request, as `/sse?clientId=alice`. */
  stream(target: string): StreamFault | undefined;
  request(): RequestFault | undefined;
  /** The stream ended before this could happen to it. */
  spared?(fault: StreamFault): void;
}

const CR = 13;
const LF = 10;
const DRIP_BYTES = 1000;

/** A TCP proxy before a hub that does to connections what networks do. */
export class FaultProxy {
  readonly url: string;
  /** How often each fault has happened. */
  readonly happened: Map<StreamFaultKind | RequestFault, number> = new Map();
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();
  readonly #hubPort: number;
  readonly #plan: FaultPlan;
  #isDown = false;

  private constructor(server: Server, hubPort: number, plan: FaultPlan) {
    this.#server = server;
    this.#hubPort = hubPort;
    this.#plan = plan;
    this.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    server.on("connection", (client) => this.#serve(client));
  }

  static async start(hubPort: number, plan: FaultPlan): Promise<FaultProxy> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultProxy(server, hubPort, plan);
  }

  get total(): number {
    return [...this.happened.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Breaks all connections and takes no new ones. */
  down(): void {
    this.#isDown = true;
    for (const socket of this.#sockets) {
      socket.resetAndDestroy();
    }
  }

  up(): void {
    this.#isDown = false;
  }

  /** Connections of clients that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await once(this.#server, "close");
  }

  #serve(client: Socket): void {
    if (this.#isDown) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const hub = connect(this.#hubPort, "127.0.0.1");
    this.#sockets.add(client);
    const pair = new Pair(client, hub, this.#plan, (kind) => {
      this.happened.set(kind, (this.happened.get(kind) ?? 0) + 1);
    });
    client.on("close", () => {
      this.#sockets.delete(client);
      pair.closed();
      hub.destroy();
    });
    // An error is followed by `close`, which is what counts here.
    client.on("error", () => {});
    hub.on("error", () => client.destroy());
    client.on("data", (bytes) => pair.request(bytes));
    void pair.relay();
  }
}

/** One connection of a client, and the one to the hub behind it. */
class Pair {
  readonly #client: Socket;
  readonly #hub: Socket;
  readonly #plan: FaultPlan;
  readonly #note: (kind: StreamFaultKind | RequestFault) => void;
  /** Of a stream. */
  #target: string | undefined;
  #fault: StreamFault | undefined;
  #request: RequestFault | undefined;
  #blackHole = false;
  #dripping = 0;
  #last = 0;

  constructor(
    client: Socket,
    hub: Socket,
    plan: FaultPlan,
    note: (kind: StreamFaultKind | RequestFault) => void,
  ) {
    this.#client = client;
    this.#hub = hub;
    this.#plan = plan;
    this.#note = note;
  }

  /** Bytes from the client; a request begins with a chunk of its own, as every client here sends it. */
  request(bytes: Buffer): void {
    if (this.#blackHole) {
      return;
    }
    const head = bytes.toString("latin1", 0, 2048);
    if (head.startsWith("GET /sse")) {
      this.#target = head.split(" ", 2)[1] as string;
      this.#fault = this.#plan.stream(this.#target);
    } else if (/^(POST|PUT|DELETE) /.test(head)) {
      this.#request = this.#plan.request();
    }
    if (this.#request === "never arrives") {
      this.#break(this.#request);
    } else {
      this.#hub.write(bytes);
    }
  }

  closed(): void {
    if (this.#fault) {
      this.#plan.spared?.(this.#fault);
      this.#fault = undefined;
    }
  }

  /** Passes on what the hub says, until it or a fault ends it. */
  async relay(): Promise<void> {
    try {
      for await (const bytes of this.#hub) {
        await (this.#target ? this.#streamed(withCr(bytes, this.#last)) : this.#answered(bytes));
        this.#last = bytes.at(-1);
      }
      this.#client.end();
    } catch {
      // The hub is gone, or a fault has ended the connection.
      this.#client.destroy();
    }
  }

  async #answered(bytes: Buffer): Promise<void> {
    if (this.#request === "answer lost") {
      this.#break(this.#request);
    } else if (this.#request === "answer cut") {
      await this.#write(bytes.subarray(0, bytes.length >> 1));
      this.#break(this.#request);
    } else {
      await this.#write(bytes);
    }
  }

  async #streamed(bytes: Buffer): Promise<void> {
    let rest = bytes;
    while (this.#fault && rest.length > 0) {
      const at = this.#place(rest);
      const before = rest.subarray(0, at ?? rest.length);
      await this.#write(before);
      this.#fault.afterBytes -= before.length;
      rest = rest.subarray(before.length);
      if (at !== undefined && !(await this.#survives(this.#fault.kind))) {
        return;
      }
    }
    await this.#write(rest);
  }

  /** Where in these bytes the fault happens, if it does. */
  #place(bytes: Buffer): number | undefined {
    const { kind, afterBytes } = this.#fault as StreamFault;
    if (kind === "kept back") {
      const head = bytes.indexOf("\r\n\r\n");
      return head < 0 ? undefined : head + 4;
    }
    const from = Math.max(0, afterBytes);
    for (let i = from; i < bytes.length; i += 1) {
      const byte = bytes[i] as number;
      const inside = (byte & 0xc0) === 0x80;
      const between = byte === LF && bytes[i - 1] === CR;
      if (kind === "inside a character" ? inside : kind !== "between CR and LF" || between) {
        return i;
      }
    }
    return undefined;
  }

  /** Lets a fault happen; returns whether the connection goes on. */
  async #survives(kind: StreamFaultKind): Promise<boolean> {
    this.#note(kind);
    this.#fault = undefined;
    if (kind === "drip") {
      this.#dripping = DRIP_BYTES;
      this.#fault = this.#plan.stream(this.#target as string);
      return true;
    }
    if (kind === "black hole" || kind === "kept back") {
      this.#blackHole = true;
      // Until the client gives up.
      await once(this.#client, "close");
    } else if (kind === "reset") {
      this.#reset();
    } else {
      // In order, so that all bytes before the cut arrive: a reset may drop them.
      this.#client.end();
      this.#hub.destroy();
    }
    return false;
  }

  #break(kind: RequestFault): void {
    this.#note(kind);
    this.#reset();
  }

  #reset(): void {
    this.#client.resetAndDestroy();
    this.#hub.destroy();
  }

  async #write(bytes: Buffer): Promise<void> {
    let rest = bytes;
    for (; this.#dripping > 0 && rest.length > 0; rest = rest.subarray(1)) {
      this.#dripping -= 1;
      this.#client.write(rest.subarray(0, 1));
      await turn();
    }
    if (rest.length > 0 && this.#client.writable && !this.#client.write(rest)) {
      await this.#drained();
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#client.off("drain", done).off("close", done);
        resolve();
      };
      this.#client.on("drain", done).on("close", done);
    });
  }
}

/** The same bytes with every LF as CR LF; `last` is the byte before them. */
function withCr(bytes: Buffer, last: number): Buffer {
  const out: number[] = [];
  for (const [i, byte] of bytes.entries()) {
    if (byte === LF && (i === 0 ? last : bytes[i - 1]) !== CR) {
      out.push(CR);
    }
    out.push(byte);
  }
  return Buffer.from(out);
}

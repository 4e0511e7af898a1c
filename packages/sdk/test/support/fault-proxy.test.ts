import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { FaultProxy, type RequestFault, type StreamFault } from "./fault-proxy.ts";
import { seeded } from "./random.ts";

const TEXT = "HTTP/1.1 200 OK\r\n\r\ndata: grüße\n\ndata: 👋🏽\n\n";

let hub: Server;
let proxy: FaultProxy;
let heard: string;
afterEach(async () => {
  await proxy.close();
  hub.close();
});

/** A hub that says the same to everyone. */
async function start(stream: StreamFault[], request: RequestFault[] = [], text = TEXT): Promise<void> {
  heard = "";
  hub = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard += bytes;
      socket.write(text);
    });
  }).listen(0, "127.0.0.1");
  await once(hub, "listening");
  proxy = await FaultProxy.start((hub.address() as { port: number }).port, {
    stream: () => stream.shift(),
    request: () => request.shift(),
  });
}

async function ask(
  head: string,
): Promise<{ socket: Socket; ended: Promise<{ bytes: Buffer; error: string | undefined }> }> {
  const socket = connect(Number(new URL(proxy.url).port), "127.0.0.1");
  socket.write(`${head} HTTP/1.1\r\n\r\n`);
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on("data", (bytes) => chunks.push(bytes));
  socket.on("error", (thrown: NodeJS.ErrnoException) => {
    error = thrown.code;
  });
  const ended = new Promise<{ bytes: Buffer; error: string | undefined }>((resolve) => {
    socket.on("close", () => resolve({ bytes: Buffer.concat(chunks), error }));
  });
  return { socket, ended };
}

const crlf = Buffer.from(TEXT.replace(/(?<!\r)\n/g, "\r\n"));

test("a stream ends behind exactly so many bytes, with CR LF as its line ends", async () => {
  for (const afterBytes of [0, 1, 25, 34, crlf.length - 1]) {
    await start([{ kind: "end", afterBytes }]);
    const { bytes, error } = await (await ask("GET /sse")).ended;
    expect([bytes, error]).toEqual([crlf.subarray(0, afterBytes), undefined]);
    await proxy.close();
    hub.close();
  }
  await start([]);
});

test("a stream ends inside the next character of several bytes, and between the next CR and LF", async () => {
  await start([
    { kind: "inside a character", afterBytes: 20 },
    { kind: "between CR and LF", afterBytes: 20 },
  ]);
  const inside = await (await ask("GET /sse")).ended;
  expect(inside.bytes.at(-1)).toBe(0xc3);
  const between = await (await ask("GET /sse")).ended;
  expect([between.bytes.at(-1), between.bytes.length]).toEqual([13, crlf.indexOf("\r\n\r\ndata: 👋") + 1]);
});

test("a reset is an error at the client", async () => {
  // Directly behind bytes that it has not read, a client may also see an end.
  await start([{ kind: "reset", afterBytes: 0 }]);
  expect((await (await ask("GET /sse")).ended).error).toBe("ECONNRESET");
});

test("behind a black hole nothing comes and nothing ends", async () => {
  await start([{ kind: "black hole", afterBytes: 5 }]);
  const { socket, ended } = await ask("GET /sse");
  await once(socket, "data");
  socket.write("more");
  // All that could still arrive has done so once another connection was answered.
  const other = await ask("GET /health");
  await once(other.socket, "data");
  other.socket.destroy();
  expect([proxy.happened.get("black hole"), heard.includes("more")]).toEqual([1, false]);
  socket.destroy();
  expect((await ended).bytes.length).toBe(5);
});

test("a drip passes everything, in order, and the next fault follows", async () => {
  const text = `HTTP/1.1 200 OK\r\n\r\n${"0123456789".repeat(300)}`;
  await start(
    [
      { kind: "drip", afterBytes: 40 },
      { kind: "end", afterBytes: 2000 },
    ],
    [],
    text,
  );
  const { bytes } = await (await ask("GET /sse")).ended;
  expect(bytes.toString()).toBe(text.slice(0, 2040));
});

test("a request never arrives, or its answer is lost or cut", async () => {
  await start([], ["never arrives", "answer lost", "answer cut"]);
  const first = await (await ask("POST /one")).ended;
  expect([first.error, heard]).toEqual(["ECONNRESET", ""]);
  const second = await (await ask("POST /two")).ended;
  expect([second.bytes.length, second.error, heard.includes("/two")]).toEqual([0, "ECONNRESET", true]);
  await (await ask("POST /three")).ended;
  expect([proxy.total, heard.includes("/three")]).toEqual([3, true]);
});

test("a seed gives the same numbers again, between 0 and 1", () => {
  const [one, same, other] = [seeded(7), seeded(7), seeded(8)];
  const numbers = Array.from({ length: 1000 }, one);
  expect(Array.from({ length: 1000 }, same)).toEqual(numbers);
  expect(other()).not.toBe(numbers[0]);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
});

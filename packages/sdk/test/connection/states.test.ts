import { beforeEach, describe, expect, test } from "vitest";
import type { SSKSConfig } from "../../src/config.ts";
import type { Connection } from "../../src/connection/connection.ts";
import { Wire } from "../support/wire.ts";

let wire: Wire;
let log: string[];

beforeEach(() => {
  wire = new Wire();
  log = [];
});

function manager(config: Partial<SSKSConfig> = {}): Connection {
  return wire.connection(config, log);
}

function cursor(): string | null {
  return wire.last.url.searchParams.get("lastEventId");
}

async function connected(config: Partial<SSKSConfig> = {}): Promise<Connection> {
  const made = manager(config);
  const opened = made.connect();
  await wire.settle();
  wire.last.accept();
  await opened;
  log.length = 0;
  return made;
}

describe("connecting", () => {
  test("is over with the hub's connect event, not with the head", async () => {
    const made = manager();
    const opened = made.connect();
    await wire.settle();
    wire.last.head();
    await wire.settle();
    expect(made.state).toBe("connecting");
    wire.last.order("connect", { heartbeatInterval: 25_000 }, "e-1");
    await opened;
    expect(made.state).toBe("connected");
    expect(log).toEqual(["connecting", "connected"]);
  });

  test("asks with the credentials and all parameters, and sends no cursor at first", async () => {
    const made = manager({
      authToken: "secret",
      headers: { "x-tenant": "7" },
      topics: ["news/#", "a b/+"],
      types: ["json", "text"],
      since: new Date(5000),
      device: "phone",
      exclusive: true,
      instance: "i1",
      heartbeatInterval: 500,
    });
    made.connect().catch(() => {});
    await wire.settle();
    const { url, headers } = wire.last;
    expect(url.href).toBe(
      "https://hub.test/sse?v=1&clientId=alice&topics=news%2F%23%2Ca%20b%2F%2B&types=json%2Ctext&device=phone&heartbeat=500&exclusive=true&instance=i1&since=5000",
    );
    expect(Object.fromEntries(headers)).toEqual({
      accept: "text/event-stream",
      authorization: "Bearer secret",
      "x-tenant": "7",
    });
  });

  test("defect 6: a connect timeout ends the attempt, closes its stream and tries again", async () => {
    const made = manager();
    made.connect().catch(() => {});
    await wire.settle();
    const [first] = wire.requests;
    await wire.clock.advance(10_000);
    expect(first?.signal.aborted).toBe(true);
    expect(log).toEqual(["connecting", "error timeout"]);
    await wire.next();
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
  });

  test("a head without a connect event is reported as a buffered stream", async () => {
    manager()
      .connect()
      .catch(() => {});
    await wire.settle();
    wire.last.head();
    await wire.clock.advance(10_000);
    expect(log).toEqual(["connecting", "error stream_buffered"]);
  });

  test("the connect timeout does not cover the token function", async () => {
    let give: (token: string) => void = () => {};
    manager({
      authToken: () =>
        new Promise((resolve) => {
          give = resolve;
        }),
    })
      .connect()
      .catch(() => {});
    await wire.clock.advance(60_000);
    expect(log).toEqual(["connecting"]);
    give("late");
    await wire.settle();
    expect(wire.last.headers.get("authorization")).toBe("Bearer late");
  });

  test("the connect timeout is over with the connect event", async () => {
    const made = await connected({ connectionTimeout: 1000, livenessTimeout: 40_000 });
    await wire.clock.advance(30_000);
    expect(made.state).toBe("connected");
  });

  test("a fetch that does not heed its signal cannot bring a late stream back", async () => {
    wire.heedsAbort = false;
    const made = manager();
    made.connect().catch(() => {});
    await wire.settle();
    const [first] = wire.requests;
    await wire.clock.advance(10_000);
    first?.accept();
    await wire.settle();
    expect(made.state).not.toBe("connected");
    expect(first?.cancelled).toBe(true);
  });

  test("an abort or a timeout of connect() ends the wait alone", async () => {
    const made = manager();
    const controller = new AbortController();
    const aborted = made.connect({ signal: controller.signal });
    const timedOut = made.ready({ timeout: 500 });
    controller.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    const refused = expect(timedOut).rejects.toMatchObject({ code: "timeout" });
    await wire.clock.advance(500);
    await refused;
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
  });
});

describe("losing the stream", () => {
  test("goes on with the id of the last event, in the state reconnecting", async () => {
    const made = await connected();
    wire.last.message({ id: "1" }, "e-7").message({ id: "2" });
    await wire.settle();
    wire.last.end();
    await wire.next();
    expect(cursor()).toBe("e-7");
    expect(log).toEqual(["reconnecting"]);
    wire.last.accept({ cursor: "e-7", resumed: true });
    await wire.settle();
    expect(log).toEqual(["reconnecting", "connected"]);
    made.disconnect();
  });

  test("defect 13: the id of an event that was cut off is not remembered, that of a heartbeat is", async () => {
    await connected();
    wire.last.message({ type: "heartbeat" as never, source: "$hub" }, "e-8").bytes("id: e-9\ndata: {");
    await wire.settle();
    wire.last.fail();
    await wire.next();
    expect(cursor()).toBe("e-8");
  });

  test("an empty id clears the cursor, and no header is sent", async () => {
    await connected();
    wire.last.bytes("id:\n\n");
    await wire.settle();
    wire.last.end();
    await wire.next();
    expect(cursor()).toBe(null);
  });

  test("restores the subscriptions that were added since", async () => {
    const made = await connected({ topics: ["a"] });
    made.topics.add("b/#");
    wire.last.end();
    await wire.next();
    expect(wire.last.url.searchParams.get("topics")).toBe("a,b/#");
  });

  test("defect 7: schedules one attempt, and disconnect() stops it", async () => {
    const made = await connected();
    wire.last.fail();
    await wire.settle();
    expect(wire.clock.timers()).toBe(1);
    made.disconnect();
    expect(wire.clock.timers()).toBe(0);
    expect(wire.page.listeners()).toBe(0);
    await wire.clock.advance(100_000);
    expect(wire.requests).toHaveLength(1);
    expect(log).toEqual(["reconnecting", "error network", "disconnected"]);
  });

  test("disconnect() and connect() in one turn end connected, with one stream open", async () => {
    const made = await connected();
    made.disconnect();
    const opened = made.connect();
    await wire.settle();
    wire.last.accept();
    await opened;
    expect(made.state).toBe("connected");
    expect(wire.requests.filter((request) => request.open)).toHaveLength(1);
  });

  test("reconnect() leaves the stream for a new one behind the same cursor", async () => {
    const made = await connected();
    wire.last.message({}, "e-3");
    await wire.settle();
    const again = made.reconnect();
    await wire.clock.advance(0);
    expect(wire.requests.map((request) => request.signal.aborted)).toEqual([true, false]);
    wire.last.accept();
    await again;
    expect(cursor()).toBe("e-3");
    expect(log).toEqual(["reconnecting", "connected"]);
  });
});

describe("being told by the hub", () => {
  test.each(["replaced", "kicked", "revoked"])("%s stops for good", async (reason) => {
    const made = await connected();
    wire.last.order("disconnect", { reason, reconnect: false });
    await wire.clock.advance(100_000);
    expect(log).toEqual(["disconnected"]);
    expect(wire.requests).toHaveLength(1);
    expect(wire.clock.timers()).toBe(0);
    expect(made.state).toBe("disconnected");
  });

  test("204 stops for good, and connect() says so", async () => {
    const made = manager();
    const opened = made.connect();
    await wire.settle();
    wire.last.answer(new Response(null, { status: 204 }));
    await expect(opened).rejects.toMatchObject({ code: "server_stop" });
    wire.page.show();
    await wire.clock.advance(100_000);
    expect(wire.requests).toHaveLength(1);
    expect(log).toEqual(["connecting", "disconnected"]);
  });

  test("maintenance is obeyed: back not before it says, and without an error", async () => {
    await connected();
    wire.random = 0;
    wire.last.order("maintenance", { retryAfterMs: 4000 });
    expect(await wire.next()).toBe(4000);
    expect(log).toEqual(["reconnecting"]);
  });

  test("orders of other clients are mere messages", async () => {
    const made = await connected();
    wire.last.message({
      type: "system" as never,
      source: "mallory",
      payload: { event: "disconnect", detail: { reconnect: false } },
    });
    wire.last.message({ type: "system" as never, source: "mallory", payload: { event: "maintenance" } });
    await wire.settle();
    expect(made.state).toBe("connected");
  });

  test("a stream that ends with its token goes on with a new one", async () => {
    let count = 0;
    await connected({ authToken: () => `token-${++count}` });
    wire.last.order("disconnect", { reason: "token_expired", reconnect: true });
    await wire.next();
    expect(wire.last.headers.get("authorization")).toBe("Bearer token-2");
    expect(log).toEqual(["reconnecting"]);
  });
});

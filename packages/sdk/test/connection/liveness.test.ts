import { beforeEach, describe, expect, test } from "vitest";
import type { SSKSConfig } from "../../src/config.ts";
import type { Connection } from "../../src/connection/connection.ts";
import type { Received } from "../../src/connection/sink.ts";
import { Wire } from "../support/wire.ts";

let wire: Wire;
let log: string[];

beforeEach(() => {
  wire = new Wire();
  log = [];
});

async function connected(
  config: Partial<SSKSConfig> = {},
  detail: Record<string, unknown> = {},
  receive?: (event: Received) => void | Promise<void>,
): Promise<Connection> {
  const made = wire.connection(config, log, receive);
  made.connect().catch(() => {});
  await wire.settle();
  wire.last.accept(detail);
  await wire.settle();
  return made;
}

describe("a silent stream", () => {
  test("defect 10: is left after two heartbeats and 5 s, and a new one is asked for at once", async () => {
    await connected();
    await wire.clock.advance(54_000);
    expect(wire.requests).toHaveLength(1);
    const silence = 54_000 + (await wire.next());
    expect(silence).toBeGreaterThanOrEqual(55_000);
    expect(silence).toBeLessThan(55_100);
    expect(wire.requests[0]?.signal.aborted).toBe(true);
    expect(log).toContain("error timeout");
  });

  test("is one of 15 s at least, unless livenessTimeout says less", async () => {
    await connected({}, { heartbeatInterval: 500 });
    expect(await wire.next()).toBeGreaterThanOrEqual(15_000);
    wire = new Wire();
    await connected({ livenessTimeout: 1500 }, { heartbeatInterval: 500 });
    expect(await wire.next()).toBeLessThan(1600);
  });

  test("is one without comments where heartbeats are off", async () => {
    await connected({}, { heartbeatInterval: 0 });
    expect(await wire.next()).toBeGreaterThanOrEqual(55_000);
  });

  test("is judged by bytes: comments and halves of events keep it alive", async () => {
    const made = await connected();
    for (const bytes of [": still here\n", "data: {", " ", "x"]) {
      await wire.clock.advance(50_000);
      wire.last.bytes(bytes);
      await wire.settle();
    }
    expect(made.state).toBe("connected");
    expect(wire.requests).toHaveLength(1);
  });

  test("is not one that a slow handler keeps from being read", async () => {
    let finish: () => void = () => {};
    const made = await connected({}, {}, ({ message }) =>
      message.type === "json"
        ? new Promise((resolve) => {
            finish = resolve;
          })
        : undefined,
    );
    wire.last.message({ id: "slow" }, "e-1");
    await wire.clock.advance(300_000);
    expect(made.state).toBe("connected");
    finish();
    await wire.settle();
    await wire.clock.advance(54_000);
    expect(wire.requests).toHaveLength(1);
    await wire.next();
  });

  test("watches with one timer", async () => {
    await connected();
    await wire.clock.advance(30_000);
    expect(wire.clock.timers()).toBe(1);
  });
});

describe("after sleep", () => {
  test("a stream that brings a byte is kept", async () => {
    const made = await connected();
    await wire.clock.sleep(3_600_000);
    await wire.clock.advance(500);
    wire.last.bytes(":\n");
    await wire.clock.advance(10_000);
    expect(made.state).toBe("connected");
    expect(wire.requests).toHaveLength(1);
  });

  test("a stream that stays silent is replaced after a second, and no attempt is counted", async () => {
    const made = await connected({ maxReconnectAttempts: 0 });
    await wire.clock.sleep(3_600_000);
    expect(await wire.next()).toBeLessThan(1100);
    expect(made.state).toBe("reconnecting");
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
  });

  test("a stream whose heartbeat is not yet due is left alone", async () => {
    const made = await connected();
    await wire.clock.sleep(20_000);
    await wire.clock.advance(5000);
    expect(wire.requests).toHaveLength(1);
    expect(made.state).toBe("connected");
  });

  test("bytes that wait in the socket are read before a late timer decides", async () => {
    const made = await connected({ livenessTimeout: 6000 });
    await wire.clock.sleep(9000);
    wire.last.bytes(":\n");
    await wire.clock.advance(2000);
    expect(made.state).toBe("connected");
  });

  test("a clock that was put back does not blind the watch", async () => {
    let offset = 0;
    await connected({ now: () => wire.clock.now() + offset });
    offset = -86_400_000;
    expect(await wire.next()).toBeLessThan(65_000);
  });
});

describe("the page", () => {
  test.each(["visible", "resume", "pageshow", "online"] as const)(
    "%s makes an overdue stream prove itself within a second",
    async (event) => {
      await connected();
      await wire.clock.advance(30_000);
      wire.page.fire(event);
      expect(await wire.next()).toBeLessThan(1100);
    },
  );

  test("coming to the front leaves a healthy stream alone", async () => {
    const made = await connected();
    await wire.clock.advance(10_000);
    wire.page.hide();
    wire.page.show();
    await wire.clock.advance(10_000);
    expect(made.state).toBe("connected");
    expect(wire.requests).toHaveLength(1);
  });

  test.each(["visible", "resume", "pageshow", "online"] as const)("%s cuts the wait short", async (event) => {
    await connected();
    wire.last.fail();
    await wire.settle();
    wire.page.fire(event);
    expect(await wire.next()).toBe(0);
  });

  test("offline shortens the watch to 3 s, and a byte takes it back", async () => {
    const made = await connected();
    wire.page.fire("offline");
    await wire.clock.advance(2000);
    wire.last.bytes(":\n");
    await wire.clock.advance(20_000);
    expect(made.state).toBe("connected");
    wire.page.fire("offline");
    expect(await wire.next()).toBeLessThan(3100);
  });

  test("offline does not keep an attempt from being made", async () => {
    const made = await connected();
    wire.page.fire("offline");
    wire.last.fail();
    await wire.next();
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
  });

  test("a hidden page keeps its stream", async () => {
    const made = await connected({ livenessTimeout: Number.POSITIVE_INFINITY });
    wire.page.hide();
    await wire.clock.advance(3_600_000);
    expect(made.state).toBe("connected");
  });

  test("a page hidden for longer than pauseWhenHidden closes it, and has it back with its user", async () => {
    const made = await connected({ pauseWhenHidden: 60_000, livenessTimeout: 3_600_000 });
    wire.page.hide();
    await wire.clock.advance(59_000);
    wire.last.bytes(":\n");
    await wire.settle();
    wire.page.show();
    await wire.clock.advance(60_000);
    expect(made.state).toBe("connected");
    wire.page.hide();
    await wire.clock.advance(60_000);
    expect(made.state).toBe("reconnecting");
    expect(wire.requests[0]?.signal.aborted).toBe(true);
    wire.page.fire("online");
    await wire.clock.advance(600_000);
    expect(wire.requests).toHaveLength(1);
    wire.page.show();
    expect(await wire.next()).toBe(0);
  });

  test("going into the back-forward cache closes the stream, and coming out opens one behind the same cursor", async () => {
    const made = await connected();
    wire.last.message({}, "e-4");
    await wire.settle();
    wire.page.fire("pagehide", true);
    expect(wire.requests[0]?.signal.aborted).toBe(true);
    expect(wire.clock.timers()).toBe(0);
    await wire.clock.advance(600_000);
    expect(wire.requests).toHaveLength(1);
    wire.page.fire("pageshow", true);
    expect(await wire.next()).toBe(0);
    expect(made.cursor).toBe("e-4");
    expect(log).not.toContainEqual(expect.stringMatching("error"));
    made.disconnect();
  });
});

describe("a hundred reconnects", () => {
  test("leave one timer, one stream and the listeners of the first connection; disconnect() leaves nothing", async () => {
    const made = await connected();
    const listeners = wire.page.listeners();
    for (let i = 0; i < 100; i++) {
      wire.last.message({ id: `${i}` }, `e-${i}`);
      await wire.settle();
      if (i % 3 === 0) {
        wire.last.fail();
      } else if (i % 3 === 1) {
        wire.last.end();
      } else {
        await wire.clock.sleep(3_600_000);
      }
      await wire.next();
      wire.last.accept();
      await wire.settle();
    }
    expect(made.state).toBe("connected");
    expect(wire.clock.timers()).toBe(1);
    expect(wire.page.listeners()).toBe(listeners);
    expect(wire.requests.filter((request) => request.open)).toHaveLength(1);
    made.disconnect();
    expect(wire.clock.timers()).toBe(0);
    expect(wire.page.listeners()).toBe(0);
    expect(wire.requests.filter((request) => request.open)).toHaveLength(0);
  });
});

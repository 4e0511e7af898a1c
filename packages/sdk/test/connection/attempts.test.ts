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

const errors = (): string[] =>
  log.filter((told) => told.startsWith("error ")).map((told) => told.replace("error ", ""));
const states = (): string[] => log.filter((told) => !told.startsWith("error "));

async function start(config: Partial<SSKSConfig> = {}): Promise<Connection> {
  const made = wire.connection(config, log);
  made.connect().catch(() => {});
  await wire.settle();
  return made;
}

async function connected(config: Partial<SSKSConfig> = {}): Promise<Connection> {
  const made = await start(config);
  wire.last.accept();
  await wire.settle();
  return made;
}

describe("the wait between attempts", () => {
  test("defect 5: has full jitter below the base at first, and doubles up to the maximum", async () => {
    for (const random of [0, 1 - Number.EPSILON]) {
      wire = new Wire();
      wire.random = random;
      await start({ maxReconnectAttempts: Number.POSITIVE_INFINITY });
      const waits: number[] = [];
      for (let i = 0; i < 7; i++) {
        wire.last.fail();
        waits.push(await wire.next());
      }
      const bounds = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
      expect(waits).toEqual(random === 0 ? bounds.map(() => 100) : bounds);
    }
  });

  test("spreads a thousand clients evenly over the base", async () => {
    const waits: number[] = [];
    for (let i = 0; i < 1000; i++) {
      wire = new Wire();
      wire.random = (i * 0.618_033_988_75) % 1;
      await connected();
      wire.last.end();
      waits.push(await wire.next());
    }
    const tenths = Array.from({ length: 9 }, (_, i) => 100 + i * 100).map(
      (from) => waits.filter((ms) => ms > from && ms <= from + 100).length,
    );
    expect(Math.min(...tenths)).toBeGreaterThan(80);
    expect(Math.max(...tenths)).toBeLessThan(140);
  });

  test("takes `retry:` as its base, in milliseconds and between 250 and the maximum", async () => {
    for (const [retry, wait] of [
      ["3000", 3000],
      ["0", 250],
      ["999999999", 30_000],
      ["12a", 1000],
    ] as const) {
      wire = new Wire();
      await connected();
      wire.last.bytes(`retry: ${retry}\n\n`);
      await wire.settle();
      wire.last.end();
      expect(await wire.next(), retry).toBe(wait);
    }
  });

  test("is not shorter than Retry-After, in seconds, as a date of the hub's clock, or in the body", async () => {
    const date = new Date(wire.clock.now() - 3_600_000);
    const cases: [Record<string, unknown>, Record<string, string>, number][] = [
      [{}, { "retry-after": "7" }, 7000],
      [{}, { "retry-after": new Date(date.getTime() + 9000).toUTCString(), date: date.toUTCString() }, 9000],
      [{ retryAfterMs: 5500 }, { "retry-after": "6" }, 5500],
      [{ retryAfterMs: 86_400_000 }, {}, 600_000],
    ];
    for (const [problem, headers, wait] of cases) {
      wire = new Wire();
      wire.random = 0;
      await start();
      wire.last.refuse(503, problem, headers);
      expect(await wire.next(2_000_000)).toBe(wait);
    }
  });

  test("that the hub asked for has up to half of it on top", async () => {
    await start();
    wire.last.refuse(429, { retryAfterMs: 4000 });
    expect(await wire.next()).toBe(6000);
  });

  test("that the hub asked for is not cut short by the page or by connect()", async () => {
    const made = await start();
    wire.random = 0;
    wire.last.refuse(503, { retryAfterMs: 8000 });
    await wire.settle();
    wire.page.fire("online");
    made.connect().catch(() => {});
    expect(await wire.next()).toBe(8000);
  });

  test("starts anew only after a stream of use: one that is closed at once again and again is asked for less and less", async () => {
    await connected();
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      wire.last.end();
      waits.push(await wire.next());
      wire.last.accept();
      await wire.settle();
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000]);
    wire.last.message({});
    await wire.settle();
    wire.last.end();
    expect(await wire.next()).toBe(1000);
    wire.last.accept();
    await wire.clock.advance(10_000);
    wire.last.end();
    expect(await wire.next()).toBe(1000);
  });
});

describe("refusals", () => {
  test.each([408, 425, 429, 500, 502, 503, 504, 522])("%i is asked again", async (status) => {
    await start();
    wire.last.refuse(status);
    await wire.next();
    expect(wire.requests).toHaveLength(2);
  });

  test.each([400, 403, 404, 405, 406, 410, 415, 431, 501])(
    "defect 8: %i is final, with its reason, until connect() is called",
    async (status) => {
      const made = await start();
      const waiting = made.ready();
      wire.last.refuse(status, { code: "some_code", detail: "why" });
      await expect(waiting).rejects.toMatchObject({ code: "some_code", status, message: "why" });
      expect(made.state).toBe("error");
      expect(errors()).toEqual(["some_code"]);
      wire.page.fire("online");
      await wire.clock.advance(600_000);
      expect(wire.requests).toHaveLength(1);
      const opened = made.connect();
      await wire.settle();
      wire.last.accept();
      await opened;
      expect(states()).toEqual(["connecting", "error", "connecting", "connected"]);
    },
  );

  test("leave no body open", async () => {
    await start();
    wire.last.head({ status: 503, headers: { "content-type": "text/html" } });
    wire.last.end();
    await wire.next();
    wire.last.head({ headers: { "content-type": "text/html" } });
    await wire.settle();
    expect(wire.requests.map((request) => request.open)).toEqual([false, false]);
    expect(errors()).toEqual(["network", "invalid_response"]);
  });

  test("an answer that is no event stream is asked for again", async () => {
    for (const type of ["text/html", "application/json", "text/event-streams", "text/event-stream-x"]) {
      wire = new Wire();
      log = [];
      await start();
      wire.last.head({ headers: { "content-type": type } });
      await wire.next();
      expect(errors(), type).toEqual(["invalid_response"]);
    }
  });

  test("parameters and case of the content type do not matter", async () => {
    for (const type of ["text/event-stream;charset=utf-8", "Text/Event-Stream ; x=y", "text/event-stream;"]) {
      wire = new Wire();
      const made = await start();
      wire.last
        .head({ headers: { "content-type": type } })
        .order("connect", { heartbeatInterval: 25_000 }, "e-0");
      await wire.settle();
      expect(made.state, type).toBe("connected");
    }
  });

  test("a redirect to another origin is refused, and one within the origin is followed", async () => {
    for (const [url, state] of [
      ["https://evil.test/sse", "error"],
      ["https://hub.test/v2/sse", "connecting"],
    ]) {
      wire = new Wire();
      const made = await start();
      const response = new Response(new ReadableStream(), {
        headers: { "content-type": "text/event-stream" },
      });
      Object.defineProperties(response, { url: { value: url }, redirected: { value: true } });
      wire.last.answer(response);
      await wire.settle();
      expect(made.state).toBe(state);
    }
  });

  test("a fetch that does not stream is named", async () => {
    await start();
    wire.last.answer(new Response(null, { headers: { "content-type": "text/event-stream" } }));
    await wire.settle();
    expect(errors()).toEqual(["invalid_response"]);
    expect(states().at(-1)).toBe("error");
  });
});

describe("a token that is refused", () => {
  test("defect 12: is asked for once more, and the stream opens at once with the new one", async () => {
    const asked: boolean[] = [];
    const made = await start({
      authToken: ({ refused }) => {
        asked.push(refused);
        return `token-${asked.length}`;
      },
    });
    wire.last.refuse(401, { code: "token_expired" });
    expect(await wire.next()).toBe(0);
    expect(wire.last.headers.get("authorization")).toBe("Bearer token-2");
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
    expect(asked).toEqual([false, true]);
    expect(errors()).toEqual([]);
  });

  test("twice in a row is final", async () => {
    const made = await start({ authToken: () => "same" });
    wire.last.refuse(401, { code: "invalid_token" });
    await wire.next();
    wire.last.refuse(401, { code: "invalid_token" });
    await wire.settle();
    expect(made.state).toBe("error");
    expect(errors()).toEqual(["invalid_token"]);
    expect(wire.clock.timers()).toBe(0);
  });

  test("is final where it is fixed text", async () => {
    const made = await start({ authToken: "old" });
    wire.last.refuse(401, { code: "invalid_token" });
    await wire.settle();
    expect(made.state).toBe("error");
    expect(wire.requests).toHaveLength(1);
  });

  test("and a refresh that fails is tried again later", async () => {
    let broken = true;
    await start({
      authToken: () => {
        if (broken) {
          throw new Error("the login is down");
        }
        return "new";
      },
    });
    await wire.settle();
    expect(errors()).toEqual(["network"]);
    broken = false;
    await wire.next();
    expect(wire.last.headers.get("authorization")).toBe("Bearer new");
  });

  test("a refresh that ends after disconnect() opens nothing", async () => {
    let give: (token: string) => void = () => {};
    const made = await start({
      authToken: ({ refused }) =>
        refused
          ? new Promise((resolve) => {
              give = resolve;
            })
          : "old",
    });
    wire.last.refuse(401);
    await wire.settle();
    made.disconnect();
    give("new");
    await wire.clock.advance(100_000);
    expect(wire.requests).toHaveLength(1);
  });
});

describe("the limit of attempts", () => {
  test("counts those that could have succeeded, and leads to an error with the last reason", async () => {
    const made = await start({ maxReconnectAttempts: 2 });
    const waiting = made.ready();
    wire.last.fail();
    await wire.next();
    wire.last.fail();
    await wire.next();
    wire.last.refuse(503, { code: "overloaded" });
    await expect(waiting).rejects.toMatchObject({
      code: "attempts_exhausted",
      cause: { code: "overloaded" },
    });
    expect(made.state).toBe("error");
    expect(wire.clock.timers()).toBe(0);
  });

  test("does not count while the page is hidden or offline", async () => {
    const made = await start({ maxReconnectAttempts: 2 });
    wire.page.hide();
    for (let i = 0; i < 5; i++) {
      wire.last.fail();
      await wire.next();
    }
    wire.page.show();
    wire.page.fire("offline");
    for (let i = 0; i < 5; i++) {
      wire.last.fail();
      await wire.next();
    }
    expect(made.state).toBe("connecting");
  });

  test.each(["online", "visible", "pageshow"] as const)("is lifted by %s", async (event) => {
    const made = await start({ maxReconnectAttempts: 0 });
    wire.last.fail();
    await wire.settle();
    expect(made.state).toBe("error");
    wire.page.fire(event);
    await wire.settle();
    wire.last.accept();
    await wire.settle();
    expect(made.state).toBe("connected");
  });

  test("begins anew with every good stream", async () => {
    const made = await connected({ maxReconnectAttempts: 1 });
    for (let i = 0; i < 5; i++) {
      wire.last.message({});
      await wire.settle();
      wire.last.fail();
      await wire.next();
      wire.last.accept();
      await wire.settle();
    }
    expect(made.state).toBe("connected");
  });
});

describe("the cursor", () => {
  test("goes into the URL where it would be the only header, since browsers ask other origins for leave to send one", async () => {
    await connected();
    wire.last.message({}, "e-5+7");
    await wire.settle();
    wire.last.end();
    await wire.next();
    expect([...wire.last.headers.keys()]).toEqual(["accept"]);
    expect(wire.last.url.href).toContain("lastEventId=e-5%2B7");
  });

  test("goes into its header beside others, and the time to start at is sent only without it", async () => {
    await connected({ authToken: "t", since: "earliest" });
    expect(wire.last.url.searchParams.get("since")).toBe("earliest");
    wire.last.end();
    await wire.next();
    expect(wire.last.headers.get("last-event-id")).toBe("e-0");
    expect(wire.last.url.searchParams.has("lastEventId")).toBe(false);
    expect(wire.last.url.searchParams.has("since")).toBe(false);
  });
});

describe("an event that is too large", () => {
  test("ends the stream at the hub's limit, and stops for good when it comes a third time", async () => {
    const made = await start();
    for (let i = 1; i <= 3; i++) {
      wire.last.accept({ maxEventBytes: 300 });
      await wire.settle();
      expect(made.state).toBe("connected");
      wire.last.message({ payload: "x".repeat(300) }, "e-9");
      await wire.settle();
      if (i < 3) {
        await wire.next();
        expect(made.cursor).toBe("e-0");
      }
    }
    expect(made.state).toBe("error");
    expect(errors()).toEqual(["event_too_large", "event_too_large", "event_too_large"]);
  });

  test("is one of more than 2 MiB before the hub has named its limit", async () => {
    await start();
    wire.last.head().bytes(`data: ${"x".repeat((2 << 20) - 5)}`);
    await wire.settle();
    expect(errors()).toEqual(["event_too_large"]);
  });
});

test("an event that is no message is reported and passed over", async () => {
  const made = await connected();
  wire.last.bytes("data: {\n\n").bytes("data: null\n\n").bytes('data: {"id": 7}\n\n');
  await wire.settle();
  expect(errors()).toEqual(["invalid_response", "invalid_response", "invalid_response"]);
  expect(made.state).toBe("connected");
});

import { beforeEach, describe, expect, test } from "vitest";
import type { Connection } from "../../src/connection/connection.ts";
import { SSEConnectionManager } from "../../src/connection/manager.ts";
import type { Received } from "../../src/connection/sink.ts";
import { Wire } from "../support/wire.ts";

let wire: Wire;

beforeEach(() => {
  wire = new Wire();
});

async function connected(receive: (event: Received) => void | Promise<void>): Promise<Connection> {
  const made = wire.connection({}, [], receive);
  made.connect().catch(() => {});
  await wire.settle();
  wire.last.accept();
  await wire.settle();
  return made;
}

describe("the sink", () => {
  test("gets every event in order with its own cursor, the hub's own ones too", async () => {
    const events: unknown[] = [];
    await connected(({ message, cursor, name }) => {
      events.push([message.id, cursor, name]);
    });
    wire.last.message({ id: "1" }, "e-1").message({ id: "2", type: "progress" as never });
    wire.last.bytes(
      `id: e-3\nevent: message_error\ndata: ${JSON.stringify({ id: "3", source: "bob", type: "error" })}\n\n`,
    );
    await wire.settle();
    expect(events).toEqual([
      ["connect", "e-0", "system"],
      ["1", "e-1", "json"],
      ["2", undefined, "progress"],
      ["3", "e-3", "message_error"],
    ]);
  });

  test("holds the stream back while its promise is pending", async () => {
    const events: string[] = [];
    const finish: (() => void)[] = [];
    await connected(({ message }) => {
      events.push(message.id);
      return message.id === "connect" ? undefined : new Promise((resolve) => finish.push(resolve));
    });
    wire.last.message({ id: "1" }).message({ id: "2" });
    await wire.settle();
    expect(events).toEqual(["connect", "1"]);
    let wanted = false;
    wire.last.wanted().then(() => {
      wanted = true;
    });
    finish[0]?.();
    await wire.settle();
    expect(events).toEqual(["connect", "1", "2"]);
    expect(wanted).toBe(false);
    finish[1]?.();
    await wire.settle();
    expect(wanted).toBe(true);
  });

  test("gets nothing of a stream that was left while it was busy, and resumes behind what it got", async () => {
    const events: string[] = [];
    let finish: () => void = () => {};
    const made = await connected(({ message }) => {
      events.push(message.id);
      return message.id === "1"
        ? new Promise((resolve) => {
            finish = resolve;
          })
        : undefined;
    });
    wire.last.bytes(
      ["1", "2"].map((id) => `id: e-${id}\ndata: {"id":"${id}","source":"bob","type":"json"}\n\n`).join(""),
    );
    await wire.settle();
    made.reconnect().catch(() => {});
    await wire.next();
    expect(made.cursor).toBe("e-1");
    finish();
    await wire.settle();
    expect(events).toEqual(["connect", "1"]);
  });
});

async function managed(): Promise<SSEConnectionManager> {
  const made = new SSEConnectionManager(wire.options);
  made.connect().catch(() => {});
  await wire.settle();
  wire.last.accept();
  await wire.settle();
  return made;
}

test("message listeners get what a browser's EventSource gives, and one that throws disturbs nobody", async () => {
  const made = await managed();
  const seen: unknown[] = [];
  const bad = (): void => {
    throw new Error("a bad listener");
  };
  const good = (event: MessageEvent): void => {
    seen.push([event.type, JSON.parse(event.data).id, event.lastEventId]);
  };
  made.addMessageListener(bad);
  made.addMessageListener(good);
  wire.last.message({ id: "1" }, "e-1").message({ id: "2" });
  await wire.settle();
  made.removeMessageListener(good);
  wire.last.message({ id: "3" });
  await wire.settle();
  expect(seen).toEqual([
    ["json", "1", "e-1"],
    ["json", "2", "e-1"],
  ]);
  expect(made.isConnected()).toBe(true);
});

test("defect 14: a state listener that throws, or interferes, disturbs nobody", async () => {
  const made = await managed();
  const states: string[] = [];
  made.addStateListener(() => {
    throw new Error("a bad listener");
  });
  made.addStateListener((state, prev) => {
    states.push(`${prev} to ${state}`);
    if (state === "reconnecting") {
      made.disconnect();
    }
  });
  wire.last.end();
  await wire.clock.advance(100_000);
  expect(states).toEqual(["connected to reconnecting", "reconnecting to disconnected"]);
  expect(wire.requests).toHaveLength(1);
});

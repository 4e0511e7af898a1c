// What an application lives through, told once for Node and for pages in a browser.

import { expect } from "vitest";
import type { App, AppConfig } from "./app.ts";
import type { FaultProxy, StreamFault } from "./fault-proxy.ts";
import type { RealHub } from "./real-hub.ts";
import { until } from "./until.ts";

/** The application seen from outside. */
export type Remote = {
  [K in keyof App]: (...args: Parameters<App[K]>) => Promise<Awaited<ReturnType<App[K]>>>;
};

/** Where a scenario takes place. */
export interface World {
  hub: RealHub;
  proxy: FaultProxy;
  /** Taken by the streams that come next. */
  faults: StreamFault[];
  app: Remote;
  config: AppConfig;
  offline(on: boolean): Promise<void>;
  /** The page, with all that runs in it, is gone, and a new one begins. */
  reload(): Promise<void>;
  /** How often the application was given a token. */
  tokens(): number;
}

export interface Scenario {
  /** The hub wants tokens that live so long. */
  tokenTtl?: string;
  play(world: World): Promise<void>;
}

export async function connected({ app, config }: World): Promise<void> {
  await app.open(config);
  await until("it is connected", async () => (await app.state()) === "connected");
}

export async function sees(world: World, expected: unknown[]): Promise<void> {
  await until(`it has seen ${expected.length} messages`, async () => {
    return (await world.app.seen()).length >= expected.length;
  });
  expect(await world.app.seen()).toEqual(expected);
}

async function hubHas({ hub, config }: World, expected: unknown[]): Promise<void> {
  const topic = `${config.clientId}/sent`;
  await until(`the hub has ${expected.length} messages`, async () => {
    return (await hub.history(topic)).length >= expected.length;
  });
  expect(await hub.history(topic)).toEqual(expected);
}

/** Waits until the place of the application in its stream is kept: what came before does not come again. */
async function writtenDown({ hub, app }: World): Promise<void> {
  // Two moves of the kept cursor: the first may have been on its way before.
  for (let i = 0; i < 2; i += 1) {
    const { cursor } = await app.stored();
    // A heartbeat tells of the new place.
    await hub.publish({ source: "shop", target: "somebody else", payload: i });
    await until("the kept cursor moves on", async () => (await app.stored()).cursor !== cursor);
  }
}

/** Publishes to the application's mailbox and topics in turn. */
export async function publish({ hub, config }: World, payloads: unknown[]): Promise<void> {
  for (const [i, payload] of payloads.entries()) {
    const address = i % 2 ? { target: config.clientId } : { topic: `${config.clientId}/news` };
    await hub.publish({ ...address, source: "shop", payload });
  }
}

export const scenarios: Record<string, Scenario> = {
  "what was sent without a hub outlives a reload and is sent once, in order": {
    async play(world) {
      const { hub, app, config } = world;
      await hub.kill();
      await app.open(config);
      const sent = [1, 2, 3, 4, 5].map((n) => `sent ${n}`);
      for (const payload of sent) {
        await app.send(payload);
      }
      await until("the store has them", async () => (await app.stored()).outbox === sent.length);
      await world.reload();
      await app.open(config);
      await hub.begin();
      await hubHas(world, sent);
      await until("the store has none left", async () => (await app.stored()).outbox === 0);
      expect(await hub.history(`${config.clientId}/sent`)).toEqual(sent);
    },
  },

  "after a reload nothing that was handled comes again, and nothing is missing": {
    async play(world) {
      await connected(world);
      await publish(world, ["a", "b"]);
      await sees(world, ["a", "b"]);
      await writtenDown(world);
      await world.reload();
      await publish(world, ["c", "d"]);
      await connected(world);
      await publish(world, ["e"]);
      await sees(world, ["c", "d", "e"]);
    },
  },

  "offline and back: what came meanwhile arrives once, in order, and what was sent goes out": {
    async play(world) {
      await connected(world);
      await publish(world, ["before"]);
      await sees(world, ["before"]);
      await world.offline(true);
      await world.app.send("sent offline");
      await publish(world, ["meanwhile 1", "meanwhile 2", "meanwhile 3"]);
      await world.offline(false);
      await publish(world, ["after"]);
      await sees(world, ["before", "meanwhile 1", "meanwhile 2", "meanwhile 3", "after"]);
      await hubHas(world, ["sent offline"]);
    },
  },

  "a hub that is killed and started again loses nothing in either direction": {
    async play(world) {
      await connected(world);
      await publish(world, ["before"]);
      await sees(world, ["before"]);
      await world.hub.kill();
      await world.app.send("sent meanwhile");
      await until("the loss was noticed", async () => (await world.app.state()) !== "connected");
      await world.hub.begin();
      await publish(world, ["after"]);
      await sees(world, ["before", "after"]);
      await hubHas(world, ["sent meanwhile"]);
    },
  },

  "an expired token is replaced by reconnecting, and nothing is lost on the way": {
    tokenTtl: "2s",
    async play(world) {
      await connected(world);
      await publish(world, ["with the first token"]);
      await sees(world, ["with the first token"]);
      const before = world.tokens();
      await until("another token was asked for", () => world.tokens() > before);
      await publish(world, ["with another token"]);
      await sees(world, ["with the first token", "with another token"]);
      await world.app.send("sent with a good token");
      await hubHas(world, ["sent with a good token"]);
    },
  },

  "a proxy that keeps the stream back is reported, and the connection comes when it lets go": {
    async play(world) {
      world.faults.push({ kind: "kept back", afterBytes: 0 });
      await connected({ ...world, config: { ...world.config, connectionTimeout: 1000 } });
      expect(await world.app.errors()).toContain("stream_buffered");
      await publish(world, ["after all"]);
      await sees(world, ["after all"]);
    },
  },

  "a stream that fell silent is left for another one": {
    async play(world) {
      world.faults.push({ kind: "black hole", afterBytes: 1500 });
      await connected({ ...world, config: { ...world.config, livenessTimeout: 1500 } });
      await publish(world, ["into the hole", "and more", "and more still"]);
      await sees(world, ["into the hole", "and more", "and more still"]);
    },
  },
};

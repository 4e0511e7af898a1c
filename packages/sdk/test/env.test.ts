import { afterEach, expect, test, vi } from "vitest";
import { environment } from "../src/env.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

test("the platform's functions are called as browsers insist: as those of no other object", () => {
  const owners: unknown[] = [];
  function strict(this: unknown): Promise<Response> {
    owners.push(this);
    return Promise.resolve(new Response());
  }
  for (const name of ["fetch", "setTimeout", "clearTimeout", "addEventListener", "removeEventListener"]) {
    vi.stubGlobal(name, strict);
  }
  const env = environment();
  env.fetch("https://hub.test");
  env.clearTimeout(env.setTimeout(() => {}, 1));
  env.page.listen("online", () => {})();
  expect(owners).toEqual([undefined, undefined, undefined, undefined, undefined]);
});

test("without a page nothing is listened to, and it counts as visible", () => {
  const { page } = environment();
  expect(page.visible()).toBe(true);
  page.listen("online", () => {})();
});

test("a timer that is longer than platforms can is as long as they can", () => {
  const waits: unknown[] = [];
  const env = environment({ setTimeout: (_, ms) => waits.push(ms) });
  env.setTimeout(() => {}, Number.POSITIVE_INFINITY);
  expect(waits).toEqual([2 ** 31 - 1]);
});

test("a fetch that is put in place later is used", async () => {
  const env = environment();
  vi.stubGlobal("fetch", async () => new Response("later"));
  expect(await (await env.fetch("https://hub.test")).text()).toBe("later");
});

test("ids sort by time, and are what RFC 9562 calls version 7", () => {
  let now = 1_700_000_000_000;
  const env = environment({ now: () => now });
  const ids = Array.from({ length: 100 }, () => {
    now += 1000;
    return env.uuid();
  });
  expect([...ids].sort()).toEqual(ids);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  expect(Number.parseInt((ids[99] as string).replace("-", "").slice(0, 12), 16)).toBe(now);
});

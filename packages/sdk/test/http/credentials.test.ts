import { expect, test } from "vitest";
import { createCredentials } from "../../src/http/credentials.ts";

test("a token function is asked before every attempt", async () => {
  let n = 0;
  const credentials = createCredentials(() => `t${++n}`);
  expect(await credentials.headers()).toEqual({ authorization: "Bearer t1" });
  expect(await credentials.headers()).toEqual({ authorization: "Bearer t2" });
});

test("one refresh serves all that were refused, and each of them gets its token without another call", async () => {
  const asked: boolean[] = [];
  const credentials = createCredentials(async ({ refused }) => {
    asked.push(refused);
    return refused ? "new" : "old";
  });
  const refused = await credentials.headers();
  const refreshed = await Promise.all([1, 2, 3].map(() => credentials.refresh(refused)));
  expect(refreshed).toEqual([true, true, true]);
  const again = await Promise.all([1, 2, 3].map(() => credentials.headers()));
  expect(again.map((headers) => headers.authorization)).toEqual(["Bearer new", "Bearer new", "Bearer new"]);
  expect(asked).toEqual([false, true]);
});

test("a refusal of a token that was replaced meanwhile asks for no other one", async () => {
  let refreshes = 0;
  const credentials = createCredentials(({ refused }) => (refused ? `new${++refreshes}` : "old"));
  const refused = await credentials.headers();
  await credentials.refresh(refused);
  expect(await credentials.headers()).toEqual({ authorization: "Bearer new1" });
  expect(await credentials.refresh(refused)).toBe(true);
  expect(refreshes).toBe(1);
});

test("a fixed token that was refused cannot be renewed, one that was set since can be tried", async () => {
  const credentials = createCredentials("old");
  const refused = await credentials.headers();
  expect(await credentials.refresh(refused)).toBe(false);
  credentials.set("new");
  expect(await credentials.refresh(refused)).toBe(true);
  expect(await credentials.headers()).toEqual({ authorization: "Bearer new" });
});

test("what an older token function gives after a token was set is dropped", async () => {
  let give = (_: string): void => {};
  const credentials = createCredentials(
    () =>
      new Promise((resolve) => {
        give = resolve;
      }),
  );
  const headers = credentials.headers();
  credentials.set("set");
  give("stale");
  expect(await headers).toEqual({ authorization: "Bearer set" });
});

test("a refresh that ends after a token was set does not replace it", async () => {
  let give = (_: string): void => {};
  let asked = (): void => {};
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const credentials = createCredentials(({ refused }) => {
    if (!refused) {
      return "old";
    }
    asked();
    return new Promise((resolve) => {
      give = resolve;
    });
  });
  const refreshed = credentials.refresh(await credentials.headers());
  await wasAsked;
  credentials.set("set");
  give("stale");
  expect(await refreshed).toBe(true);
  expect(await credentials.headers()).toEqual({ authorization: "Bearer set" });
});

test("a refresh that fails is made anew by the next refusal", async () => {
  let broken = true;
  const credentials = createCredentials(({ refused }) => {
    if (refused && broken) {
      throw new Error("no answer");
    }
    return refused ? "new" : "old";
  });
  const refused = await credentials.headers();
  await expect(credentials.refresh(refused)).rejects.toThrow("no answer");
  broken = false;
  expect(await credentials.refresh(refused)).toBe(true);
});

test("header functions are asked each time and told of a refusal; the token wins over a header of its name", async () => {
  const told: boolean[] = [];
  const credentials = createCredentials("t", ({ refused }) => {
    told.push(refused);
    return { "X-Api-Key": "k", Authorization: "Basic x" };
  });
  const headers = await credentials.headers();
  expect(headers).toEqual({ "x-api-key": "k", authorization: "Bearer t" });
  expect(await credentials.refresh(headers)).toBe(true);
  await credentials.headers();
  expect(told).toEqual([false, true]);
});

test("after clear no token is sent", async () => {
  const credentials = createCredentials("t", { a: "b" });
  credentials.clear();
  expect(await credentials.headers()).toEqual({ a: "b" });
});

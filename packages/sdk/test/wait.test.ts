import { expect, test } from "vitest";
import { environment } from "../src/env.ts";
import { wait } from "../src/wait.ts";

test("what is waited for may fail after a wait that ended before it began", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => {
    unhandled.push(reason);
  };
  process.on("unhandledRejection", note);
  const env = environment({ endpoint: "http://hub.test", clientId: "alice" });
  const failing = new Promise<never>((_, reject) => setImmediate(() => reject(new Error("late"))));
  const signal = AbortSignal.abort(new Error("over"));
  await expect(wait(env, failing, { signal })).rejects.toThrow("over");
  // Node tells of a rejection at the end of the turn in which it happened.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

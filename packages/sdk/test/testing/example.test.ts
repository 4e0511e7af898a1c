import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the first example of the guide is the program that the tests run", () => {
  const [, shown] = /```ts\n(.*?)```/s.exec(read("../../docs/guide/testing.md")) ?? [];
  expect(shown).toBe(read("examples/testing.ts"));
});

test("that program runs to its end", async () => {
  // A path that the type checker does not follow: the package's own declarations are not built yet.
  const program = "../../examples/testing.ts";
  await import(/* @vite-ignore */ program);
});

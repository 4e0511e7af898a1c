import { expect, test } from "vitest";
import { createIdentities, SETTLED_MIN } from "../../src/inbox/identities.ts";

test("the newest 8,192 settled identities are known, and not more than twice as many", () => {
  const identities = createIdentities();
  const count = 5 * SETTLED_MIN;
  for (let i = 0; i < count; i++) {
    expect(identities.meet(`m${i}`)).toBeUndefined();
    identities.settle(`m${i}`);
  }
  for (let i = count - 8192; i < count; i++) {
    expect(identities.meet(`m${i}`)).toBe("settled");
  }
  expect(identities.meet(`m${count - 2 * SETTLED_MIN - 1}`)).toBeUndefined();
});

test("what is not settled is known however much comes after it", () => {
  const identities = createIdentities();
  identities.meet("open");
  for (let i = 0; i < 3 * SETTLED_MIN; i++) {
    identities.meet(`m${i}`);
    identities.settle(`m${i}`);
  }
  expect(identities.meet("open")).toBe("open");
  identities.settle("open");
  expect(identities.meet("open")).toBe("settled");
});

test("what was forgotten is new", () => {
  const identities = createIdentities();
  identities.meet("a");
  identities.forget("a");
  expect(identities.meet("a")).toBeUndefined();
});

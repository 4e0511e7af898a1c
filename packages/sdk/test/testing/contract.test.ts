import { afterEach, test } from "vitest";
import { createTestHub } from "../../src/testing/index.ts";
import { contract, Guest } from "../support/contract.ts";

const hub = createTestHub();
let guest: Guest;
afterEach(() => guest.close());

for (const [claim, holds] of Object.entries(contract)) {
  test(`the hub in memory: ${claim}`, async () => {
    guest = new Guest(hub);
    await holds(guest);
  });
}

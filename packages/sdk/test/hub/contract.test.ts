import { afterAll, afterEach, beforeAll, test } from "vitest";
import { contract, Guest } from "../support/contract.ts";
import { RealHub } from "../support/real-hub.ts";

let hub: RealHub;
let guest: Guest;
beforeAll(async () => {
  hub = await RealHub.start();
});
afterEach(() => guest.close());
afterAll(() => hub.dispose());

for (const [claim, holds] of Object.entries(contract)) {
  test(`the real hub: ${claim}`, async () => {
    guest = new Guest({ url: hub.url, fetch });
    await holds(guest);
  });
}

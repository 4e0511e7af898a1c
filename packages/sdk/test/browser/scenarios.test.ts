import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Site, type Visit } from "../support/browser.ts";
import { makePlace, type Place } from "../support/place.ts";
import { connected, publish, type Scenario, scenarios, sees, type World } from "../support/scenarios.ts";

let site: Site;
let place: Place;
let visit: Visit;
beforeAll(async () => {
  site = await Site.start();
});
afterAll(() => site.close());
afterEach(async () => {
  await visit.context.close();
  await place.close();
});

async function world(scenario: Pick<Scenario, "tokenTtl"> = {}): Promise<World> {
  place = await makePlace({ ...scenario, play: async () => {} }, site.origin);
  visit = await site.open(place.token);
  return {
    ...place,
    app: visit.app,
    offline: (on) => visit.context.setOffline(on),
    reload: () => visit.reload(),
  };
}

for (const [claim, scenario] of Object.entries(scenarios)) {
  test(`in Chromium: ${claim}`, async () => {
    await scenario.play(await world(scenario));
    expect(visit.complaints).toEqual([]);
  });
}

test("in Chromium: a page that was frozen gets what it missed once, in order, when it goes on", async () => {
  const here = await world();
  await connected(here);
  await publish(here, ["before"]);
  await sees(here, ["before"]);
  const session = await visit.context.newCDPSession(visit.page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  // The network goes meanwhile, as it does for a page that nobody looks at.
  here.proxy.down();
  await publish(here, ["meanwhile 1", "meanwhile 2"]);
  here.proxy.up();
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await publish(here, ["after"]);
  await sees(here, ["before", "meanwhile 1", "meanwhile 2", "after"]);
});

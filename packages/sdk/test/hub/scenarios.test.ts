import { IDBFactory } from "fake-indexeddb";
import { afterEach, expect, test } from "vitest";
import { App } from "../support/app.ts";
import { makePlace, type Place } from "../support/place.ts";
import { type Remote, scenarios } from "../support/scenarios.ts";

let place: Place;
let app: App;
afterEach(async () => {
  app.dispose();
  await place.close();
});

/** The application in this process; a reload leaves its store and nothing else. */
function remote(): Remote {
  const call =
    (method: keyof App) =>
    async (...args: unknown[]) =>
      (app[method] as (...args: unknown[]) => unknown).apply(app, args);
  const methods: (keyof App)[] = ["open", "send", "seen", "errors", "state", "stored", "dispose"];
  return Object.fromEntries(methods.map((method) => [method, call(method)])) as unknown as Remote;
}

for (const [claim, scenario] of Object.entries(scenarios)) {
  test(`in Node: ${claim}`, async () => {
    globalThis.indexedDB = new IDBFactory();
    place = await makePlace(scenario);
    app = new App(place.token);
    await scenario.play({
      ...place,
      app: remote(),
      offline: async (on) => (on ? place.proxy.down() : place.proxy.up()),
      reload: async () => {
        app.dispose();
        app = new App(place.token);
      },
    });
    expect(place.proxy.open).toBeGreaterThan(0);
  });
}

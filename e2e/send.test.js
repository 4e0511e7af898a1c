import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startHub } from "./hub.js";
import { bothJoined, clientOf, launchBrowser, openPage } from "./page.js";

let browser;
before(async () => {
  browser = await launchBrowser();
});
after(() => browser.close());

test("a message to a client arrives there and nowhere else", async (t) => {
  const { page, alice, bob } = await bothJoined(t, browser);
  await alice.send("for bob", { client: "bob" });
  await alice.answered(/^Stored, and on its way to 1 connection\. Cursor .+\.$/);
  await bob.received("for bob");
  await bob.send("for both", { all: true });
  await bob.received("for both");
  await alice.received("for both");

  assert.deepEqual(await bob.rows(), [
    { text: "for bob", route: "alice → bob", priority: "normal", marks: [] },
    { text: "for both", route: "bob → all", priority: "normal", marks: [] },
  ]);
  assert.deepEqual(await alice.texts(), ["for both"]);
  assert.deepEqual(page.complaints, []);
});

test("a topic reaches whoever reads it, exactly or by a pattern", async (t) => {
  const { page, alice, bob } = await bothJoined(t, browser);
  await bob.send("only by pattern", { topic: "orders/eu/42" });
  await bob.answered(/on its way to 1 connection\./);
  await bob.send("by both", { topic: "news" });
  await bob.answered(/on its way to 2 connections/);
  await bob.send("by nobody", { topic: "weather" });
  await bob.answered(/Nobody is connected who reads the topic weather/);
  await alice.received("by both");
  await bob.received("by both");

  assert.deepEqual(await alice.texts(), ["only by pattern", "by both"]);
  assert.deepEqual(await bob.texts(), ["by both"]);
  assert.equal((await alice.rows())[0].route, "bob → topic orders/eu/42");
  assert.deepEqual(page.complaints, []);
});

test("the priority that was chosen is the one that is shown", async (t) => {
  const { page, alice, bob } = await bothJoined(t, browser);
  for (const priority of ["Low", "Normal", "High", "Critical"]) {
    await alice.send(`as ${priority}`, { client: "bob" }, { priority });
    await bob.received(`as ${priority}`);
  }
  assert.deepEqual(
    (await bob.rows()).map((row) => row.priority),
    ["low", "normal", "high", "critical"],
  );
  assert.deepEqual(page.complaints, []);
});

test("JSON arrives as JSON, and what is not JSON is not sent", async (t) => {
  const { page, alice, bob } = await bothJoined(t, browser);
  await alice.send("{nonsense", { client: "bob" }, { format: "JSON" });
  await alice.answered(/^Not sent\. This is not JSON/);
  await alice.send('{"order": 42}', { client: "bob" }, { format: "JSON" });
  await bob.received('{"order":42}');
  assert.deepEqual(await bob.texts(), ['{"order":42}']);
  assert.deepEqual(page.complaints, []);
});

test("a refusal of the hub is shown in words and keeps what was written", async (t) => {
  const { alice } = await bothJoined(t, browser);
  await alice.send("nowhere", { topic: "a/#" });
  await alice.answered(/^Not sent\. .*field topic/);
  assert.equal(await alice.field("Message").inputValue(), "nowhere");
});

test("what is sent to a client that never joined waits in its mailbox", async (t) => {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const [alice, bob] = [clientOf(page, 0), clientOf(page, 1)];
  await alice.join();
  await alice.send("for later", { client: "bob" });
  await alice.answered(/^Stored\. bob is not connected: it waits in the mailbox\./);
  await bob.join();
  await bob.received("for later");
  assert.deepEqual((await bob.rows())[0].marks, ["waited in the mailbox"]);
  assert.deepEqual(page.complaints, []);
});

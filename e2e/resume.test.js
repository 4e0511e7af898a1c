import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startHub } from "./hub.js";
import { bothJoined, clientOf, launchBrowser, openPage } from "./page.js";

let browser;
before(async () => {
  browser = await launchBrowser();
});
after(() => browser.close());

test("a resumed client gets everything it missed, once, in order, marked", async (t) => {
  const { page, alice, bob } = await bothJoined(t, browser);
  await bob.send("before", { client: "alice" });
  await alice.received("before");
  await alice.drop();
  await bob.send("missed by name", { client: "alice" });
  await bob.answered(/waits in the mailbox/);
  await bob.send("missed by topic", { topic: "orders/eu/1" });
  await bob.answered(/Nobody is connected who reads/);
  await bob.send("missed by all", { all: true });
  await bob.received("missed by all");
  await alice.resume();
  await bob.send("after", { client: "alice" });
  await alice.received("after");
  await alice.noted("Resumed: 3 sent while away");

  const away = ["sent while away"];
  assert.deepEqual(
    (await alice.rows()).map(({ text, marks }) => ({ text, marks })),
    [
      { text: "before", marks: [] },
      { text: "missed by name", marks: away },
      { text: "missed by topic", marks: away },
      { text: "missed by all", marks: away },
      { text: "after", marks: [] },
    ],
  );
  assert.deepEqual(page.complaints, []);
});

test("what the page has shown does not come again after a reload", async (t) => {
  const { hub, page, alice, bob } = await bothJoined(t, browser);
  const acked = page.waitForResponse((response) => response.url().endsWith("/api/acks"));
  await bob.send("once", { client: "alice" });
  await alice.received("once");
  assert.deepEqual((await (await acked).json()).applied, true);

  await page.reload();
  await alice.join();
  await hub.publish({ type: "text", target: "alice", payload: { content: "new" } });
  await alice.received("new");
  assert.deepEqual(await alice.texts(), ["new"]);
  assert.deepEqual(page.complaints, []);
});

test("kill -9 and restart lose nothing, and the browser reconnects by itself", async (t) => {
  const { hub, alice, bob } = await bothJoined(t, browser);
  await alice.drop();
  const sent = [];
  for (let i = 0; i < 20; i += 1) {
    const text = `survivor ${i}`;
    await hub.publish({ type: "text", source: "ledger", target: "alice", payload: { content: text } });
    await hub.publish({ type: "text", source: "ledger", topic: "news", payload: { content: text } });
    sent.push(text, text);
  }
  await bob.received("survivor 19");
  await hub.kill();
  await bob.is("Connection lost, trying again");
  await hub.start();
  await bob.is("Connected");
  await bob.noted("Resumed");
  await alice.resume();
  await alice.noted("Resumed: 40 sent while away");
  await hub.publish({
    type: "text",
    source: "ledger",
    topic: "news",
    payload: { content: "after the restart" },
  });
  await bob.received("after the restart");
  await alice.received("after the restart");

  assert.deepEqual(await alice.texts(), [...sent, "after the restart"]);
  const half = sent.filter((_, i) => i % 2 === 0);
  assert.deepEqual(await bob.texts(), [...half, "after the restart"]);
  for (const row of [...(await alice.rows()), ...(await bob.rows())]) {
    assert.ok(!row.marks.includes("repeat"), JSON.stringify(row));
  }
});

test("a place that the hub does not know is shown as a gap", async (t) => {
  const { hub, alice, bob } = await bothJoined(t, browser);
  await bob.send("before", { client: "alice" });
  await alice.received("before");
  await alice.drop();
  await hub.kill();
  await hub.newData();
  await hub.start();
  await alice.resume();
  await alice.noted(
    "Gap: messages may be missing here, because the hub does not know the place to resume from",
  );
  await hub.publish({ type: "text", target: "alice", payload: { content: "goes on" } });
  await alice.received("goes on");
});

test("a connection that has gone silent is replaced, though the browser sees nothing wrong", async (t) => {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const alice = clientOf(page, 0);
  await page.clock.install();
  await alice.join();
  await page.clock.fastForward("01:00");
  await alice.noted("Resumed");
  await alice.is("Connected");
  assert.deepEqual(page.complaints, []);
});

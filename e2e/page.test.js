import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { startHub } from "./hub.js";
import { bothJoined, clientOf, launchBrowser, openPage } from "./page.js";

let browser;
before(async () => {
  browser = await launchBrowser();
});
after(() => browser.close());

test("markup in any part of a message stays text", async (t) => {
  const { hub, page, alice } = await bothJoined(t, browser);
  const markup = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
  const marked = { source: markup, id: markup, metadata: { note: markup } };
  await hub.publish({ ...marked, type: "text", target: "alice", payload: { content: markup } });
  await hub.publish({ ...marked, id: "2", type: "json", target: "alice", payload: { [markup]: markup } });
  const progress = { taskId: markup, progress: 50, description: markup };
  await hub.publish({ ...marked, id: "3", type: "progress", target: "alice", payload: progress });
  await hub.publish({
    ...marked,
    id: "4",
    type: "error",
    topic: `orders/${markup.replaceAll("/", "")}`,
    payload: markup,
  });
  await alice.log.locator(".message").nth(3).waitFor();

  assert.equal((await alice.texts())[0], markup);
  assert.equal(await page.locator("img, main script, [onerror]").count(), 0);
  assert.deepEqual(page.complaints, []);
});

test("the page may load and run nothing that the hub does not serve", async (t) => {
  const hub = await startHub(t);
  const policy = (await fetch(hub.url)).headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  const page = await openPage(t, browser, hub);
  const requested = await page.evaluate(() =>
    performance.getEntriesByType("resource").map((entry) => entry.name),
  );
  assert.ok(requested.length > 0);
  for (const address of requested) {
    assert.ok(address.startsWith(hub.url), address);
  }
  assert.deepEqual(page.complaints, []);
});

test("rows that arrive while the reader looks at older ones are counted as unread and do not move them", async (t) => {
  const { hub, page, alice } = await bothJoined(t, browser);
  const batch = Array.from({ length: 60 }, (_, i) => ({
    type: "text",
    target: "alice",
    payload: { content: `line ${i}` },
  }));
  await hub.publish(batch);
  await alice.received("line 59");
  await alice.log.evaluate((log) => {
    log.scrollTop = 0;
  });
  await hub.publish({ type: "text", target: "alice", payload: { content: "unseen" } });
  await alice.button("1 unread ↓").waitFor();
  assert.equal(await alice.log.evaluate((log) => log.scrollTop), 0);
  await alice.press("1 unread ↓");
  await alice.button("1 unread ↓").waitFor({ state: "hidden" });
  assert.deepEqual(page.complaints, []);
});

test("every heartbeat of the hub is seen", async (t) => {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const alice = clientOf(page, 0);
  await alice.join();
  const light = alice.region.locator(".light");
  const joined = await light.getAttribute("data-beat");
  await alice.region.locator(`.light:not([data-beat=${joined}])`).waitFor();
  assert.deepEqual(page.complaints, []);
});

test("the page works by keyboard alone", async (t) => {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const alice = clientOf(page, 0);
  await alice.field("Client").focus();
  await page.keyboard.press("Enter");
  await alice.is("Connected");
  await alice.field("Client to send to").fill("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("to myself");
  await page.keyboard.press("Enter");
  await alice.received("to myself");
  assert.deepEqual(page.complaints, []);
});

test("every control has a name for a screen reader", async (t) => {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const unnamed = await page
    .locator("button, input, select, textarea, [role=log], main section")
    .evaluateAll((controls) =>
      controls
        .filter(
          (control) =>
            !control.hidden && !control.ariaLabel && !control.labels?.length && !control.textContent.trim(),
        )
        .map((control) => control.outerHTML),
    );
  assert.deepEqual(unnamed, []);
});

for (const width of [360, 768, 1280]) {
  test(`${width} pixels are wide enough: nothing scrolls sideways`, async (t) => {
    const hub = await startHub(t);
    const page = await openPage(t, browser, hub, { viewport: { width, height: 740 } });
    const alice = clientOf(page, 0);
    await alice.join();
    await hub.publish({
      type: "text",
      source: "w".repeat(200),
      target: "alice",
      payload: { content: "w".repeat(900) },
    });
    await alice.received("w".repeat(900));
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    assert.deepEqual(page.complaints, []);
  });
}

test("a shell takes the lines for the terminal as they stand", async (t) => {
  const { hub, page, alice } = await bothJoined(t, browser);
  await alice.press("Leave");
  await alice.field("Client").fill("it's me/you & co");
  await alice.field("Topics").fill("news $HOME/a");
  const lines = await page.locator("#terminal code").allTextContents();
  assert.deepEqual(await curlArguments(lines[0]), [
    "-N",
    `${hub.url}/sse?clientId=carol&topics=news%20%24HOME%2Fa`,
  ]);
  assert.deepEqual(await curlArguments(lines[1]), ["-d", "hello", `${hub.url}/api/topics/news%20%24HOME/a`]);
  assert.deepEqual(await curlArguments(lines[2]), [
    "-d",
    "hello",
    `${hub.url}/api/direct/it's%20me%2Fyou%20%26%20co`,
  ]);
  assert.deepEqual(page.complaints, []);
});

/** What curl would be started with. */
async function curlArguments(line) {
  const { stdout } = await promisify(execFile)("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${line}`]);
  return stdout.trim().split("\n");
}

test("a hub with tokens is joined with a token", async (t) => {
  const secret = "a secret that is long enough for HS256";
  const hub = await startHub(t, { TIDINGS_AUTH_JWT_SECRET: secret });
  const page = await openPage(t, browser, hub);
  const alice = clientOf(page, 0);
  await alice.press("Join");
  await alice.is("Not connected");
  await alice.field("Token").waitFor();

  const grants = ["--subscribe", "#", "--publish", "#", "--targets", "#"];
  const token = await hub.command("token", "--sub", "zoe", ...grants);
  await alice.field("Token").fill(token);
  await alice.join();
  assert.equal(await alice.field("Client").inputValue(), "zoe");
  await alice.send("to myself", { client: "zoe" });
  await alice.received("to myself");
});

// The page in Chromium, in the words of its user.

import { chromium } from "playwright-core";

import { startHub } from "./hub.js";

const HANG_MS = 60_000;

export function launchBrowser() {
  if (!process.env.CHROMIUM) {
    throw new Error("CHROMIUM must name the browser; `cargo xtask test` sets it");
  }
  // Chromium refuses its own sandbox to root, which is who runs tests in a container.
  const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args });
}

/** Opens the page in a fresh browser profile. `page.complaints` gathers errors of the console and of scripts. */
export async function openPage(t, browser, hub, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(HANG_MS);
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (entry) => entry.type() === "error" && page.complaints.push(entry.text()));
  page.on("dialog", (dialog) => {
    page.complaints.push(`a dialog opened: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(hub.url);
  return page;
}

/** A hub, its page, and both clients joined. */
export async function bothJoined(t, browser) {
  const hub = await startHub(t);
  const page = await openPage(t, browser, hub);
  const alice = clientOf(page, 0);
  const bob = clientOf(page, 1);
  await alice.join();
  await bob.join();
  return { hub, page, alice, bob };
}

/** One of the two clients on the page: 0 is alice, 1 is bob. */
export function clientOf(page, index) {
  return new PageClient(page.getByRole("main").getByRole("region").nth(index));
}

class PageClient {
  constructor(region) {
    this.region = region;
    this.log = region.getByRole("log");
    this.answer = region.locator(".answer");
  }

  button(name) {
    return this.region.getByRole("button", { name, exact: true });
  }

  field(name) {
    return this.region.getByRole("textbox", { name, exact: true });
  }

  async press(name) {
    await this.button(name).click();
  }

  async join() {
    await this.press("Join");
    await this.is("Connected");
  }

  async drop() {
    await this.press("Drop");
    await this.button("Resume").waitFor();
  }

  async resume() {
    await this.press("Resume");
    await this.is("Connected");
  }

  /** Waits until the state of the connection says so. */
  async is(state) {
    await this.region.locator(".state").getByText(state, { exact: true }).waitFor();
  }

  /** Fills the form and sends. `to` is `{ client }`, `{ topic }` or `{ all }`. */
  async send(text, to, { priority = "Normal", format = "Text" } = {}) {
    const [kind] = Object.keys(to);
    await this.region
      .getByRole("radio", { name: { client: "Client", topic: "Topic", all: "All" }[kind] })
      .check();
    if (kind !== "all") {
      await this.field(kind === "client" ? "Client to send to" : "Topic to send to").fill(to[kind]);
    }
    await this.region.getByRole("radio", { name: format }).check();
    await this.region.getByRole("combobox", { name: "Priority" }).selectOption(priority);
    await this.field("Message").fill(text);
    await this.press("Send");
  }

  /** Waits for the hub's answer to the last message, and returns it. */
  async answered(pattern) {
    const answer = this.answer.filter({ hasText: pattern });
    await answer.waitFor();
    return answer.textContent();
  }

  /** Waits for a row of the list with this text in its payload. */
  async received(text) {
    await this.log.locator(".payload").getByText(text, { exact: true }).first().waitFor();
  }

  async noted(text) {
    await this.log.locator(".note").getByText(text, { exact: true }).waitFor();
  }

  /** Every message in the list, as the reader sees it. */
  rows() {
    return this.log.locator(".message").evaluateAll((rows) =>
      rows.map((row) => ({
        text: row.querySelector(".payload").textContent,
        route: row.querySelector(".route").textContent,
        priority: row.querySelector(".priority").textContent,
        marks: [...row.querySelectorAll(".mark")].map((mark) => mark.textContent),
      })),
    );
  }

  async texts() {
    return (await this.rows()).map((row) => row.text);
  }
}

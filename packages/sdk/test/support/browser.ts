import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { build } from "tsdown";
import type { App } from "./app.ts";
import type { Remote } from "./scenarios.ts";

const HANG_MS = 60_000;
const PAGE = `<!doctype html><title>app</title><script type="module">
import { App } from "/app.js";
window.app = new App(() => window.token());
</script>`;

/** The application as a page, in a headless browser. */
export class Site {
  readonly origin: string;
  readonly #server: Server;
  readonly #browser: Browser;

  private constructor(origin: string, server: Server, browser: Browser) {
    this.origin = origin;
    this.#server = server;
    this.#browser = browser;
  }

  static async start(): Promise<Site> {
    if (!process.env.CHROMIUM) {
      throw new Error("CHROMIUM must name the browser; `cargo xtask test` sets it");
    }
    const script = await bundle();
    const server = createServer((request, response) => {
      const isScript = request.url === "/app.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? script : PAGE);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    // Chromium refuses its own sandbox to root, which is who runs tests in a container.
    const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
    return new Site(origin, server, browser);
  }

  /** A page in a profile of its own; `token` is what it gets its tokens from. */
  async open(token: () => Promise<string>): Promise<Visit> {
    const context = await this.#browser.newContext();
    context.setDefaultTimeout(HANG_MS);
    await context.exposeFunction("token", token);
    const page = await context.newPage();
    const visit = new Visit(context, page);
    await page.goto(this.origin);
    await visit.loaded();
    return visit;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** One open page. */
export class Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors that nobody caught. */
  readonly complaints: string[] = [];

  constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }

  /** The application in the page. */
  get app(): Remote {
    const call =
      (method: keyof App) =>
      (...args: unknown[]): Promise<unknown> =>
        this.page.evaluate(
          ([name, given]) => {
            const app = (globalThis as unknown as { app: Record<string, (...args: unknown[]) => unknown> })
              .app;
            return app[name as string]?.(...(given as unknown[]));
          },
          [method, args],
        );
    const methods: (keyof App)[] = ["open", "send", "seen", "errors", "state", "stored", "dispose"];
    return Object.fromEntries(methods.map((method) => [method, call(method)])) as unknown as Remote;
  }

  async loaded(): Promise<void> {
    await this.page.waitForFunction(() => "app" in globalThis);
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.loaded();
  }
}

/** The application and the SDK in one script. */
async function bundle(): Promise<string> {
  const [built] = await build({
    config: false,
    entry: fileURLToPath(new URL("app.ts", import.meta.url)),
    format: "esm",
    platform: "neutral",
    target: "es2022",
    dts: false,
    write: false,
    clean: false,
    logLevel: "silent",
  });
  const entry = built?.chunks.find((chunk) => chunk.type === "chunk" && chunk.isEntry);
  if (entry?.type !== "chunk") {
    throw new Error("the application was not built");
  }
  return entry.code;
}

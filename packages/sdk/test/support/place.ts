import { FaultProxy, type StreamFault } from "./fault-proxy.ts";
import { RealHub } from "./real-hub.ts";
import type { Scenario, World } from "./scenarios.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

/** All of a world but the application in it. */
export interface Place extends Omit<World, "app" | "offline" | "reload"> {
  token(): Promise<string>;
  close(): Promise<void>;
}

let places = 0;

/** A hub behind a proxy; `origin` is that of the page, where there is one. */
export async function makePlace(scenario: Scenario, origin?: string): Promise<Place> {
  places += 1;
  const clientId = `app-${places}`;
  const environment: Record<string, string> = {};
  if (scenario.tokenTtl !== undefined) {
    environment.TIDINGS_JWT_SECRET = SECRET;
  }
  if (origin !== undefined) {
    environment.TIDINGS_SERVER_ALLOWED_ORIGINS = origin;
  }
  const hub = await RealHub.start(environment);
  const faults: StreamFault[] = [];
  const proxy = await FaultProxy.start(hub.port, { stream: () => faults.shift(), request: () => undefined });
  const grants = ["--publish", "#", "--subscribe", "#", "--targets", "#"];
  if (scenario.tokenTtl !== undefined) {
    hub.token = await hub.command("token", "--sub", "shop", "--admin", ...grants);
  }
  let tokens = 0;
  return {
    hub,
    proxy,
    faults,
    config: { endpoint: proxy.url, clientId, withToken: scenario.tokenTtl !== undefined },
    tokens: () => tokens,
    token: () => {
      tokens += 1;
      return hub.command("token", "--sub", clientId, "--ttl", scenario.tokenTtl ?? "1h", ...grants);
    },
    close: async () => {
      await proxy.close();
      await hub.dispose();
    },
  };
}

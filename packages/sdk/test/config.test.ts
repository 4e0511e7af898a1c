import { expect, test } from "vitest";
import { type SSKSConfig, settle } from "../src/config.ts";

const base: SSKSConfig = { endpoint: "https://hub.test", clientId: "alice" };

test.each([
  ["https://hub.test", "https://hub.test/sse", "https://hub.test/"],
  ["https://hub.test/sse", "https://hub.test/sse", "https://hub.test/"],
  ["https://hub.test/sse/", "https://hub.test/sse", "https://hub.test/"],
  ["https://hub.test/tidings/", "https://hub.test/tidings/sse", "https://hub.test/tidings/"],
  ["https://hub.test/a/sse?tenant=7", "https://hub.test/a/sse?tenant=7", "https://hub.test/a/"],
])("defect 11: the stream and the API have each their own address, from %s", (endpoint, sse, api) => {
  const { sseUrl, apiUrl } = settle({ ...base, endpoint });
  expect([sseUrl.href, apiUrl.href]).toEqual([sse, api]);
});

test.each([
  ["endpoint", { endpoint: "hub.test:8080/x y" }],
  ["endpoint", { endpoint: "ws://hub.test" }],
  ["clientId", { clientId: "" }],
  ["maxReconnectAttempts", { maxReconnectAttempts: -1 }],
  ["reconnectBaseDelay", { reconnectBaseDelay: Number.NaN }],
  ["heartbeatInterval", { heartbeatInterval: "1s" as unknown as number }],
  ["topics", { topics: "news" as unknown as string[] }],
])("a configuration with a bad %s is refused by that name", (field, wrong) => {
  expect(() => settle({ ...base, ...wrong })).toThrow(
    expect.objectContaining({ code: "invalid_config", field }),
  );
});

test("what is absent, undefined or null takes its default, and heartbeatInterval has none to send", () => {
  const settings = settle({ ...base, reconnectBaseDelay: undefined, topics: undefined });
  expect(settings).toMatchObject({ reconnectBaseDelay: 1000, topics: [], maxReconnectAttempts: 10 });
  expect(settings.heartbeatInterval).toBeUndefined();
});

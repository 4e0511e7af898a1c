import { expect, test } from "vitest";
import { createApi, HttpError } from "../../src/http/api.ts";
import { HttpClient } from "../../src/http/client.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { CommandAction, type CommandMessage, MessagePriority, MessageType } from "../../src/types.ts";
import { broken, fakeEnv, json, never, problem } from "../support/fake-env.ts";

const hub = "https://hub.test/tidings/";

test("paths are resolved against the base, with or without slashes, and parameters are encoded", async () => {
  const env = fakeEnv(() => json({ ok: 1 }, 200, { "x-from": "hub" }));
  const http = new HttpClient(hub, { env, headers: { "X-Own": "1" }, authToken: "t" });
  const answer = await http.get("/api/messages", { topic: "a/#", limit: "2" });
  expect(answer).toMatchObject({ status: 200, data: { ok: 1 }, headers: { "x-from": "hub" } });
  await http.post("api/acks", { cursor: "e-1" });
  await http.put("/api/connections/c/topics/a", undefined, { headers: { "x-own": "2" } });
  await http.delete("/api/connections/c", { withAuth: false });
  expect(env.requests).toMatchObject([
    {
      method: "GET",
      path: "/tidings/api/messages?topic=a%2F%23&limit=2",
      body: undefined,
      headers: { authorization: "Bearer t", "x-own": "1" },
    },
    {
      method: "POST",
      path: "/tidings/api/acks",
      body: '{"cursor":"e-1"}',
      headers: { "content-type": "application/json" },
    },
    { method: "PUT", headers: { "x-own": "2" } },
    { method: "DELETE", path: "/tidings/api/connections/c" },
  ]);
  expect(env.requests[3]?.headers).toEqual({ "x-own": "1" });
  expect(env.timers()).toBe(0);
});

test("a problem document becomes an error with the hub's code, field, detail and wait", async () => {
  const env = fakeEnv(() => problem(503, "store_full", { retryAfterMs: 1500, detail: "the disk is full" }));
  const failed = await new HttpClient(hub, { env }).post("/api/messages", {}).catch((error) => error);
  expect(failed).toBeInstanceOf(HttpError);
  expect(failed).toMatchObject({
    status: 503,
    code: "store_full",
    message: "the disk is full",
    retryable: true,
    retryAfterMs: 1500,
    data: { code: "store_full" },
  });
  env.respond = () => problem(400, "invalid_field", { field: "topic" });
  const refused = await new HttpClient(hub, { env }).post("/api/messages", {}).catch((error) => error);
  expect(refused).toMatchObject({ status: 400, code: "invalid_field", field: "topic", retryable: false });
});

test("a refusal that is not the hub's counts as a failure of the network, a redirect included, or as no valid answer", async () => {
  const env = fakeEnv(
    () => new Response("<html>busy</html>", { status: 503, headers: { "retry-after": "7" } }),
  );
  const http = new HttpClient(hub, { env });
  await expect(http.get("/api/messages")).rejects.toMatchObject({
    code: "network",
    retryable: true,
    retryAfterMs: 7000,
  });
  env.respond = () => new Response("moved", { status: 302, headers: { location: "https://elsewhere.test" } });
  await expect(http.get("/api/messages")).rejects.toMatchObject({
    code: "network",
    retryable: true,
    status: 302,
  });
  env.respond = () => new Response("<html>not here</html>", { status: 404 });
  await expect(http.get("/api/messages")).rejects.toMatchObject({
    code: "invalid_response",
    retryable: false,
  });
});

test("whatever the platform calls it, a broken request is `network` and may be repeated", async () => {
  const env = fakeEnv(broken);
  const failed = await new HttpClient(hub, { env }).get("/health").catch((error) => error);
  expect(failed).toMatchObject({ code: "network", retryable: true });
  expect(failed.cause).toBeInstanceOf(TypeError);
  expect(env.timers()).toBe(0);
});

test("a request without an answer ends with `timeout`, also when only the body is missing", async () => {
  const env = fakeEnv(() => never());
  const http = new HttpClient(hub, { env, timeout: 400 });
  const ended: unknown[] = [];
  void http.get("/a").catch((error) => ended.push(error.code));
  void http.get("/b", {}, { timeout: 100 }).catch((error) => ended.push(error.code));
  env.respond = (request) => {
    const body = new ReadableStream({
      start: (controller) =>
        request.signal.addEventListener("abort", () => controller.error(request.signal.reason)),
    });
    return new Response(body);
  };
  void http.get("/c", {}, { timeout: 200 }).catch((error) => ended.push(error.code));
  await env.advance(150);
  expect(ended).toEqual(["timeout"]);
  await env.advance(100);
  expect(ended).toEqual(["timeout", "timeout"]);
  await env.advance(150);
  expect(ended).toEqual(["timeout", "timeout", "timeout"]);
  expect(env.requests.every((request) => request.signal.aborted)).toBe(true);
});

test("a call that is aborted rejects with the signal's reason and gives the request up", async () => {
  const env = fakeEnv(() => never());
  const http = new HttpClient(hub, { env });
  const abort = new AbortController();
  const call = http.get("/a", {}, { signal: abort.signal });
  await env.settle();
  abort.abort("not needed");
  await expect(call).rejects.toBe("not needed");
  expect(env.requests[0]?.signal.aborted).toBe(true);
  await expect(http.get("/a", {}, { signal: abort.signal })).rejects.toBe("not needed");
  expect(env.requests).toHaveLength(1);
  expect(env.timers()).toBe(0);
});

test("a 401 is repeated once with a new token, and a second one is an error", async () => {
  const env = fakeEnv((request) =>
    request.headers.authorization === "Bearer new" ? json({}) : problem(401, "token_expired"),
  );
  const asked: boolean[] = [];
  const token = ({ refused }: { refused: boolean }): string => {
    asked.push(refused);
    return refused ? "new" : "old";
  };
  const http = new HttpClient(hub, { env, credentials: createCredentials(token) });
  await Promise.all([http.get("/a"), http.get("/b"), http.get("/c")]);
  expect(asked.filter((refused) => refused)).toHaveLength(1);
  expect(env.requests).toHaveLength(6);

  env.respond = () => problem(401, "invalid_token");
  env.requests.length = 0;
  await expect(http.get("/a")).rejects.toMatchObject({ code: "invalid_token", status: 401 });
  expect(env.requests).toHaveLength(2);
});

test("defect 12: a token that is set holds for the next request", async () => {
  const env = fakeEnv();
  const http = new HttpClient(hub, { env, authToken: "old" });
  http.setAuthToken("new");
  await http.get("/a");
  http.clearAuthToken();
  await http.get("/a");
  expect(env.requests.map((request) => request.headers.authorization)).toEqual(["Bearer new", undefined]);
});

test("time that a token function takes is not the request's, and one that fails may be tried again", async () => {
  const env = fakeEnv();
  let give = (_: string): void => {};
  const slow = new Promise<string>((resolve) => {
    give = resolve;
  });
  const http = new HttpClient(hub, { env, timeout: 100, credentials: createCredentials(() => slow) });
  const call = http.get("/a");
  await env.advance(1000);
  give("late");
  await expect(call).resolves.toMatchObject({ status: 200 });

  const failing = createCredentials(() => Promise.reject(new Error("login is down")));
  await expect(new HttpClient(hub, { env, credentials: failing }).get("/a")).rejects.toMatchObject({
    code: "network",
    retryable: true,
  });
});

const command: CommandMessage = {
  id: "c1",
  type: MessageType.COMMAND,
  priority: MessagePriority.HIGH,
  timestamp: 1,
  source: "alice",
  target: "bob",
  payload: { commandId: "c1", action: CommandAction.EXECUTE },
};

test("sendMessage and sendCommand go to their routes", async () => {
  const env = fakeEnv();
  const http = new HttpClient(hub, { env });
  await http.sendMessage({ ...command, type: MessageType.JSON });
  await http.sendMessage(command, { path: "/api/direct/bob" });
  await http.sendCommand(command);
  expect(env.requests.map((request) => request.path)).toEqual([
    "/tidings/api/messages",
    "/tidings/api/direct/bob",
    "/tidings/api/commands",
  ]);
});

test("sendCommand with retry repeats the same bytes after each delay, and only what may succeed", async () => {
  const env = fakeEnv(broken);
  const http = new HttpClient(hub, { env });
  await expect(http.sendCommand(command)).rejects.toMatchObject({ code: "network" });
  env.requests.length = 0;
  const call = http.sendCommand(command, { retry: true });
  await env.advance(1000);
  env.respond = () => problem(503, "overloaded", { retryAfterMs: 4000 });
  await env.advance(2000);
  env.respond = () => json({ commandId: "c1" });
  await env.advance(4999);
  expect(env.requests).toHaveLength(3);
  await env.advance(1);
  await expect(call).resolves.toMatchObject({ data: { commandId: "c1" } });
  expect(new Set(env.requests.map((request) => request.body)).size).toBe(1);

  env.respond = () => problem(422, "unsupported_combination");
  await expect(http.sendCommand(command, { retry: true })).rejects.toMatchObject({ status: 422 });
  env.respond = broken;
  const given = http.sendCommand(command, { retry: true }).catch((error) => error.code);
  await env.advance(60_000);
  expect(await given).toBe("network");
});

test("a request whose signal aborts while the token is asked for is not sent, and leaves no rejection behind", async () => {
  const env = fakeEnv(() => broken());
  const abort = new AbortController();
  const token = async (): Promise<string> => {
    abort.abort(new Error("disposed"));
    return "t";
  };
  const api = createApi(env, createCredentials(token), hub, 10_000);
  await expect(api("POST", "api/messages", { text: "{}", signal: abort.signal })).rejects.toThrow("disposed");
  expect(env.requests).toEqual([]);
});

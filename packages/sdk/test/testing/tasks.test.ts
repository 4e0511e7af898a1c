import { afterEach, expect, test } from "vitest";
import { createTestHub, type TestHub } from "../../src/testing/index.ts";
import { Reader } from "../support/reader.ts";

let reader: Reader;
afterEach(() => reader.close());

async function alice(hub: TestHub): Promise<Reader> {
  reader = await Reader.open(hub.fetch, `${hub.url}/sse?clientId=alice`);
  await reader.event();
  return reader;
}

async function command(hub: TestHub, payload: object) {
  const body = JSON.stringify({ source: "alice", payload: { commandId: "c1", ...payload } });
  const response = await hub.fetch(`${hub.url}/api/commands`, { method: "POST", body });
  return { status: response.status, body: await response.json() };
}

test("a script plays a task on the test's clock, and the client is told each step", async () => {
  const hub = createTestHub();
  const events = await alice(hub);
  hub.onTask("report", (task) => {
    task.start();
    hub.clock.setTimeout(() => task.progress(40, { description: "counting" }), 1000);
    hub.clock.setTimeout(() => task.complete({ rows: 7 }), 2000);
  });
  const { status, body } = await command(hub, { name: "report" });
  expect([status, body]).toMatchObject([202, { success: true, commandId: "c1", taskId: "task-1" }]);
  await hub.clock.advance(2000);
  const ids = { taskId: "task-1", commandId: "c1" };
  expect(await events.payloads(4)).toEqual([
    { event: "task_submitted", ...ids, attempt: 0 },
    { event: "task_started", ...ids, attempt: 1 },
    { taskId: "task-1", progress: 40, description: "counting" },
    { event: "task_completed", ...ids, attempt: 1, result: { rows: 7 } },
  ]);
  expect(
    (await command(hub, { commandId: "c2", action: "query", taskId: "task-1" })).body.task,
  ).toMatchObject({
    status: "completed",
    result: { rows: 7 },
  });
});

test("the same command again is the same task, and with other parameters it is refused", async () => {
  const hub = createTestHub();
  await alice(hub);
  await command(hub, { params: { a: 1 } });
  expect(await command(hub, { params: { a: 1 } })).toMatchObject({ status: 200, body: { taskId: "task-1" } });
  expect(await command(hub, { params: { a: 2 } })).toMatchObject({
    status: 422,
    body: { code: "idempotency_conflict" },
  });
  expect(hub.tasks()).toHaveLength(1);
});

test("a waiting task is cancelled at once, a running one when its script agrees, an ended one not at all", async () => {
  const hub = createTestHub();
  const events = await alice(hub);
  await command(hub, {});
  expect((await command(hub, { action: "cancel", taskId: "task-1" })).body.status).toBe("cancelled");
  hub.onTask("slow", (task) => {
    task.onCancel = () => {};
    task.start();
  });
  await command(hub, { commandId: "c2", name: "slow" });
  expect((await command(hub, { action: "cancel", taskId: "task-2" })).body).toMatchObject({
    status: "running",
    cancelRequested: true,
  });
  hub.task("task-2").complete("too late to cancel");
  const late = await hub.fetch(`${hub.url}/api/tasks/task-2/cancel`, { method: "POST" });
  expect([late.status, (await late.json()).code]).toEqual([409, "task_ended"]);
  expect((await events.payloads(5)).map((payload) => (payload as { event: string }).event)).toEqual([
    "task_submitted",
    "task_cancelled",
    "task_submitted",
    "task_started",
    "task_completed",
  ]);
});

test("a paused task goes on when it is resumed, and sync lists what the client has", async () => {
  const hub = createTestHub();
  await alice(hub);
  await command(hub, {});
  hub.task("task-1").start();
  expect((await command(hub, { action: "pause", taskId: "task-1" })).body.status).toBe("paused");
  expect((await command(hub, { action: "resume", taskId: "task-1" })).body).toMatchObject({
    status: "queued",
    pauseRequested: false,
  });
  const { body } = await command(hub, { commandId: "c3", action: "sync" });
  expect(body).toMatchObject({ tasks: [{ taskId: "task-1" }], cursor: expect.any(String) });
  expect((await command(hub, { action: "query", taskId: "nope" })).status).toBe(404);
});

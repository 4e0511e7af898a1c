import { expect, test } from "vitest";
import { type Commands, createCommands } from "../../src/commands/commands.ts";
import type { CommandHandle, TaskProgress } from "../../src/commands/handle.ts";
import { createApi } from "../../src/http/api.ts";
import { createCredentials } from "../../src/http/credentials.ts";
import { createOutbox, type Outbox } from "../../src/outbox/outbox.ts";
import { MessageQueueManager } from "../../src/outbox/queue.ts";
import { type Message, MessagePriority, MessageType } from "../../src/types.ts";
import { type FakeEnv, type FakeRequest, fakeEnv, json, never, problem } from "../support/fake-env.ts";
import { message } from "../support/messages.ts";

interface Fixture {
  env: FakeEnv;
  commands: Commands;
  outbox: Outbox;
  /** A message from the hub about a task. */
  event(name: string, payload: object): boolean;
  sent(): Message[];
}

function fixture(respond: (request: FakeRequest) => Response | Promise<Response> = accept): Fixture {
  const env = fakeEnv(respond);
  const api = createApi(env, createCredentials(), "https://hub.test/", 10_000);
  const outbox = createOutbox(env, api, new MessageQueueManager(100, env), {
    clientId: "alice",
    messageQueueSize: 100,
  });
  outbox.setOnline(true);
  const commands = createCommands(env, outbox);
  return {
    env,
    commands,
    outbox,
    event: (name, payload) =>
      commands.receive(
        message("x", {
          source: "$hub",
          type: MessageType.COMMAND,
          payload: { event: `task_${name}`, ...payload },
        }),
      ),
    sent: () => env.requests.map(({ body }) => JSON.parse(body ?? "")),
  };
}

function accept({ body }: FakeRequest): Response {
  const { target, payload } = JSON.parse(body ?? "");
  const { commandId } = payload;
  return target
    ? json({ success: true, messageId: commandId, commandId })
    : json({ success: true, messageId: commandId, commandId, taskId: "t1", status: "queued" }, 202);
}

/** What a handle's result came to, once it did. */
function outcome({ result }: CommandHandle): { now: string } {
  const seen = { now: "pending" };
  result.then(
    (value) => {
      seen.now = `ok ${JSON.stringify(value)}`;
    },
    (error) => {
      seen.now = `${error?.code ?? error}`;
    },
  );
  return seen;
}

test("defect 15: a command's acceptance, progress and result can be awaited", async () => {
  const { env, commands, event, sent } = fixture();
  const handle = commands.command(
    "report",
    { year: 2026 },
    { timeout: 5000, idempotencyKey: "k", maxAttempts: 2 },
  );
  await handle.accepted;
  expect(handle.taskId).toBe("t1");
  expect(env.requests[0]?.path).toBe("/api/commands");
  expect(sent()[0]).toMatchObject({
    id: handle.id,
    type: "command",
    source: "alice",
    priority: MessagePriority.NORMAL,
    payload: {
      commandId: handle.id,
      action: "execute",
      name: "report",
      params: { year: 2026 },
      timeout: 5000,
      idempotencyKey: "k",
      maxAttempts: 2,
    },
  });
  const steps: number[] = [];
  const reading = (async () => {
    for await (const { progress } of handle.progress()) {
      steps.push(progress);
    }
  })();
  const progress = (percent: number): boolean =>
    commands.receive(
      message(`p${percent}`, {
        source: "$hub",
        type: MessageType.PROGRESS,
        payload: { taskId: "t1", progress: percent },
      }),
    );
  expect(event("started", { commandId: handle.id, taskId: "t1" })).toBe(true);
  expect(progress(10)).toBe(true);
  await env.settle();
  expect(steps).toEqual([10]);
  progress(50);
  progress(100);
  event("completed", { commandId: handle.id, taskId: "t1", result: { pages: 7 } });
  await expect(handle.result).resolves.toEqual({ pages: 7 });
  await reading;
  expect(steps).toEqual([10, 50, 100]);
  expect(env.timers()).toBe(0);
});

test("defect 15: priority LOW stays LOW", async () => {
  const { env, commands, sent } = fixture();
  commands.command("report", undefined, { priority: MessagePriority.LOW });
  await env.settle();
  expect(sent()[0]?.priority).toBe(MessagePriority.LOW);
});

test.each([
  ["failed", { error: { code: "no_paper", message: "the printer is empty" } }, "no_paper"],
  ["failed", {}, "task_failed"],
  ["cancelled", {}, "task_cancelled"],
])("a task that %s rejects the result", async (event, payload, code) => {
  const fix = fixture();
  const handle = fix.commands.command("print");
  const seen = outcome(handle);
  await handle.accepted;
  fix.event(event, { commandId: handle.id, taskId: "t1", ...payload });
  await fix.env.settle();
  expect(seen.now).toBe(code);
});

test("a task that is retried, paused or resumed goes on", async () => {
  const { env, commands, event } = fixture();
  const handle = commands.command("print");
  const seen = outcome(handle);
  for (const name of ["submitted", "started", "retried", "paused", "resumed"]) {
    expect(event(name, { commandId: handle.id, taskId: "t1" })).toBe(true);
  }
  await env.settle();
  expect(seen.now).toBe("pending");
});

test("task events from anybody but the hub change nothing", async () => {
  const { env, commands } = fixture();
  const handle = commands.command("print");
  const seen = outcome(handle);
  await handle.accepted;
  const forged = { source: "mallory", type: MessageType.COMMAND };
  const payload = { event: "task_completed", commandId: handle.id, taskId: "t1", result: "forged" };
  expect(commands.receive(message("f", { ...forged, payload }))).toBe(false);
  expect(
    commands.receive(message("p", { ...forged, type: MessageType.PROGRESS, payload: { taskId: "t1" } })),
  ).toBe(false);
  await env.settle();
  expect(seen.now).toBe("pending");
});

test("events that come before the answer to the command are not lost", async () => {
  let answer = (): void => {};
  const { env, commands, event } = fixture(
    (request) =>
      new Promise((resolve) => {
        answer = () => resolve(accept(request));
      }),
  );
  const handle = commands.command("print");
  await env.settle();
  event("completed", { commandId: handle.id, taskId: "t9", result: 1 });
  await expect(handle.result).resolves.toBe(1);
  await handle.accepted;
  expect(handle.taskId).toBe("t9");
  answer();
  await env.settle();
});

test("a command that is refused rejects acceptance and result, and nobody has to listen", async () => {
  const { env, commands } = fixture(() => problem(501, "not_available", { field: "target" }));
  const handle = commands.command("print");
  await expect(handle.accepted).rejects.toMatchObject({ code: "not_available", field: "target" });
  await expect(handle.result).rejects.toMatchObject({ code: "not_available" });
  commands.command("print");
  await env.settle();
});

test("defect 4: a timeout is real: a command that the hub does not take in time is given up", async () => {
  const { env, commands } = fixture(() => never());
  const handle = commands.command("print", {}, { timeout: 3000 });
  const seen = outcome(handle);
  await env.advance(2999);
  expect(seen.now).toBe("pending");
  await env.advance(1);
  expect(seen.now).toBe("timeout");
});

test("defect 4: a client that does not answer in time is a timeout", async () => {
  const { env, commands } = fixture();
  const handle = commands.command("print", {}, { target: "bob", timeout: 3000 });
  const seen = outcome(handle);
  await env.advance(2999);
  expect(seen.now).toBe("pending");
  await env.advance(1);
  expect(seen.now).toBe("timeout");
  expect(env.timers()).toBe(0);
});

test("a signal ends the waiting, and leaves no timer", async () => {
  const { env, commands } = fixture();
  const abort = new AbortController();
  const handle = commands.command("print", {}, { target: "bob", timeout: 3000, signal: abort.signal });
  const seen = outcome(handle);
  await handle.accepted;
  abort.abort("enough");
  await env.settle();
  expect([seen.now, env.timers()]).toEqual(["enough", 0]);
});

test("another client answers with progress and a result, and only the one that was asked", async () => {
  const { env, commands } = fixture();
  const handle = commands.command("print", {}, { target: "bob" });
  const seen = outcome(handle);
  const steps: TaskProgress[] = [];
  const reading = (async () => {
    for await (const step of handle.progress()) {
      steps.push(step);
    }
  })();
  await handle.accepted;
  const step = { taskId: handle.id, progress: 40 };
  expect(commands.receive(message("1", { type: MessageType.PROGRESS, payload: step }))).toBe(true);
  const payload = { commandId: handle.id, result: "printed" };
  expect(commands.receive(message("2", { source: "mallory", payload }))).toBe(false);
  await env.settle();
  expect(seen.now).toBe("pending");
  expect(commands.receive(message("3", { payload }))).toBe(true);
  await reading;
  expect([seen.now, steps]).toEqual(['ok "printed"', [step]]);
  expect(commands.receive(message("4", { payload }))).toBe(false);
});

test("another client answers with an error, or never takes the command", async () => {
  const { env, commands } = fixture();
  const failed = outcome(commands.command("print", {}, { target: "bob" }));
  const expired = outcome(commands.command("print", {}, { target: "bob", requireAck: true }));
  await env.settle();
  const [first, second] = env.requests.map(({ body }) => JSON.parse(body ?? "").id);
  const payload = { commandId: first, code: "jam", message: "paper jam" };
  commands.receive(message("e", { type: MessageType.ERROR, payload }));
  const receipt = (status: string): Message =>
    message(status, {
      source: "$hub",
      type: MessageType.ACKNOWLEDGE,
      payload: { commandId: second, status },
    });
  commands.receive(receipt("delivered"));
  await env.settle();
  expect([failed.now, expired.now]).toEqual(["jam", "pending"]);
  commands.receive(receipt("expired"));
  await env.settle();
  expect(expired.now).toBe("expired");
});

test("cancel, pause and resume wait for the task's id and go to whoever runs it", async () => {
  const { env, commands, sent } = fixture();
  const task = commands.command("print");
  await Promise.all([task.pause(), task.resume(), task.cancel()]);
  const remote = commands.command("print", {}, { target: "bob" });
  await remote.cancel();
  expect(sent().map(({ target, payload }) => [target, payload.action, payload.taskId])).toEqual([
    [undefined, "execute", undefined],
    [undefined, "pause", "t1"],
    [undefined, "resume", "t1"],
    [undefined, "cancel", "t1"],
    ["bob", "execute", undefined],
    ["bob", "cancel", remote.id],
  ]);
  env.respond = () => problem(409, "task_ended");
  await expect(task.cancel()).rejects.toMatchObject({ code: "task_ended", status: 409 });
});

function withTasks(...tasks: object[]): (request: FakeRequest) => Response {
  return (request) =>
    JSON.parse(request.body ?? "").payload.action === "sync"
      ? json({ success: true, tasks, cursor: "e-1" })
      : accept(request);
}

test.each([
  [{ status: "completed", result: 7 }, "ok 7"],
  [{ status: "failed", error: { code: "jam", message: "m" } }, "jam"],
  [{ status: "cancelled" }, "task_cancelled"],
  [{ status: "running" }, "pending"],
])("a handle that is attached after a reload finds its task: %o", async (task, expected) => {
  const { env, commands, event } = fixture(withTasks({ taskId: "t1", commandId: "c1", ...task }));
  const seen = [outcome(commands.attach("c1")), outcome(commands.attach("t1"))];
  await env.settle();
  expect(seen.map(({ now }) => now)).toEqual([expected, expected]);
  if (expected === "pending") {
    const handle = commands.attach("c1");
    await handle.accepted;
    expect(handle.taskId).toBe("t1");
    event("completed", { taskId: "t1", commandId: "c1", result: 8 });
    await expect(handle.result).resolves.toBe(8);
  }
});

test("an attached handle whose task is gone says so, and so does a hub without tasks", async () => {
  const { env, commands } = fixture(withTasks());
  await expect(commands.attach("c1").result).rejects.toMatchObject({ code: "not_found" });
  env.respond = () => problem(501, "not_available");
  await expect(commands.attach("c1").result).rejects.toMatchObject({ code: "not_available" });
  const remote = outcome(commands.attach("c2", { target: "bob" }));
  commands.receive(message("a", { payload: { commandId: "c2", result: 1 } }));
  await env.settle();
  expect(remote.now).toBe("ok 1");
});

test("attaching to a command that is running gives its handle", () => {
  const { commands } = fixture();
  const handle = commands.command("print");
  expect(commands.attach(handle.id)).toBe(handle);
});

test("after a gap the hub is asked what became of the tasks", async () => {
  const { env, commands } = fixture();
  const handle = commands.command("print");
  const seen = outcome(handle);
  await handle.accepted;
  env.respond = withTasks({ taskId: "t1", commandId: handle.id, status: "completed", result: "late" });
  const gap = { type: MessageType.SYSTEM, payload: { event: "gap", detail: {} } };
  commands.receive(message("forged", gap));
  await env.settle();
  expect(seen.now).toBe("pending");
  commands.receive(message("gap", { ...gap, source: "$hub" }));
  await env.settle();
  expect(seen.now).toBe('ok "late"');
});

test("who reads progress late or slowly gets the newest 64 steps", async () => {
  const { commands, event } = fixture();
  const handle = commands.command("print");
  await handle.accepted;
  for (let percent = 0; percent < 100; percent++) {
    const payload = { taskId: "t1", progress: percent };
    commands.receive(message(`p${percent}`, { source: "$hub", type: MessageType.PROGRESS, payload }));
  }
  event("completed", { commandId: handle.id, taskId: "t1" });
  const steps: number[] = [];
  for await (const { progress } of handle.progress()) {
    steps.push(progress);
  }
  expect(steps).toEqual(Array.from({ length: 64 }, (_, i) => i + 36));
});

test("progress that is aborted stops waiting", async () => {
  const { commands } = fixture();
  const handle = commands.command("print");
  const abort = new AbortController();
  const step = handle.progress({ signal: abort.signal }).next();
  abort.abort("left");
  await expect(step).rejects.toBe("left");
});

test("defect 16: dispose ends all handles", async () => {
  const { env, commands, outbox } = fixture(() => never());
  const handle = commands.command("print", {}, { target: "bob", timeout: 9000 });
  await env.settle();
  outbox.dispose();
  commands.dispose();
  await expect(handle.accepted).rejects.toMatchObject({ code: "disposed" });
  await expect(handle.result).rejects.toMatchObject({ code: "disposed" });
  const { done } = await handle.progress().next();
  expect(done).toBe(true);
  expect(env.timers()).toBe(0);
});

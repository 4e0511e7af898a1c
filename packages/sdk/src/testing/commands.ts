import { acceptanceOf, publishing, withKey } from "./calls.ts";
import { Refused } from "./problem.ts";
import { actorOf, clientOf, type TestRequest } from "./request.ts";
import type { HubState } from "./state.ts";

/** The routes of commands and tasks. */

const TASK_ACTIONS: ReadonlySet<string> = new Set(["cancel", "pause", "resume", "retry"]);

/** With a target the command is a message; without one it becomes a task, or asks about tasks. */
export function postCommands(state: HubState, request: TestRequest): { status: number; body: object } {
  const given = request.body as { type?: unknown; target?: unknown; payload?: { [field: string]: unknown } };
  if (given.type !== undefined && given.type !== "command") {
    throw new Refused("invalid_field", "must be command", { field: "type" });
  }
  const message = state.complete(
    withKey(request, { ...given, type: "command" }),
    acceptanceOf(state, request),
  );
  const payload = message.payload as { [field: string]: unknown };
  const commandId = typeof payload?.commandId === "string" ? payload.commandId : message.id;
  const ids = { success: true, messageId: message.id, commandId };
  if (message.target !== undefined) {
    const { messageId, duplicate } = state.publish(message, publishing(request));
    return { status: 200, body: { ...ids, messageId, ...(duplicate ? { duplicate } : {}) } };
  }
  const { action = "execute", taskId } = payload;
  if (action === "execute") {
    const { task, created } = state.tasks.submit(message, commandId);
    if (created) {
      state.received.push(message);
      state.tasks.play(task);
    }
    const { taskId: id, status } = task.view;
    return { status: created ? 202 : 200, body: { ...ids, taskId: id, status } };
  }
  if (action === "sync") {
    const tasks = state.tasks.list(message.source).map(({ view }) => view);
    return { status: 200, body: { ...ids, tasks, cursor: state.log.end() } };
  }
  if (taskId === undefined) {
    throw new Refused("invalid_field", "is required", { field: "payload.taskId" });
  }
  const task = state.tasks.find(taskId, message.source);
  if (action === "query") {
    return { status: 200, body: { ...ids, task: task.view } };
  }
  if (!TASK_ACTIONS.has(String(action))) {
    throw new Refused("invalid_field", "is not an action", { field: "payload.action" });
  }
  task.ask(String(action));
  return { status: 200, body: { ...ids, taskId, ...stateOf(task.view) } };
}

export function getTasks(state: HubState, request: TestRequest): object {
  const owner = actorOf(state, request).actor ?? request.query.clientId;
  const { status, name } = request.query;
  const tasks = state.tasks.list(owner).map(({ view }) => view);
  const wanted = tasks.filter(
    (view) => view.status === (status ?? view.status) && view.name === (name ?? view.name),
  );
  return { tasks: wanted };
}

export function getTask(state: HubState, request: TestRequest, taskId: string): object {
  return state.tasks.find(taskId, actorOf(state, request).actor).view;
}

export function postTask(state: HubState, request: TestRequest, taskId: string, action: string): object {
  if (!TASK_ACTIONS.has(action)) {
    throw new Refused("not_found", "nothing is at this path");
  }
  const owner = state.tokens.size === 0 ? undefined : clientOf(state, request);
  const task = state.tasks.find(taskId, owner);
  task.ask(action);
  return { success: true, ...stateOf(task.view) };
}

function stateOf({
  status,
  cancelRequested,
  pauseRequested,
}: {
  status: string;
  cancelRequested: boolean;
  pauseRequested: boolean;
}): object {
  return { status, cancelRequested, pauseRequested };
}

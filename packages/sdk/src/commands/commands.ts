import type { Env } from "../env.ts";
import { HubError } from "../errors.ts";
import { HUB } from "../inbox/inbox.ts";
import type { Accepted, Outbox } from "../outbox/outbox.ts";
import {
  type CallOptions,
  CommandAction,
  type Message,
  MessagePriority,
  MessageType,
  type SendOptions,
} from "../types.ts";
import { attempt, deferred, wait } from "../wait.ts";
import { type CommandHandle, createSteps, type Steps } from "./handle.ts";

export interface TaskOptions extends CallOptions {
  /** The client that is to run it; by default the hub does. */
  target?: string;
  priority?: MessagePriority;
  /** The same key again is the same task, for 24 hours; by default the command's id. */
  idempotencyKey?: string;
  /** Milliseconds until it may start. */
  delay?: number;
  maxAttempts?: number;
  requireAck?: boolean;
}

/**
 * Commands to the hub's tasks and to other clients.
 *
 * A client that runs a command answers with messages to its source: `progress` with the command's id as `taskId`, and in the
 * end `json` with `{commandId, result}`, or `error` with `{commandId, code, message}`.
 */
export interface Commands {
  /**
   * Has the handler `name` run. `timeout` bounds each run of it, and the time until the hub has taken the command; with a
   * target it bounds the time until the result. `signal` ends the waiting, not the command.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  command<R = any>(name: string, params?: object, options?: TaskOptions): CommandHandle<R>;
  /** The handle of a command, or of a task, that was sent earlier, also by a page before this one. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  attach<R = any>(id: string, options?: CallOptions & { target?: string }): CommandHandle<R>;
  /** Sends what the payload says to the hub or, with `target`, to that client; gives the hub's answer. */
  publish(
    payload: { commandId?: string; action: CommandAction; taskId?: string },
    target?: string,
    options?: SendOptions,
  ): Promise<Accepted & { tasks?: Task[] }>;
  /** Takes what concerns a command; `false` for all other messages. */
  receive(message: Message): boolean;
  dispose(): void;
}

interface Task {
  taskId: string;
  commandId: string;
  status?: string;
  result?: unknown;
  error?: { code?: string; message?: string };
}

/** The other side of a handle. */
interface Running {
  handle: CommandHandle;
  target?: string;
  /** Whoever tells anything about a command has accepted it. */
  settle(task: Partial<Task>): void;
  fail(error: unknown): void;
  step: Steps["add"];
}

export function createCommands(env: Env, outbox: Outbox): Commands {
  /** By the ids of commands, and of their tasks as far as they are known. */
  const all = new Map<unknown, Running>();

  const publish: Commands["publish"] = (payload, target, options) => {
    const { commandId = env.uuid() } = payload;
    const type = MessageType.COMMAND;
    return outbox.publish({ id: commandId, type, target, payload: { commandId, ...payload } }, options);
  };

  const start = (id: string, target: string | undefined, options: CallOptions): Running => {
    const accepted = deferred<void>();
    const outcome = deferred<unknown>();
    const steps = createSteps(env);
    const result = wait(env, outcome.promise, options);
    let task: string | undefined;
    const ended = (): void => {
      all.delete(id);
      all.delete(task);
      steps.end();
    };
    result.then(ended, ended);
    const control = (action: CommandAction) => async (given?: CallOptions) => {
      await wait(env, accepted.promise, given);
      await publish({ action, taskId: target ? id : task }, target, {
        priority: MessagePriority.HIGH,
        ...given,
      });
    };
    const fail = (error: unknown): void => {
      accepted.reject(error);
      outcome.reject(error);
    };
    const running: Running = {
      handle: {
        id,
        get taskId() {
          return task;
        },
        accepted: accepted.promise,
        result,
        progress: steps.read,
        cancel: control(CommandAction.CANCEL),
        pause: control(CommandAction.PAUSE),
        resume: control(CommandAction.RESUME),
      },
      target,
      settle({ taskId, status, result, error = {} }) {
        if (taskId) {
          task = taskId;
          all.set(task, running);
        }
        accepted.resolve();
        if (status === "completed") {
          outcome.resolve(result);
        } else if (status === "failed" || status === "cancelled") {
          const { code = `task_${status}`, message } = error;
          fail(new HubError(code, message));
        }
      },
      fail,
      step: steps.add,
    };
    all.set(id, running);
    return running;
  };

  /** Asks the hub for its tasks, for what these commands have become. */
  const sync = async (asked: Running[]): Promise<void> => {
    // The least urgent, so that commands that still wait to be sent go before it.
    const options = { priority: MessagePriority.LOW };
    const { tasks = [] } = asked[0] ? await publish({ action: CommandAction.SYNC }, undefined, options) : {};
    for (const { handle, settle, fail } of asked) {
      const task = tasks.find(({ taskId, commandId }) => taskId === handle.id || commandId === handle.id);
      if (task) {
        settle(task);
      } else {
        fail(new HubError("not_found"));
      }
    }
  };

  return {
    publish,
    command(name, params, { target, signal, timeout, priority = MessagePriority.NORMAL, ...more } = {}) {
      const commandId = env.uuid();
      const { handle, settle, fail } = start(commandId, target, {
        signal,
        timeout: target ? timeout : undefined,
      });
      const payload = { commandId, action: CommandAction.EXECUTE, name, params, timeout, ...more };
      publish(payload, target, { signal, timeout, priority }).then(({ taskId }) => settle({ taskId }), fail);
      return handle;
    },
    attach(id, { target, ...options } = {}) {
      const known = all.get(id);
      const running = known ?? start(id, target, options);
      if (target) {
        running.settle({});
      } else if (!known) {
        sync([running]).catch(running.fail);
      }
      return running.handle;
    },
    receive({ type, source, payload }) {
      const { commandId, taskId, event, status, result, error } = payload ?? {};
      if (event === "gap" && type === MessageType.SYSTEM && source === HUB) {
        // What it lost may have been the end of a task.
        const tasks = [...new Set(all.values())].filter(({ target }) => !target);
        attempt(env.log, () => sync(tasks));
      }
      const running = all.get(commandId) ?? all.get(taskId);
      const receipt = type === MessageType.ACKNOWLEDGE;
      // Anybody may send what looks like an answer.
      if (!running || source !== ((!receipt && running.target) || HUB)) {
        return false;
      }
      if (type === MessageType.PROGRESS) {
        running.step(payload);
      }
      if (!receipt) {
        running.settle(
          running.target
            ? { status: ANSWERS[type], result, error: payload }
            : { taskId, status: `${event}`.slice("task_".length), result, error },
        );
      } else if (status === "expired") {
        running.fail(new HubError(status));
      }
      return true;
    },
    dispose() {
      for (const { fail } of all.values()) {
        fail(new HubError("disposed"));
      }
    },
  };
}

/** What a client's answer makes of its command. */
const ANSWERS: { [type: string]: string } = { json: "completed", error: "failed" };

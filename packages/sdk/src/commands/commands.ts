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
import { wait } from "../wait.ts";
import { type CommandHandle, Running } from "./handle.ts";

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

interface Task {
  taskId: string;
  commandId: string;
  status: string;
  result?: unknown;
  error?: { code?: string; message?: string };
}

/**
 * Commands to the hub's tasks and to other clients.
 *
 * A client that runs a command answers with messages to its source: `progress` with the command's id as `taskId`, and in the
 * end `json` with `{commandId, result}`, or `error` with `{commandId, code, message}`.
 */
export class Commands {
  readonly #env: Env;
  readonly #outbox: Outbox;
  readonly #running: Map<string, [Running, CommandHandle]> = new Map();

  constructor(env: Env, outbox: Outbox) {
    this.#env = env;
    this.#outbox = outbox;
  }

  /**
   * Has the handler `name` run. `timeout` bounds each run of it, and the time until the hub has taken the command; with a
   * target it bounds the time until the result. `signal` ends the waiting, not the command.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  command<R = any>(name: string, params?: object, options: TaskOptions = {}): CommandHandle<R> {
    const { target, signal, timeout, priority = MessagePriority.NORMAL, ...more } = options;
    const commandId = this.#env.uuid();
    const [running, handle] = this.#start(commandId, target, {
      signal,
      timeout: target ? timeout : undefined,
    });
    const payload = { commandId, action: CommandAction.EXECUTE, name, params, timeout, ...more };
    this.#publish(payload, target, { signal, timeout, priority }).then(
      ({ taskId }) => {
        running.taskId ??= taskId;
        running.accepted.resolve();
      },
      (error) => running.fail(error),
    );
    return handle;
  }

  /** The handle of a command, or of a task, that was sent earlier, also by a page before this one. */
  // biome-ignore lint/suspicious/noExplicitAny: as for `CommandHandle`.
  attach<R = any>(
    id: string,
    { target, ...options }: CallOptions & { target?: string } = {},
  ): CommandHandle<R> {
    const known = this.#find(id);
    if (known) {
      return known[1];
    }
    const [running, handle] = this.#start(id, target, options);
    if (target) {
      running.accepted.resolve();
    } else {
      this.#sync([running]).catch((error) => running.fail(error));
    }
    return handle;
  }

  /** Takes what concerns a command; `false` for all other messages. */
  receive({ type, source, payload }: Message): boolean {
    if (type === MessageType.SYSTEM && source === HUB && payload?.event === "gap") {
      // What it lost may have been the end of a task.
      const all = [...this.#running.values()].flatMap(([running]) => (running.target ? [] : [running]));
      this.#sync(all).catch((error) => this.#env.log.warn("tasks are not known", error));
    }
    const { commandId, taskId } = (payload ?? {}) as { [id: string]: string | undefined };
    const [running] = this.#find(commandId) ?? this.#find(taskId) ?? [];
    const receipt = type === MessageType.ACKNOWLEDGE;
    // Anybody may send what looks like an answer.
    if (!running || source !== ((!receipt && running.target) || HUB)) {
      return false;
    }
    if (type === MessageType.PROGRESS) {
      running.step(payload);
    } else if (receipt) {
      if (payload.status === "expired") {
        running.fail(new HubError("expired", "the client did not take the command"));
      }
      return true;
    } else if (running.target) {
      settle(running, ANSWERS[type], payload.result, payload);
    } else {
      running.taskId = taskId ?? running.taskId;
      settle(running, `${payload.event}`.replace("task_", ""), payload.result, payload.error);
    }
    running.accepted.resolve();
    return true;
  }

  dispose(): void {
    for (const [running] of this.#running.values()) {
      running.fail(new HubError("disposed", "the SDK was disposed"));
    }
  }

  #start(id: string, target: string | undefined, options: CallOptions): [Running, CommandHandle] {
    const running = new Running(id, target);
    const { accepted, outcome } = running;
    const result = wait(this.#env, outcome.promise, options);
    const ended = (): void => {
      this.#running.delete(id);
      running.end();
    };
    result.then(ended, ended);
    const control = (action: CommandAction) => async (given?: CallOptions) => {
      await wait(this.#env, accepted.promise, given);
      const taskId = target ? id : running.taskId;
      await this.#publish({ action, taskId }, target, { priority: MessagePriority.HIGH, ...given });
    };
    const handle: CommandHandle = {
      id,
      get taskId() {
        return running.taskId;
      },
      accepted: accepted.promise,
      result,
      progress: (given) => running.progress(this.#env, given),
      cancel: control(CommandAction.CANCEL),
      pause: control(CommandAction.PAUSE),
      resume: control(CommandAction.RESUME),
    };
    this.#running.set(id, [running, handle]);
    return [running, handle];
  }

  #find(id: string | undefined): [Running, CommandHandle] | undefined {
    return id
      ? (this.#running.get(id) ?? [...this.#running.values()].find(([{ taskId }]) => taskId === id))
      : undefined;
  }

  /** Asks the hub for its tasks, for what these commands have become. */
  async #sync(all: Running[]): Promise<void> {
    if (!all.length) {
      return;
    }
    // The least urgent, so that commands that still wait to be sent go before it.
    const { tasks = [] } = await this.#publish({ action: CommandAction.SYNC }, undefined, {
      priority: MessagePriority.LOW,
    });
    for (const running of all) {
      const task = tasks.find(({ taskId, commandId }) => taskId === running.id || commandId === running.id);
      if (task) {
        running.taskId = task.taskId;
        running.accepted.resolve();
        settle(running, task.status, task.result, task.error);
      } else {
        running.fail(new HubError("not_found", "the hub knows no such task"));
      }
    }
  }

  async #publish(
    payload: object,
    target?: string,
    options?: SendOptions,
  ): Promise<Accepted & { tasks?: Task[] }> {
    const { commandId = this.#env.uuid() } = payload as { commandId?: string };
    const type = MessageType.COMMAND;
    return this.#outbox.publish({ id: commandId, type, target, payload: { commandId, ...payload } }, options);
  }
}

/** What a client's answer makes of its command. */
const ANSWERS: { [type: string]: string } = { json: "completed", error: "failed" };

function settle(running: Running, status: string | undefined, result: unknown, error?: Task["error"]): void {
  if (status === "completed") {
    running.outcome.resolve(result);
  } else if (status === "failed") {
    running.fail(new HubError(error?.code ?? "task_failed", error?.message ?? "the task failed"));
  } else if (status === "cancelled") {
    running.fail(new HubError("task_cancelled", "the task was cancelled"));
  }
}

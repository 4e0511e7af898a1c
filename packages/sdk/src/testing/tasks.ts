import type { Message } from "../wire/message.ts";
import { Refused } from "./problem.ts";

export type TaskStatus = "scheduled" | "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";

/** A task as the hub shows it. */
export interface Task {
  taskId: string;
  commandId: string;
  clientId: string;
  name: string;
  params: unknown;
  status: TaskStatus;
  attempt: number;
  maxAttempts: number;
  priority: number;
  createdAt: number;
  startedAt?: number;
  completedAt?: number;
  progress?: number;
  result?: unknown;
  error?: { code: string; message: string };
  reason?: string;
  cancelRequested: boolean;
  pauseRequested: boolean;
}

export interface Progress {
  description?: string;
  estimatedTimeRemaining?: number;
}

/** What plays a task: called once for each, and it may go on as the test's clock does. */
export type TaskScript = (task: TestTask) => void | Promise<void>;

/** Sends a task's events to the client that submitted it. */
export type Tell = (clientId: string, type: "command" | "progress", payload: unknown) => void;

const ENDED: ReadonlySet<TaskStatus> = new Set(["completed", "failed", "cancelled"]);

/** A task in the hands of a test: each call is what a worker would have done, and tells the client so. */
export class TestTask {
  /** What the hub would show of it now. */
  readonly view: Task;
  /** Called when the client wants it cancelled while it runs. Without one it is cancelled at once. */
  onCancel?: () => void;
  /** The same for a pause. */
  onPause?: () => void;
  readonly #tell: Tell;
  readonly #now: () => number;

  constructor(view: Task, tell: Tell, now: () => number) {
    this.view = view;
    this.#tell = tell;
    this.#now = now;
    this.#event("submitted");
  }

  start(): void {
    this.view.attempt += 1;
    this.view.startedAt ??= this.#now();
    this.#become("running", "started");
  }

  /** `percent` from 0 to 100. It is live only, so a client that is away does not get it. */
  progress(percent: number, more: Progress = {}): void {
    this.view.progress = percent;
    const { taskId, clientId } = this.view;
    this.#tell(clientId, "progress", { taskId, progress: percent, ...more });
  }

  complete(result?: unknown): void {
    this.view.result = result;
    this.#become("completed", "completed", { result });
  }

  fail(code: string, message: string): void {
    this.view.error = { code, message };
    this.#become("failed", "failed", { error: this.view.error });
  }

  /** An attempt failed and another one follows. */
  retry(): void {
    this.#become("queued", "retried");
  }

  cancelled(): void {
    this.#become("cancelled", "cancelled");
  }

  paused(): void {
    this.#become("paused", "paused");
  }

  get ended(): boolean {
    return ENDED.has(this.view.status);
  }

  /** What the client asks for: by the action of a command or by the route of the task. */
  ask(action: string): void {
    const { view } = this;
    if (action === "cancel" && view.status === "cancelled") {
      return;
    }
    if (action === "retry" ? !this.ended || view.status === "completed" : this.ended) {
      throw new Refused("task_ended", `the task is ${view.status}`);
    }
    if (action === "cancel") {
      view.cancelRequested = true;
      act(view.status === "running" && this.onCancel, () => this.cancelled());
    } else if (action === "pause") {
      view.pauseRequested = true;
      act(view.status === "running" && this.onPause, () => this.paused());
    } else if (action === "resume" && view.status === "paused") {
      view.pauseRequested = false;
      this.#become("queued", "resumed");
    } else if (action === "retry") {
      this.retry();
    }
  }

  #become(status: TaskStatus, event: string, more: object = {}): void {
    this.view.status = status;
    if (ENDED.has(status)) {
      this.view.completedAt = this.#now();
      this.view.cancelRequested = false;
      this.view.pauseRequested = false;
    }
    this.#event(event, more);
  }

  #event(name: string, more: object = {}): void {
    const { clientId, taskId, commandId, attempt } = this.view;
    this.#tell(clientId, "command", { event: `task_${name}`, taskId, commandId, attempt, ...more });
  }
}

function act(asked: (() => void) | false | undefined, otherwise: () => void): void {
  (asked || otherwise)();
}

interface Submission {
  name?: string;
  params?: unknown;
  idempotencyKey?: string;
  maxAttempts?: number;
}

/** The commands without a target, and the tasks they became. */
export class Tasks {
  readonly #all: Map<string, TestTask> = new Map();
  readonly #keys: Map<string, { task: TestTask; params: string }> = new Map();
  readonly #scripts: Map<string, TaskScript> = new Map();
  readonly #tell: Tell;
  readonly #now: () => number;

  constructor(tell: Tell, now: () => number) {
    this.#tell = tell;
    this.#now = now;
  }

  /** Plays every further task of this name. */
  on(name: string, script: TaskScript): void {
    this.#scripts.set(name, script);
  }

  /** Makes the task of a command; the same command again is the same task. */
  submit(command: Message, commandId: string): { task: TestTask; created: boolean } {
    const { name = "default", params, idempotencyKey, maxAttempts = 5 } = command.payload as Submission;
    const key = JSON.stringify([command.source, name, idempotencyKey ?? commandId]);
    const known = this.#keys.get(key);
    if (known) {
      if (known.params !== JSON.stringify(params)) {
        throw new Refused("idempotency_conflict", "the same key came before with other parameters");
      }
      return { task: known.task, created: false };
    }
    const view: Task = {
      taskId: `task-${this.#all.size + 1}`,
      commandId,
      clientId: command.source,
      name,
      params,
      status: "queued",
      attempt: 0,
      maxAttempts,
      priority: command.priority,
      createdAt: this.#now(),
      cancelRequested: false,
      pauseRequested: false,
    };
    const task = new TestTask(view, this.#tell, this.#now);
    this.#all.set(view.taskId, task);
    this.#keys.set(key, { task, params: JSON.stringify(params) });
    return { task, created: true };
  }

  /** Lets the script of a new task begin. */
  play(task: TestTask): void {
    void this.#scripts.get(task.view.name)?.(task);
  }

  /** A task by its id, if it is this client's. */
  find(taskId: unknown, clientId: string | undefined): TestTask {
    const task = this.#all.get(String(taskId));
    if (!task || (clientId !== undefined && task.view.clientId !== clientId)) {
      throw new Refused("not_found", "no task has this id");
    }
    return task;
  }

  list(clientId: string | undefined): TestTask[] {
    return [...this.#all.values()].filter(({ view }) => clientId === undefined || view.clientId === clientId);
  }

  clear(): void {
    this.#all.clear();
    this.#keys.clear();
  }
}

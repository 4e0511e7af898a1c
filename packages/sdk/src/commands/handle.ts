import type { Env } from "../env.ts";
import type { CallOptions, ProgressMessage } from "../types.ts";
import { type Deferred, deferred, wait } from "../wait.ts";

/** What `progress()` gives. */
export type TaskProgress = ProgressMessage["payload"];

/** A command on its way: what became of it, and what can still be said to it. */
// biome-ignore lint/suspicious/noExplicitAny: a result is any JSON, and code without a type for it has to compile.
export interface CommandHandle<R = any> {
  /** The command's id; `attach` finds it again after a reload. */
  readonly id: string;
  /** The hub's task, once that is known; never with a target. */
  readonly taskId: string | undefined;
  /** Resolves when the hub has taken the command. Nobody needs to wait for it. */
  readonly accepted: Promise<void>;
  /** Resolves with the result. Rejects with the error of the task, `task_cancelled`, or why the command was not taken. */
  readonly result: Promise<R>;
  /** Gives what is known and what comes, and ends with the command. Who reads slowly gets the newest 64. */
  progress(options?: CallOptions): AsyncGenerator<TaskProgress, void>;
  /** Resolves when the hub has taken the request; the outcome is told by `result`. */
  cancel(options?: CallOptions): Promise<void>;
  pause(options?: CallOptions): Promise<void>;
  resume(options?: CallOptions): Promise<void>;
}

const STEPS_MAX = 64;

/** The other side of a handle. */
export class Running {
  taskId?: string;
  readonly accepted: Deferred<void> = deferred<void>();
  readonly outcome: Deferred<unknown> = deferred<unknown>();
  /** The newest steps, and how many there were before them. */
  readonly #steps: TaskProgress[] = [];
  #dropped = 0;
  #ended = false;
  #change: Deferred<void> = deferred<void>();

  readonly id: string;
  readonly target: string | undefined;

  constructor(id: string, target: string | undefined) {
    this.id = id;
    this.target = target;
  }

  step(progress: TaskProgress): void {
    if (this.#steps.push(progress) > STEPS_MAX) {
      this.#steps.shift();
      this.#dropped++;
    }
    this.#changed();
  }

  fail(error: unknown): void {
    this.accepted.reject(error);
    this.outcome.reject(error);
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  async *progress(env: Env, options?: CallOptions): AsyncGenerator<TaskProgress, void> {
    for (let next = 0; ; ) {
      next = Math.max(next, this.#dropped);
      const step = this.#steps[next - this.#dropped];
      if (step) {
        next++;
        yield step;
      } else if (this.#ended) {
        return;
      } else {
        await wait(env, this.#change.promise, options);
      }
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = deferred();
  }
}

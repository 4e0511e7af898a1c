import type { Env } from "../env.ts";
import type { CallOptions, ProgressMessage } from "../types.ts";
import { deferred, wait } from "../wait.ts";

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

/** The steps of a command, for any number of readers. */
export interface Steps {
  add(step: TaskProgress): void;
  end(): void;
  read(options?: CallOptions): AsyncGenerator<TaskProgress, void>;
}

export function createSteps(env: Env): Steps {
  const steps: TaskProgress[] = [];
  let dropped = 0;
  let ended = false;
  let change = deferred<void>();
  const changed = (): void => {
    change.resolve();
    change = deferred();
  };
  return {
    add(step) {
      if (steps.push(step) > STEPS_MAX) {
        steps.shift();
        dropped++;
      }
      changed();
    },
    end() {
      ended = true;
      changed();
    },
    async *read(options) {
      for (let next = 0; ; ) {
        next = Math.max(next, dropped);
        const step = steps[next - dropped];
        if (step) {
          next++;
          yield step;
        } else if (ended) {
          return;
        } else {
          await wait(env, change.promise, options);
        }
      }
    },
  };
}

import type { Env, Logger } from "./env.ts";
import { HubError } from "./errors.ts";
import type { CallOptions } from "./types.ts";

/** A promise with its two ends outside. It may reject without anybody waiting for it. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  const made = {} as Deferred<T>;
  made.promise = new Promise<T>((resolve, reject) => {
    made.resolve = resolve;
    made.reject = reject;
  });
  made.promise.catch(() => {});
  return made;
}

/** What `promise` becomes, unless the signal aborts or the time is over first; what is waited for goes on then. */
export async function wait<T>(env: Env, promise: Promise<T>, options: CallOptions = {}): Promise<T> {
  const { signal, timeout } = options;
  // Whatever ends the wait, nobody else listens to it.
  promise.catch(() => {});
  signal?.throwIfAborted();
  const end = deferred<never>();
  const abort = (): void => end.reject(signal?.reason);
  const timer =
    timeout === undefined
      ? undefined
      : env.setTimeout(
          () => end.reject(new HubError("timeout", `nothing within ${timeout} ms`, { retryable: true })),
          timeout,
        );
  signal?.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, end.promise]);
  } finally {
    env.clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Calls what is not ours, and what nobody waits for: whether it throws or rejects, it is logged and no more. */
export function attempt(log: Logger, call: () => unknown): void {
  (async () => call())().catch((error) => log.warn("a call failed", error));
}

/** Resolves after so many milliseconds, or when the signal aborts. */
export async function pause(env: Env, timeout: number, signal?: AbortSignal): Promise<void> {
  await wait(env, new Promise(() => {}), { signal, timeout }).catch(() => {});
}

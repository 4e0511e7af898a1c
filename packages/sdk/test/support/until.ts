const HANG_MS = 60_000;

/** Looks again and again until it holds; fails after a minute, which only guards against hanging. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`after ${HANG_MS} ms it still did not hold: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

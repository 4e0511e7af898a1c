import { defineConfig } from "vitest/config";

/** Tests against the hub's binary, in Node and in Chromium: one file at a time, because each has a hub and a machine to itself. */
export default defineConfig({
  test: {
    include: ["test/hub/**/*.test.ts", "test/browser/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // These need the hub's binary: vitest.hub.config.ts.
    exclude: ["test/hub/**", "test/browser/**"],
    // Guards against hanging; nothing is measured by it.
    testTimeout: 300_000,
  },
});

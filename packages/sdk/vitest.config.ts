import { defineConfig } from "vitest/config";

export default defineConfig({
  // The examples import the package by its name, and it need not be built.
  resolve: { alias: { "tidings/testing": "/src/testing/index.ts", tidings: "/src/index.ts" } },
  test: {
    include: ["test/**/*.test.ts"],
    // These need the hub's binary: vitest.hub.config.ts.
    exclude: ["test/hub/**", "test/browser/**"],
    // Guards against hanging; nothing is measured by it.
    testTimeout: 300_000,
  },
});

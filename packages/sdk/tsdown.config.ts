import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { index: "src/index.ts", store: "src/store/index.ts", testing: "src/testing/index.ts" },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  fixedExtension: false,
  dts: { oxc: true },
  sourcemap: true,
});

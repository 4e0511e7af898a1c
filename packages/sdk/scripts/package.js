// Checks what `npm pack` would publish: its content, its size, its types, and that a program can use it.
//
// Run it after a build.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build } from "tsdown";

/** What one import of the SDK adds to an application, minified and gzipped. */
const GZIP_BYTES_MAX = 11_350;

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "tidings-package-"));
const problems = [];

function expect(holds, problem) {
  if (!holds) {
    problems.push(problem);
  }
}

function run(program, args, cwd = root) {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    problems.push(`${program} ${args.join(" ")}\n${error.stdout}${error.stderr}`);
    return "";
  }
}

function bin(name) {
  return join(root, "node_modules/.bin", name);
}

try {
  const [packed] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", work]) || "[{}]",
  );
  const tarball = join(work, packed.filename);
  run("tar", ["-xzf", tarball, "-C", work]);
  const unpacked = join(work, "package");
  const manifest = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8"));

  checkContent(packed.files, manifest);
  await checkManifest(unpacked, tarball);
  checkUse(unpacked, manifest);
  await checkSize();
} finally {
  rmSync(work, { recursive: true });
}
for (const problem of problems) {
  console.error(`✗ ${problem}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;

/** Exactly what a user needs: the built files, their types and maps, what the package is, and the licences. */
function checkContent(files, manifest) {
  const paths = files.map(({ path }) => path);
  const needed = Object.values(manifest.exports)
    .flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)))
    .concat("LICENSE-MIT", "LICENSE-APACHE", "README.md");
  for (const path of needed) {
    expect(paths.includes(path.replace("./", "")), `the package has no ${path}`);
  }
  for (const path of paths) {
    const known =
      needed.includes(path) || path === "package.json" || /^dist\/[\w-]+\.(js|js\.map|d\.ts)$/.test(path);
    expect(known, `nobody needs ${path}`);
  }
  expect(!manifest.dependencies, "the package has dependencies");
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) {
    const same = readFileSync(join(root, name)).equals(readFileSync(join(root, "../..", name)));
    expect(same, `${name} is not that of the project`);
  }
  console.log(
    `✓ ${paths.length} files, ${Math.round(files.reduce((sum, { size }) => sum + size, 0) / 1000)} kB`,
  );
}

async function checkManifest(unpacked, tarball) {
  const { messages, pkg } = await publint({ pkgDir: unpacked, pack: false, strict: true });
  for (const message of messages) {
    problems.push(`publint: ${formatMessage(message, pkg)}`);
  }
  run(bin("attw"), [tarball, "--profile", "esm-only"]);
  console.log("✓ publint, are-the-types-wrong");
}

/** The examples compile in a program of others, which checks the declarations too, and Node finds every entry. */
function checkUse(unpacked, manifest) {
  const program = join(work, "program");
  mkdirSync(join(program, "node_modules"), { recursive: true });
  cpSync(unpacked, join(program, "node_modules/tidings"), { recursive: true });
  cpSync(join(root, "examples"), join(program, "src"), { recursive: true });
  writeFileSync(join(program, "package.json"), '{ "type": "module" }');
  for (const [module, moduleResolution] of [
    ["ESNext", "bundler"],
    ["NodeNext", "NodeNext"],
  ]) {
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: "ES2022",
      lib: ["ES2022", "DOM"],
      types: [],
      module,
      moduleResolution,
    };
    writeFileSync(join(program, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
    run(bin("tsc"), [], program);
  }
  for (const entry of Object.keys(manifest.exports).filter((name) => !name.endsWith(".json"))) {
    const name = entry.replace(".", "tidings");
    run("node", ["--input-type=module", "--eval", `await import("${name}")`], program);
  }
  const shown = /```ts\n(.*?)```/s;
  const example = readFileSync(join(root, "examples/first-steps.ts"), "utf8");
  for (const page of ["README.md", "../../README.md", "../../README.zh-CN.md"]) {
    const [, code] = shown.exec(readFileSync(join(root, page), "utf8")) ?? [];
    expect(code === example, `the first example of ${page} is not examples/first-steps.ts`);
  }
  console.log(
    `✓ ${readdirSync(join(root, "examples")).length} examples compile against it, and Node imports it`,
  );
}

async function checkSize() {
  const entry = join(work, "entry.js");
  writeFileSync(
    entry,
    `export { createSSENotificationSDK } from ${JSON.stringify(join(root, "dist/index.js"))};`,
  );
  const [{ chunks }] = await build({
    config: false,
    cwd: work,
    entry,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    minify: true,
    dts: false,
    write: false,
    logLevel: "silent",
  });
  const { code } = chunks.find((chunk) => chunk.isEntry);
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`✓ ${size} bytes minified and gzipped, ${code.length} minified`);
  expect(size <= GZIP_BYTES_MAX, `the core has ${size} bytes, more than ${GZIP_BYTES_MAX}`);
}

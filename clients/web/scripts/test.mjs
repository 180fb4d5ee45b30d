// Bundles every test file (Node.js 18 does not read TypeScript) and hands them to Node's own test runner.
import { spawnSync } from "node:child_process";
import { filesIn } from "./files.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const tests = ["sdk/test", "page/test"].flatMap((dir) => filesIn(join(web, dir), ".test.ts"));
const out = mkdtempSync(join(tmpdir(), "gundo-web-test-"));
let status = 1;
try {
  await build({
    absWorkingDir: web,
    entryPoints: tests,
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
    sourcemap: "inline",
    alias: { "@gundo/client": "./sdk/src/index.ts" },
    logLevel: "warning",
  });
  const files = filesIn(out, ".test.mjs");
  if (files.length === 0) throw new Error("no tests were found");
  status = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
process.exit(status);

// Bundles Pioneer's page (four files, embedded in its binary) and the SDK (`gundo.js`, one ES module, which every server has
// for its game's page) into dist. The same sources give the same bytes.
// Scripts and styles come packed as well (`app.js.br`): to pack well takes seconds, which servers do not have.
// With --check it writes nothing and fails if dist is not what would be written.
import { readFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { build } from "esbuild";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** The files by name. `minify` off is for the readable page that dev.mjs serves. */
export async function bundle({ minify = true } = {}) {
  const common = {
    absWorkingDir: web,
    entryNames: "[name]",
    outdir: "dist",
    bundle: true,
    minify,
    write: false,
    target: ["es2022", "chrome110", "firefox115", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    alias: { "@gundo/client": "./sdk/src/index.ts" },
    logLevel: "warning",
  };
  const [page, sdk] = await Promise.all([
    build({ ...common, format: "iife", entryPoints: { app: "page/src/main.ts", style: "page/app.css", sw: "page/sw.js" } }),
    build({ ...common, format: "esm", entryPoints: { gundo: "sdk/src/index.ts" } }),
  ]);
  const text = (suffix) => [...page.outputFiles, ...sdk.outputFiles].find((file) => file.path.endsWith(suffix)).text;
  const html = readFileSync(join(web, "page/index.html"), "utf8");
  return { "index.html": html, "app.js": text("app.js"), "app.css": text("style.css"), "sw.js": text("sw.js"), "gundo.js": text("gundo.js") };
}

/** What is packed: not HTML, which servers complete. */
const packs = (name) => /\.(js|css)$/.test(name);

function unpacksTo(path, text) {
  return existsSync(path) && brotliDecompressSync(readFileSync(path)).toString("utf8") === text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await bundle();
  let stale = false;
  mkdirSync(join(web, "dist"), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = join(web, "dist", name);
    const packed = `${path}.br`;
    if (!process.argv.includes("--check")) {
      // Another release of Node may pack in another way: what still unpacks to the same stays.
      if (packs(name) && !unpacksTo(packed, text)) writeFileSync(packed, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      writeFileSync(path, text);
    } else if (!existsSync(path) || readFileSync(path, "utf8") !== text || (packs(name) && !unpacksTo(packed, text))) {
      console.error(`dist/${name} is not what the sources give: run \`npm run build\` in clients/web and commit dist`);
      stale = true;
    }
  }
  if (stale) process.exit(1);
  const kib = Object.entries(files).map(([name, text]) => `${name} ${(Buffer.byteLength(text) / 1024).toFixed(1)} KiB`);
  console.log(kib.join(", "));
}

// Writes the TypeScript of the .proto files (the client protocol into the SDK, the game's messages into the page).
// With --check it writes nothing into the tree and fails if the committed files differ from what it would write.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const targets = [
  { module: "../../crates/wire/proto", file: "client.proto", out: "sdk/src/gen" },
  { module: "../../games/pioneer/proto", file: "pioneer.proto", out: "page/src/gen" },
];

function generate({ module, file }, out) {
  const template = JSON.stringify({
    version: "v2",
    plugins: [{ local: join(web, "node_modules/.bin/protoc-gen-es"), out, opt: ["target=ts", "import_extension=js"] }],
  });
  const source = join(web, module);
  execFileSync(join(web, "node_modules/.bin/buf"), ["generate", source, "--path", join(source, file), "--template", template], {
    cwd: web,
    stdio: "inherit",
  });
}

const contents = (dir) => readdirSync(dir).sort().map((name) => `${name}\n${readFileSync(join(dir, name), "utf8")}`).join("\n");

let stale = 0;
for (const target of targets) {
  const committed = join(web, target.out);
  if (!process.argv.includes("--check")) {
    generate(target, committed);
    continue;
  }
  const fresh = mkdtempSync(join(tmpdir(), "gundo-generate-"));
  try {
    generate(target, fresh);
    if (contents(fresh) !== contents(committed)) {
      console.error(`${target.out} is not what ${target.file} generates: run \`npm run generate\` in clients/web and commit it`);
      stale = 1;
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
}
process.exit(stale);

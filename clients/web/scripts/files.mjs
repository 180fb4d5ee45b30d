// Files below a folder by the end of their name, in order.
import { readdirSync } from "node:fs";
import { join } from "node:path";

export function filesIn(dir, suffix) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      return entry.isDirectory() ? filesIn(path, suffix) : entry.name.endsWith(suffix) ? [path] : [];
    })
    .sort();
}

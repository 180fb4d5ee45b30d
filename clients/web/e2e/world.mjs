// The world of the scenes: the pages of its nodes, and the operators' requests. Both come from the environment (see
// run.mjs).
import { demand } from "./stage.mjs";

/** The pages of at least two nodes, in the order of their numbers. */
export const urls = (process.env.GUNDO_URLS ?? process.argv.slice(2).join(",")).split(",").filter(Boolean);
if (urls.length < 2) {
  console.error("set GUNDO_URLS to the pages of at least two nodes: http://127.0.0.1:7600,http://127.0.0.1:7601");
  process.exit(2);
}

const token = process.env.GUNDO_ADMIN_TOKEN;
if (!token) {
  console.error("set GUNDO_ADMIN_TOKEN to what is in admin.token of the world's data directory");
  process.exit(2);
}

const headers = { authorization: `Bearer ${token}` };

/** Sends an operator's request about the world's nodes, through a node that stays. */
export async function operate(url, path) {
  const answer = await fetch(new URL(path, url), { method: "POST", headers });
  demand(answer.ok, `${path} was answered with ${answer.status}: ${await answer.text()}`);
}

/** The status of the world's nodes. */
export async function nodes(url) {
  return (await (await fetch(new URL("/admin/nodes", url), { headers })).json()).nodes;
}

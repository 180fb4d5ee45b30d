// The world of the scenes: its page, and the operators' requests. Both come from the environment (see
// run.mjs).
import { demand } from "./stage.mjs";

/** The page of a world of at least two nodes. */
export const url = process.env.GUNDO_URL ?? process.argv[2];
if (!url) {
  console.error("set GUNDO_URL to the page of a world of at least two nodes: http://127.0.0.1:7600");
  process.exit(2);
}

const token = process.env.GUNDO_ADMIN_TOKEN;
if (!token) {
  console.error("set GUNDO_ADMIN_TOKEN to what is in admin.token of the world's data directory");
  process.exit(2);
}

const headers = { authorization: `Bearer ${token}` };

/** Sends an operator's request about the world's nodes. */
export async function operate(path) {
  const answer = await fetch(new URL(path, url), { method: "POST", headers });
  demand(answer.ok, `${path} was answered with ${answer.status}: ${await answer.text()}`);
}

/** The status of the world's nodes. */
export async function nodes() {
  return (await (await fetch(new URL("/admin/nodes", url), { headers })).json()).nodes;
}

/** An operator gives a player something. For scenes that are about other things than gathering. */
export async function give(player, count, item) {
  const { id } = await player.ask("me");
  const { request } = await (await fetch(new URL("/admin/orders", url), { method: "POST", headers })).json();
  const answer = await fetch(new URL(`/admin/order/${request}/player/${id}`, url), { method: "POST", headers, body: `give ${count} ${item} for this scene` });
  demand(answer.ok, `${count} ${item} for ${player.name}: ${answer.status} ${await answer.text()}`);
  await player.until(`has ${count} ${item} from an operator`, () => document.getElementById("toasts").textContent.includes("for this scene"));
}

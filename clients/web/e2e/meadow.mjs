// Plays the meadow (games/meadow) in headless Chromium: two gardeners at two nodes meet, plant and are refused, and a reload finds
// the same gardener. GUNDO_URL: the page of a fresh world of at least two nodes; CHROMIUM as in run.mjs.
import { demand, PATIENCE, Player } from "./stage.mjs";

const url = process.env.GUNDO_URL;
if (!url) {
  console.error("set GUNDO_URL to the page of a world of at least two nodes: http://127.0.0.1:7600");
  process.exit(2);
}

/** Waits until the element `id` says something that has `words` in it. */
async function says(player, id, words) {
  const holds = ([id, words]) => document.getElementById(id).textContent.includes(words);
  try {
    await player.page.waitForFunction(holds, [id, words], { timeout: PATIENCE, polling: 50 });
  } catch {
    await player.shot("meadow-failed");
    const said = await player.page.textContent(`#${id}`);
    throw new Error(`${player.name} waited ${PATIENCE} ms in vain for "${words}" in #${id}: it says "${said}"`);
  }
}

async function play(ada, bea) {
  await ada.sayName("!?");
  await says(ada, "why", "A name has letters and digits");
  await Promise.all([ada.sayName(), bea.sayName()]);
  await says(ada, "status", "Connected to node 1");
  await says(bea, "status", "Connected to node 2");
  await Promise.all([says(ada, "sight", "2 gardeners, 0 flowers"), says(bea, "sight", "2 gardeners, 0 flowers")]);

  await ada.page.click("#plant");
  await says(bea, "sight", "1 flower, 0 ripe");
  await bea.page.keyboard.press("p");
  await says(ada, "sight", "2 flowers, 0 ripe");
  await ada.page.keyboard.press("Space");
  await says(ada, "message", "No ripe flower is in reach.");
  demand((await ada.page.textContent("#sight")).includes("2 flowers"), "the space key planted something");

  await ada.page.reload();
  await says(ada, "sight", "2 gardeners, 2 flowers");
  demand(await ada.page.isHidden("#join"), "a reload asks for a name again");
  await Promise.all([ada.shot("meadow"), bea.shot("meadow")]);
  for (const { name, errors } of [ada, bea]) demand(errors.length === 0, `${name}'s page complained: ${errors.join("; ")}`);
}

let failed = false;
const players = await Promise.all([Player.arrive(url, "Ada"), Player.arrive(url, "Bea")]);
try {
  await play(...players);
  console.log("ok    the meadow: two gardeners meet, plant, are refused, and a reload finds the same one");
} catch (error) {
  failed = true;
  console.error(error.stack);
} finally {
  await Promise.all(players.map((player) => player.leave()));
}
process.exit(failed ? 1 : 0);

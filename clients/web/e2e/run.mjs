// Plays Pioneer in headless Chromium against a running server. GUNDO_URL: its page (or as an argument); it
// has at least two nodes. GUNDO_ADMIN_TOKEN: the content of admin.token in the world's data directory,
// because the scenes kill a node and add it again. CHROMIUM: the browser, default /usr/bin/chromium. Screenshots go to
// target/e2e.
import { demand, Player } from "./stage.mjs";
import * as market from "./market.mjs";
import * as estate from "./estate.mjs";
import * as guild from "./guild.mjs";
import * as hands from "./hands.mjs";
import * as people from "./people.mjs";
import * as renaming from "./renaming.mjs";
import * as scenes from "./scenes.mjs";
import { acrossBorders } from "./walks.mjs";
import { url } from "./world.mjs";

const players = [];
let failed = false;

async function scene(title, play) {
  const begin = Date.now();
  try {
    const seen = await play();
    console.log(`ok    ${title}${seen ? `: ${seen}` : ""} (${((Date.now() - begin) / 1_000).toFixed(1)} s)`);
  } catch (error) {
    console.log(`FAIL  ${title}: ${error.message}`);
    for (const player of players) await player.shot("failed").catch(() => undefined);
    throw error;
  }
}

async function run() {
  const tail = String(Date.now() % 1e6).padStart(6, "0");
  const [ada, bea] = await Promise.all([Player.arrive(url, `Ada${tail}`), Player.arrive(url, `Bea${tail}`)]);
  players.push(ada, bea);

  await scene("names: odd ones are refused in words, good ones step ashore", () => scenes.names(ada, bea));
  await scene("a name somebody has is refused", () => scenes.takenName(ada));
  await scene("they see each other where they stand", () => scenes.meeting(ada, bea));
  for (const [walker, watcher] of [[ada, bea], [bea, ada]]) {
    await scene(`${walker.name} walks by keys, ${watcher.name} sees it`, () => scenes.walking(walker, watcher));
  }
  await scene("Ada fells a tree, Bea sees it fall", () => scenes.felling(ada, bea));
  await scene("Ada builds a fence with mouse and keys, Bea sees it", () => scenes.building(ada, bea));
  await scene("Ada speaks, Bea reads", () => scenes.speaking(ada, bea));
  await scene("x-ray: node, round trip and owners", () => scenes.xray(ada));
  await scene("walking across borders without a gap", () => acrossBorders(ada));
  await scene("a reload resumes the same player", () => scenes.reload(ada));
  await scene("Ada's node is killed under her, and the next one drained: she plays on elsewhere and nobody notices", () => scenes.losingNodes(ada, bea));
  await scene("a second tab takes over, the first says so", () => scenes.secondTab(bea));
  await scene("a code that was written down brings Ada back in an empty browser", () => scenes.wayBack(ada));

  // Two more, who stand where newcomers come ashore and have not walked far apart.
  const [eve, fin] = await Promise.all([Player.arrive(url, `Eve${tail}`), Player.arrive(url, `Fin${tail}`)]);
  players.push(eve, fin);
  for (const player of [eve, fin]) {
    await player.sayName();
    await player.connected();
  }
  await scene("Eve asks Fin to be friends, Fin accepts", () => people.friends(eve, fin));
  await scene("Eve touches Fin and gives her something, by keyboard", () => people.giving(eve, fin));
  await scene("they trade: a change withdraws the confirmation, a reload changes nothing, a node dies at the exchange", () => people.trading(eve, fin));
  await scene("Eve leaves a trade alone, Fin finds out and has her things back", () => people.leftAlone(eve, fin));
  await scene("Eve writes to Fin, whose browser is closed: Fin finds the letter, and sends the next one back", () => market.letters(eve, fin));
  let built;
  await scene("Fin buys at Eve's stall while Eve's browser is closed", async () => void (built = await market.stall(eve, fin)));
  await scene("mail and stalls on a phone: everything fits", () => market.phone(eve, built));
  await scene("Eve founds a guild, by keyboard, and invites Fin, whose browser is closed", () => guild.founding(eve, fin));
  await scene("they share a chest: a member puts, an officer takes, both read who did", () => guild.chest(eve, fin));
  await scene("a guild on a phone: everything fits", () => guild.phone(eve));
  await scene("Eve and her guild get other names, and Fin sees it", () => renaming.names(eve, fin));
  await scene("a guild with a full chest is not dissolved; then everybody is out of it", () => guild.ending(eve, fin));
  await scene("people on a phone: everything fits, and a block does not tell", () => people.phone(eve));

  // Two more, who walk away from the village: one at a desk, one with a phone.
  const [ned, ivy] = await Promise.all([Player.arrive(url, `Ned${tail}`, estate.DESK), Player.arrive(url, `Ivy${tail}`, people.PHONE)]);
  players.push(ned, ivy);
  for (const player of [ned, ivy]) {
    await player.sayName();
    await player.connected();
  }
  await scene("Ned claims land away from the village, Ivy sees whose it is and may do nothing there", () => estate.claiming(ned, ivy));
  await scene("Ned lets friends gather on his land, and Ivy does", () => estate.sharing(ned, ivy));
  await scene("Ivy buys the estate in a trade", () => estate.selling(ned, ivy));
  await scene("Ivy has it on her phone: everything fits; she gives it up", () => estate.ending(ned, ivy));
  // These do not meet.
  const lou = await Player.arrive(url, `Lou${tail}`);
  players.push(lou);
  const alone = async () => {
    await scene("Lou comes ashore with keys alone; behind the dialog keys do nothing", () => hands.ashore(lou));
    await scene("every panel by keyboard: the focus is seen and stays, and axe finds nothing", () => hands.panels(lou));
    await scene("no key sticks, wherever the keyboard goes", () => hands.nothingSticks(lou));
    await scene("an input method writes, and what was said can be read", () => hands.talking(lou));
    await scene("the page names the keys as they are printed", () => hands.layouts(lou));
    await scene("a phone: two thumbs, the chat line above the keyboard, zoom", () => hands.phone(`Kim${tail}`));
  };
  const lost = async () => {
    await scene("a reload while the page's server is away shows the page, and comes back", () => hands.reloadWithoutServer(`Jon${tail}`));
    await scene("nobody answers, the connection is lost, all is well again: a word for each", () => hands.lostConnection(`Lea${tail}`));
  };
  await Promise.all([alone(), lost()]);

  for (const player of players) demand(player.errors.length === 0, `${player.name}'s page complained: ${player.errors.join("; ")}`);
}

try {
  await run();
  console.log("all scenes played");
} catch (error) {
  failed = true;
  console.error(error.stack);
  for (const player of players) if (player.errors.length) console.error(`${player.name}'s page: ${player.errors.join("\n")}`);
} finally {
  await Promise.all(players.map((player) => player.leave()));
}
process.exit(failed ? 1 : 0);

// An estate of two players: claiming, rights, selling and giving up; by keyboard and mouse at a desk, by finger on a phone.
import { amount, closePanel, fits, joinUp, press as pressPeople, shows as showsPeople } from "./people.mjs";
import { demand } from "./stage.mjs";
import { give } from "./world.mjs";

export const DESK = { viewport: { width: 1280, height: 800 } };
const BARE = 2;
const CHUNK_MM = 30_000;

const total = (bag) => Object.values(bag).reduce((a, b) => a + b, 0);

function shows(player, words) {
  return player.until(`the panel of land says "${words}"`, (words) => document.getElementById("estate").textContent.includes(words), words);
}

/** Waits until the line says whose land the player stands on. */
function stands(player, words) {
  return player.until(`the line says "${words}"`, (words) => document.getElementById("landbutton").textContent === words, words);
}

async function press(player, words) {
  const button = player.page.locator("#estate button", { hasText: words }).first();
  await (player.page.viewportSize().width < 760 ? button.tap() : button.click());
}

async function pressKey(player, key) {
  await player.page.locator(`#estate button[data-key="${key}"]`).click();
}

/** Runs in the page: a place beyond the land that is everybody's, straight from here. */
function outward(away) {
  const { x, y } = window.__gundo.position();
  const village = window.__gundo.village();
  const far = village.commonsMm + away;
  for (let k = 0; k < 64; k++) {
    const to = { x: Math.round(village.x + Math.cos((k * Math.PI) / 32) * far), y: Math.round(village.y + Math.sin((k * Math.PI) / 32) * far) };
    if (window.__gundo.isOpen(x, y, to.x, to.y)) return to;
  }
  return undefined;
}

const isCommons = ({ cx, cy }, { x, y, commonsMm }) => {
  const gap = (v, from) => Math.max(from - v, 0, v - from - CHUNK_MM);
  return Math.hypot(gap(x, cx * CHUNK_MM), gap(y, cy * CHUNK_MM)) < commonsMm;
};

/** Something that grows on land that can be claimed, and a place next to it that one can walk to. */
async function something(player) {
  const [village, here, all] = await Promise.all([player.ask("village"), player.ask("position"), player.ask("things")]);
  const built = new Set((await player.ask("buildings")).map(({ cx, cy }) => `${cx}/${cy}`));
  const distance = (thing) => Math.hypot(thing.x - here.x, thing.y - here.y);
  const free = all.filter((thing) => thing.stage !== BARE && !isCommons(thing, village) && !built.has(`${thing.cx}/${thing.cy}`));
  for (const thing of free.sort((a, b) => distance(a) - distance(b))) {
    const share = Math.max(0, 1 - 1_500 / distance(thing));
    const to = { x: Math.round(here.x + (thing.x - here.x) * share), y: Math.round(here.y + (thing.y - here.y) * share) };
    // Next to it and in the same chunk.
    const inside = Math.floor(to.x / CHUNK_MM) === thing.cx && Math.floor(to.y / CHUNK_MM) === thing.cy;
    if (inside && (await player.ask("isOpen", here.x, here.y, to.x, to.y))) return { thing, to };
  }
  throw new Error("nothing grows on land that can be claimed");
}

/** What both know of: set by the first scene. */
let thing;

export async function claiming(hal, ivy) {
  await give(hal, 4, "plank");
  await give(ivy, 1, "stone");
  await hal.page.keyboard.press("n");
  await shows(hal, "belongs to everybody");
  await hal.shot("estate-commons");
  await closePanel(hal, "estate");
  await joinUp(ivy, hal);
  // Both walk out of the village, side by side.
  const far = await hal.page.evaluate(outward, 45_000);
  demand(far, "no straight way out of the village");
  await hal.walkTo(far.x, far.y);
  await joinUpFrom(ivy, far);
  await stands(hal, "Nobody's land");
  const found = await something(hal);
  thing = found.thing;
  await hal.walkTo(found.to.x, found.to.y);

  await hal.page.keyboard.press("n");
  await shows(hal, "Claim it, and you say who gathers and builds here");
  await hal.shot("estate-nobodys");
  await press(hal, "Claim land here");
  await shows(hal, "It costs 2 plank");
  // One more beside it, by keyboard.
  const free = hal.page.locator(["1/0", "-1/0", "0/1", "0/-1"].map((at) => `#estate button[data-key="plot${at}"][aria-disabled=false]`).join(", ")).first();
  await free.focus();
  await hal.page.keyboard.press("Space");
  await shows(hal, "Claim 2 plots");
  await hal.shot("estate-claim");
  await pressKey(hal, "doclaim");
  await stands(hal, "Your land");
  demand(((await amount(hal))[5] ?? 0) === 0, "he has not paid");
  await hal.shot("estate-mine");
  await closePanel(hal, "estate");

  await joinUp(ivy, hal);
  await ivy.walkTo(found.to.x, found.to.y);
  await stands(ivy, `${hal.name}'s land`);
  const refused = await ivy.ask("gather", thing.cx, thing.cy, thing.index);
  demand(!refused.ok && refused.code === "their_land", `she may gather: ${JSON.stringify(refused)}`);
  await ivy.page.tap("#landbutton");
  await shows(ivy, "nobody else");
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-theirs");
  await ivy.page.tap("#estate button[data-key=close]");
}

/** Walks to a place as somebody does who stands next to the one who went before. */
async function joinUpFrom(player, to) {
  const here = await player.ask("position");
  const beside = [[0, 0], [1_500, 0], [-1_500, 0], [0, 1_500], [0, -1_500]];
  for (const [dx, dy] of beside) {
    const place = { x: to.x + dx, y: to.y + dy };
    if (await player.ask("isOpen", here.x, here.y, place.x, place.y)) return player.walkTo(place.x, place.y);
  }
  throw new Error(`no straight way from ${JSON.stringify(here)} to ${JSON.stringify(to)}`);
}

export async function sharing(hal, ivy) {
  // Friends first.
  await hal.page.keyboard.press("p");
  await pressPeople(hal, ivy.name);
  await pressPeople(hal, "Ask to be friends");
  await ivy.until("one waits", () => document.querySelector("#peoplebutton b").textContent === "1");
  await ivy.page.tap("#peoplebutton");
  await pressPeople(ivy, "Accept");
  await showsPeople(hal, "Your friend");
  await closePanel(hal);
  await closePanel(ivy);
  await hal.page.keyboard.press("n");
  await press(hal, "Estate 1");
  await shows(hal, "2 plots");
  await hal.shot("estate-own");
  // By keyboard: the focus stays where it was when the panel draws itself again.
  await hal.page.locator("#estate button[data-key=gather1]").focus();
  await hal.page.keyboard.press("Enter");
  await hal.until("friends gather", () => document.querySelector("#estate button[data-key=gather1]")?.getAttribute("aria-pressed") === "true");
  await shows(hal, "Before you sell it");
  demand((await hal.page.evaluate(() => document.activeElement?.dataset?.key)) === "gather1", "the focus is lost");
  await hal.until("all of it has heard", () => !document.getElementById("estate").textContent.includes("has not heard"));
  await hal.shot("estate-shared");
  await ivy.page.tap("#landbutton");
  await shows(ivy, "friends");
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-shared");
  await ivy.page.tap("#estate button[data-key=close]");
  const gathered = await ivy.ask("gather", thing.cx, thing.cy, thing.index);
  demand(gathered.ok, `a friend may not gather: ${JSON.stringify(gathered)}`);
}

export async function selling(hal, ivy) {
  await closePanel(hal, "estate");
  await hal.page.keyboard.press("p");
  await pressPeople(hal, ivy.name);
  await pressPeople(hal, "Trade");
  await showsPeople(hal, "others may use it");
  await hal.shot("estate-trade-open");
  // Nobody else may do anything any more.
  await hal.page.keyboard.press("n");
  await press(hal, "Estate 1");
  await hal.page.locator("#estate button[data-key=gather0]").click();
  await shows(hal, "it can be sold in a trade");
  await closePanel(hal, "estate");
  await hal.page.keyboard.press("p");
  await showsPeople(hal, "Offer an estate of 2 plots");
  await pressPeople(hal, "Offer an estate of 2 plots");
  await hal.until("it is on the table", () => document.querySelector("#people .table button[data-key^=deed]"));
  await ivy.page.tap("#peoplebutton");
  await pressPeople(ivy, "Open the trade");
  await showsPeople(ivy, "an estate of 2 plots");
  await ivy.page.locator("#people button[data-key^=pick]").first().tap();
  await ivy.page.locator("#people button[data-key=send]").tap();
  await hal.until("her thing is on the table", () => document.querySelector("#people [data-key^=theirs] b"));
  await hal.shot("estate-trade");
  await ivy.shot("estate-phone-trade");
  await hal.page.locator("#people button[data-key=confirm][aria-disabled=false]").click();
  await showsPeople(ivy, "✓ confirmed");
  await ivy.page.locator("#people button[data-key=confirm][aria-disabled=false]").tap();
  await closePanel(hal);
  await closePanel(ivy);
  await stands(ivy, "Your land");
  await stands(hal, `${ivy.name}'s land`);
  demand((await ivy.ask("estates")).own.length === 1 && (await hal.ask("estates")).own.length === 0, "both have the deed, or none");
  demand(total(await amount(hal)) > 0, "he has not got anything for it");
  await hal.shot("estate-sold");
}

export async function ending(hal, ivy) {
  await ivy.page.tap("#landbutton");
  await shows(ivy, "You may do everything here");
  await fits(ivy, "estate");
  await press(ivy, "Estate 1");
  await shows(ivy, "2 plots");
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-own");
  await ivy.page.locator("#estate button[data-key=grow]").tap();
  await shows(ivy, "It costs");
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-claim");
  await ivy.page.setViewportSize({ width: 844, height: 390 });
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-wide");
  await ivy.page.setViewportSize({ width: 320, height: 568 });
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-small");
  await ivy.page.tap("#estate button[data-key=back]");
  await shows(ivy, "Who may do what");
  await ivy.page.locator("#estate button[data-key=release]").tap();
  await shows(ivy, "Nothing is paid back");
  // The one on which she does not stand.
  await ivy.page.locator("#estate button[data-key^=free]", { hasNotText: "●" }).first().tap();
  await fits(ivy, "estate");
  await ivy.shot("estate-phone-release");
  await ivy.page.locator("#estate button[data-key=dorelease]").tap();
  await shows(ivy, "You may do everything here");
  await press(ivy, "Estate 1");
  await shows(ivy, "1 plot.");
  await ivy.page.locator("#estate button[data-key=abandon]").tap();
  await shows(ivy, "Really give all of it up?");
  await ivy.page.locator("#estate button[data-key=abandon]").tap();
  await stands(ivy, "Nobody's land");
  await stands(hal, "Nobody's land");
  demand((await ivy.ask("estates")).own.length === 0, "she still has the deed");
}
